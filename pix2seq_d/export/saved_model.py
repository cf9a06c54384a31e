"""A checkpoint -> a TensorFlow SavedModel, by jax2tf."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pix2seq_d.atomic_file import cannot_write
from pix2seq_d.export import make
from pix2seq_d.training.checkpoint import Trained


def write(trained: Trained, folder: Path, *, platforms: Sequence[str]) -> None:
    """Exports a model of images; batch and photo sizes stay open.

    The module has one function, `call(images, sizes, seed)`, as described in
    `assets.extra/metadata.json`; it is compiled by XLA for each shape.

    Args:
      trained: the checkpoint.
      folder: of the SavedModel, empty or absent.
      platforms: as of `make.write`.
    Raises:
      ValueError: a model of clips, a folder that is not empty, or TensorFlow or JAX's
        jax2tf is not installed.
      OSError: it cannot be written.
    """
    make.check_platforms(platforms)
    run, weights = make.function(trained)
    if folder.is_file():
        raise ValueError(f"{folder}: is a file; name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder}: is not empty; name a new folder")
    try:
        import tensorflow
        from jax.experimental import jax2tf
    except ImportError as error:
        raise ValueError(
            f"--format=saved_model needs TensorFlow and jax.experimental.jax2tf "
            f"({error}); pip install tensorflow-cpu, or export with --format=jax"
        ) from error
    tf: Any = tensorflow
    converted = jax2tf.convert(
        run,
        polymorphic_shapes=[None, "b, h, w, 3", "b, 2", None],
        native_serialization_platforms=tuple(platforms),
        with_gradient=False,
    )
    module: Any = tf.Module()
    module.weights = [tf.Variable(weight, trainable=False) for weight in weights]
    module.call = tf.function(
        lambda images, sizes, seed: dict(
            zip(
                ("semantic", "instance", "certainty"),
                converted(module.weights, images, sizes, seed),
                strict=True,
            )
        ),
        input_signature=[
            tf.TensorSpec((None, None, None, 3), tf.uint8, name="images"),
            tf.TensorSpec((None, 2), tf.int32, name="sizes"),
            tf.TensorSpec((), tf.uint32, name="seed"),
        ],
        autograph=False,
    )
    try:
        tf.saved_model.save(module, str(folder), signatures=module.call)
        extra = folder / "assets.extra"
        extra.mkdir(exist_ok=True)
        described = make.metadata(trained, platforms)
        described["inputs"] = described["inputs"][1:]  # the weights are inside
        text = json.dumps(described, indent=2) + "\n"
        (extra / "metadata.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(folder, error) from error
