"""The numbers of the training."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All numbers of the training that are not the defaults of `transformers`.

    Attributes:
      minutes: how long the steps may take, together.
      batch: images a step.
      seed: of the random numbers.
      learning_rate: the largest one, of weights that begin random.
      color_jitter: strength, as of our data.color_jitter; 0 leaves colours alone.
      backbone_lr_factor: weights of the ResNet's file learn so many times as fast.
      weight_decay: of AdamW; norms and embeddings have none.
      clip_norm: largest norm of all gradients together.
      warmup: share of the time in which the rate rises; then it falls linearly to 0.
      scale_jitter: smallest and largest factor by which an image is enlarged; a crop of
        the old size is what the network sees.
      flip: share of the images that are mirrored.
      model: fields of `Mask2FormerConfig` that are not its defaults.
    """

    minutes: float
    batch: int
    seed: int
    learning_rate: float
    color_jitter: float
    backbone_lr_factor: float = 0.1
    weight_decay: float = 0.05
    clip_norm: float = 0.01
    warmup: float = 0.02
    scale_jitter: tuple[float, float] = (1.0, 3.0)
    flip: float = 0.5
    model: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {"num_queries": 150}
    )
