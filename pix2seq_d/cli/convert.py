r"""Weights of other projects or of another stage -> a checkpoint of this project.

  python -m launch.convert --from=work/low --config=custom:paper --output=work/high \
      --config.model.image_size="(1024,1024)" --config.model.mask_size="(512,512)"
  python -m launch.convert --from=work/masks --encoder=objects365/ckpt-400000 \
      --config=custom:paper --output=work/start

Prints what was copied, widened, newly made or dropped. The output is a workdir at step
0: launch.predict and launch.evaluate take it, launch.train goes on from it, and
--config.init.from=DIR starts another training from it. No training data is needed.
"""

import sys
from pathlib import Path

import jax
import ml_collections
from absl import flags

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app
from pix2seq_d.config import Config
from pix2seq_d.convert import start, weights
from pix2seq_d.convert.report import Source
from pix2seq_d.convert.transfer import Transferred, transfer
from pix2seq_d.data import sources
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_index import read_label_space
from pix2seq_d.training import optimizer as optimizers
from pix2seq_d.training import state as states
from pix2seq_d.training import workdir as workdirs
from pix2seq_d.training.store import CheckpointStore


def main(argv: list[str]) -> None:
    """The command `convert`."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    text("from", "Weights: a workdir, a TensorFlow checkpoint, a ResNet file.")
    flags.DEFINE_enum(
        "kind",
        None,
        weights.KINDS,
        "What --from is: official (panoptic TensorFlow checkpoint), detection (its "
        "image encoder), resnet50 (.npz, .safetensors), checkpoint (of this project: "
        "stage transfer). Seen from the path by default.",
        flag_values=values,
    )
    text("encoder", "Weights for the image encoder only, of any kind.")
    text("labels", "COCO panoptic JSON with the classes, where the weights have none.")
    text("output", "Workdir to make.")
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "config", "output")
    if not values["from"].value and not values.encoder:
        raise app.UsageError("--from is missing; --help explains it")
    fields = values.config
    assert isinstance(fields, ml_collections.ConfigDict)
    if fields.init.from_ or fields.init.encoder:
        raise app.UsageError("--config.init.*: pass --from and --encoder instead")
    output = Path(values.output)
    if any(output.glob("checkpoints/[0-9]*")):
        raise app.UsageError(
            f"--output={output} holds a training already; take another folder"
        )
    config = config_lib.from_config_dict(fields)
    given = labels_of(config, values.labels)
    if given is not None:
        config = sources.with_label_space(config, given)
    read = []
    if values.encoder:
        read.append(weights.read(values.encoder, config.model, encoder_only=True))
    if values["from"].value:
        read.append(weights.read(values["from"].value, config.model, kind=values.kind))
    labels = given or _labels_in(read)
    config = sources.with_label_space(config, labels)
    made = transfer(
        [start.with_label_note(source, labels) for source in read],
        config.model,
        key=jax.random.key(config.train.seed),
    )
    save(made, output, config=config, labels=labels)
    print(made.report)
    print(f"checkpoint: {output}", file=sys.stderr)


def labels_of(config: Config, path: str | None) -> LabelSpace | None:
    """The label space of `--labels`, else of the config's data, else None.

    Raises:
      ValueError, OSError: the file or the data set cannot be read.
    """
    if path:
        return read_label_space(path)
    source = config.data.source
    if source.root or source.name in ("shapes", "shapes_video"):
        size = config.model.image_size
        return sources.make_source(source, train=False, size=size).label_space
    return None


def _labels_in(read: list[Source]) -> LabelSpace:
    for source in read:
        if source.labels is not None:
            return source.labels
    raise app.UsageError(
        "--labels is missing: these weights do not name their classes; give a COCO "
        "panoptic JSON that does, or --config.data.source.root=DIR"
    )


def save(
    made: Transferred, output: Path, *, config: Config, labels: LabelSpace
) -> None:
    """Writes a workdir at step 0."""
    output = output.resolve()
    workdirs.claim(output, config, flag="output")
    optimizer = optimizers.make(config.optimizer, num_steps=config.train.num_steps)
    state = states.of(made.variables, made.ema, optimizer=optimizer)
    with CheckpointStore(output, keep=config.train.keep) as store:
        store.save(state, config=config, labels=labels)
