"""Exports a checkpoint as one file that JAX and NumPy alone can run.

  python -m launch.export --checkpoint=work/shapes --num_steps=10 --output=shapes.npz

The file holds a StableHLO program of `jax.export` (resize, encoder, sampler, decoding,
majority vote), the weights, the classes and the config. Batch and image sizes stay
open. With --format=saved_model it is a TensorFlow SavedModel. How to run them:
docs/export.md. With --format=weights it is a checkpoint in one small file, for whatever
takes a checkpoint: docs/models.md.
"""

import dataclasses
from pathlib import Path

from absl import flags

from pix2seq_d.cli import app, sampler_flags
from pix2seq_d.config.training import DTYPES, INSTANCES
from pix2seq_d.export import file, make, saved_model
from pix2seq_d.training import checkpoint, model_file


def main(argv: list[str]) -> None:
    """The command `export`."""
    values = app.new_flags()

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    def number(name: str, doc: str, lowest: int) -> None:
        flags.DEFINE_integer(name, None, doc, flag_values=values, lower_bound=lowest)

    text("checkpoint", f"{app.CHECKPOINT}.")
    text("output", "The file, e.g. model.npz.")
    number("num_steps", "Sampler steps; the checkpoint's by default.", 1)
    sampler_flags.define(values)
    number("min_area", "Smallest segment, px; the checkpoint's by default.", 0)
    flags.DEFINE_enum(
        "instances",
        None,
        list(INSTANCES),
        "What a thing is: what has an id, or a connected region of a class; the "
        "checkpoint's by default.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "dtype",
        None,
        list(DTYPES),
        "Of the computation; the checkpoint's by default.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "platforms",
        ["cpu", "cuda", "tpu"],
        f"That it shall run on: some of {', '.join(make.PLATFORMS)}.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "format",
        "jax",
        ["jax", "saved_model", "weights"],
        "A file for JAX; a folder, TensorFlow's SavedModel; or the moving average in "
        "float16, a safetensors file for --checkpoint and init.from.",
        flag_values=values,
    )
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "checkpoint", "output")
    output = Path(values.output)
    if output.is_dir() and values.format != "saved_model":
        raise app.UsageError(f"--output={output} is a folder; name the file in it")
    if values.format == "weights" and values["platforms"].present:
        raise app.UsageError("--platforms: weights are for all; leave it out")
    trained = checkpoint.load(values.checkpoint)
    config = trained.config.replaced(
        diffusion=sampler_flags.given(values) | {"num_steps": values.num_steps},
        evaluation={"min_area": values.min_area, "instances": values.instances},
        train={"dtype": values.dtype},
    )
    trained = dataclasses.replace(trained, config=config)
    platforms = f", for {', '.join(values.platforms)}"
    if values.format == "jax":
        make.write(trained, output, platforms=values.platforms)
    elif values.format == "saved_model":
        saved_model.write(trained, output, platforms=values.platforms)
    else:
        file.make_folder(output)
        weights = (trained.variables, trained.config, trained.labels, trained.step)
        model_file.save(output, model_file.Model(*weights, about={}))
        platforms = ""
    files = [output] if output.is_file() else output.rglob("*")
    size = sum(path.stat().st_size for path in files if path.is_file())
    print(
        f"{output}: {size / 1e6:.1f} MB, step {trained.step}, "
        f"{config.diffusion.num_steps} sampler steps{platforms}"
    )
