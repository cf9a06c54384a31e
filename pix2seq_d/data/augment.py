"""What chance decides about one training example, drawn in NumPy for every pipeline.

One Philox stream for each (seed, epoch, index): an example's augmentation does not
depend on the order, the workers, the process or the pipeline that applies it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

# Kept apart from the shuffle's stream, whose key has the same seed.
_STREAM = 1


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How much training examples vary (spec 5.3)."""

    scale_jitter: tuple[float, float] = (1.0, 1.0)  # bounds of s; (1, 1): only fits
    color_jitter: float = 0.0  # strength S in [0, 1]
    flip: float = 0.5  # probability of the horizontal flip
    frame_dropout: float = 0.2  # probability that a past frame's labels are hidden


FLIP_ONLY = Augmentation()


class ImageDraw(NamedTuple):
    """What is drawn for an image: NumPy arrays, or those of a pipeline made of them.

    Attributes:
      size: [2] int32, (h, w) that it is resized to.
      offset: [2] int32, (y, x) of the crop in it.
      flip: [] bool.
      jitter: [] bool, whether the colours change.
      order: [4] int32, in which brightness (0), contrast, saturation, hue (3) change.
      factors: [4] float32: of brightness, contrast and saturation; shift of the hue.
      grey: [] bool, whether it becomes grey.
    """

    size: Any
    offset: Any
    flip: Any
    jitter: Any
    order: Any
    factors: Any
    grey: Any


class LabelDraw(NamedTuple):
    """What is drawn for label maps.

    Attributes:
      rows: [h] int32, which row of the original label map each row of the masks
        shows after resize, crop, flip and padding; -1: padding.
      cols: [w] int32, the same for columns.
      keep: [F] bool, which past frames' labels are shown.
      new_id: [max_instances] int32, new instance id of each; new_id[0] is 0.
    """

    rows: Any
    cols: Any
    keep: Any
    new_id: Any


class Draw(NamedTuple):
    """The draws of one example."""

    image: ImageDraw
    labels: LabelDraw


def stream(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random stream of one example in one epoch: Philox, keyed (ours).

    Args:
      seed: of the run, in [0, 2**64).
      epoch: number of the epoch, >= 0.
      index: of the example in its source, >= 0.
    """
    key = np.array([seed, _STREAM], np.uint64)
    # The lower two words count the stream's own numbers.
    counter = np.array([0, 0, epoch, index], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def draw(
    rng: np.random.Generator,
    *,
    augmentation: Augmentation,
    original: Sequence[int],
    image_size: Sequence[int],
    mask_size: Sequence[int],
    id_range: int,
    max_instances: int,
    num_past: int = 0,
) -> Draw:
    """Draws everything for one example.

    Every number is drawn whatever the options, so that one option does not change
    what another does.

    Args:
      rng: of `stream`.
      augmentation: how much may vary.
      original: (H, W) of the image.
      image_size: (H, W) of the network's input.
      mask_size: (h, w) of the masks.
      id_range: ids 1 ... id_range are permuted; 0: none.
      max_instances: number of instance ids, 0 included.
      num_past: F, number of past frames.
    Source: spec 5.3, steps 2 to 5 and 7; spec 1.1, id modes.
    """
    low, high = augmentation.scale_jitter
    size = scaled_size(original, image_size, low + (high - low) * rng.random())
    # One number for both axes, as in the reference.
    slack = np.maximum(size - np.array(image_size), 0)
    offset = (rng.random() * slack).astype(np.int32)
    flip = rng.random() < augmentation.flip
    strength = augmentation.color_jitter
    jitter, grey = rng.random() < 0.8, rng.random() < 0.2
    order = rng.permutation(4).astype(np.int32)
    wide = np.array([0.8, 0.8, 0.8, 0.2]) * strength
    low4 = np.array([1.0, 1.0, 1.0, 0.0]) - wide
    low4[0] = max(low4[0], 0.0)
    high4 = np.array([1.0, 1.0, 1.0, 0.0]) + wide
    factors = (low4 + (high4 - low4) * rng.random(4)).astype(np.float32)
    keep = rng.random(num_past) >= augmentation.frame_dropout
    new_id = np.arange(max_instances, dtype=np.int32)
    new_id[1 : id_range + 1] = 1 + rng.permutation(id_range)
    rows, cols = (
        _shown(
            size[axis],
            offset[axis],
            original[axis],
            large=image_size[axis],
            small=mask_size[axis],
            flip=flip and axis == 1,
        )
        for axis in (0, 1)
    )
    image = ImageDraw(
        size=size,
        offset=offset,
        flip=np.array(flip),
        jitter=np.array(jitter and strength > 0),
        order=order,
        factors=factors,
        grey=np.array(grey and strength > 0),
    )
    return Draw(image, LabelDraw(rows, cols, keep, new_id))


def _shown(
    size: int, offset: int, original: int, *, large: int, small: int, flip: bool
) -> np.ndarray:
    """[small] int32: one axis of `LabelDraw.rows` and `cols`.

    Nearest neighbour with half-pixel centres, floor((i + 0.5) old / new), twice: to
    the resized image and to the masks. In integers: TensorFlow's float32 misses
    exact ties by one.
    """
    content = min(size - offset, large)
    at = (2 * np.arange(small) + 1) * large // (2 * small)
    is_content = at < content
    at = (content - 1 - at if flip else at) + offset
    return np.where(is_content, (2 * at + 1) * original // (2 * size), -1).astype(
        np.int32
    )


def scaled_size(
    original: Sequence[int], image_size: Sequence[int], s: float
) -> np.ndarray:
    """[2] int32: floor(scale (H, W)), at least 1; scale = min(s T / (H, W)).

    T is `image_size`. Source: spec 5.3, step 2; the 1e-6 is ours, so that an exact
    fit is not one pixel short by rounding error.
    """
    shape = np.array(original[:2], np.float64)
    scale = (s * np.array(image_size, np.float64) / shape).min()
    return np.maximum((scale * shape + 1e-6).astype(np.int32), 1)
