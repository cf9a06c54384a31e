"""A checkpoint -> the program, weights and metadata of an exported file."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from pix2seq_d import __version__
from pix2seq_d.export import file, program
from pix2seq_d.training.checkpoint import Trained

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def write(
    trained: Trained, path: Path, *, platforms: Sequence[str] = ("cpu", "cuda", "tpu")
) -> None:
    """Exports a model of images; batch and photo sizes stay open.

    Args:
      trained: the checkpoint; its config's sampler, dtype, min_area, split_ids and
        instances are built in.
      path: of the file.
      platforms: that the program is lowered for, of `PLATFORMS`; none has to be here.
    Raises:
      ValueError: a platform that there is not, or a model of clips.
      OSError: the file cannot be written.
    """
    check_platforms(platforms)
    run, weights = function(trained)
    file.make_folder(path)
    b, h, w = export.symbolic_shape("b, h, w")
    made = export.export(jax.jit(run), platforms=tuple(platforms))(
        [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in weights],
        jax.ShapeDtypeStruct((b, h, w, 3), jnp.uint8),
        jax.ShapeDtypeStruct((b, 2), jnp.int32),
        jax.ShapeDtypeStruct((), jnp.uint32),
    )
    file.save(path, bytes(made.serialize()), weights, metadata(trained, platforms))


def check_platforms(platforms: Sequence[str]) -> None:
    """Raises ValueError unless all are of `PLATFORMS`, and there is one."""
    unknown = [name for name in platforms if name not in PLATFORMS]
    if unknown or not platforms:
        raise ValueError(
            f"platforms: {unknown[0] if unknown else 'none'!r} is unknown; choose some "
            f"of {', '.join(PLATFORMS)}"
        )


def function(trained: Trained) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """What is exported, (weights, images, sizes, seed) -> maps, and its weights.

    Raises:
      ValueError: a model of clips.
    """
    if trained.config.model.num_cond_frames:
        raise ValueError(
            f"{trained.workdir}: is a model of video, whose state an exported file "
            "cannot hold yet; export a model of images"
        )
    leaves, tree = jax.tree.flatten(trained.variables)

    def run(weights: Sequence[jax.Array], *arrays: jax.Array) -> Any:
        return program.segment(
            jax.tree.unflatten(tree, weights),
            *arrays,
            config=trained.config,
            label_space=trained.labels,
        )

    return run, [np.asarray(leaf) for leaf in leaves]


def metadata(trained: Trained, platforms: Sequence[str]) -> dict[str, Any]:
    """What an exported model says of itself."""
    config = trained.config
    return {
        "made_with": {"pix2seq_d": __version__, "jax": jax.__version__},
        "platforms": list(platforms),
        "step": trained.step,
        "num_steps": config.diffusion.num_steps,
        "image_size": list(config.model.image_size),
        "mask_size": list(config.model.mask_size),
        "dtype": config.train.dtype,
        "min_area": config.evaluation.min_area,
        "categories": trained.labels.to_json(),
        "void": trained.labels.void_id,
        "config": dataclasses.asdict(config),
        "inputs": [
            "weights: the arrays weight/0000, weight/0001, ... in this order",
            "images: uint8 [b, h, w, 3] RGB, padded right and below to one size",
            "sizes: int32 [b, 2], (height, width) of each image in it",
            "seed: uint32 []",
        ],
        "outputs": [
            "semantic: int32 [b, h, w], ids of `categories`, `void` elsewhere",
            "instance: int32 [b, h, w], ids of things within an image, 0 elsewhere",
            "certainty: float32 [b, h, w] in [0, 1], for ranking",
        ],
    }
