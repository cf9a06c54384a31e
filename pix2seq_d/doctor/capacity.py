"""Whether a model can hold the dataset: classes and instances against its bits."""

import dataclasses

from pix2seq_d.config import Config
from pix2seq_d.doctor.finding import Finding
from pix2seq_d.doctor.statistics import Statistics
from pix2seq_d.instance_ids import IdRule
from pix2seq_d.labels import LabelSpace

TINY_BITS = 7  # of configs/custom.py:tiny


@dataclasses.dataclass(frozen=True)
class Capacity:
    """What a model holds.

    Attributes:
      max_instances: number of instance ids, 0 included.
      bits: of the semantic and of the instance id.
      rule: which segments have instance ids; None: as the dataset's reference.
    """

    max_instances: int = 256
    bits: int = 8
    rule: IdRule | None = None


def of(config: Config) -> Capacity:
    """What the model of a config holds."""
    model = config.model
    return Capacity(model.max_instances, model.bits_per_channel, config.data.ids)


def remarks(
    statistics: Statistics,
    labels: LabelSpace | None,
    *,
    where: str,
    model: Capacity | None = None,
) -> list[Finding]:
    """Findings about a split as a whole.

    Args:
      statistics: counts of the split.
      labels: its categories, if they can be read.
      where: its file or folder.
      model: None, where no config was named: then what custom:tiny cannot hold is
        worth a note, too.
    """
    num_classes = labels.num_classes if labels else 0
    bits = (model or Capacity()).bits
    if num_classes > 2**bits:
        message = f"has {num_classes - 1} classes, {bits} bits hold {2**bits - 1}"
        needed = (num_classes - 1).bit_length()
        cure = f"pass --config.model.bits_per_channel={needed}, or merge classes"
        return [Finding("too_many_classes", where, message, cure)]
    segments = statistics.most_numbered
    if model is None and max(num_classes, segments + 1) > 2**TINY_BITS:
        message = (
            f"has {num_classes - 1} classes and up to {segments} segments in an image, "
            f"custom:tiny holds {2**TINY_BITS - 1} of either"
        )
        cure = (
            "train custom:small or custom:paper, or custom:tiny with "
            "--config.model.bits_per_channel=8 --config.model.max_instances=256"
        )
        return [Finding("needs_8_bits", where, message, cure)]
    return []
