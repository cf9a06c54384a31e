"""Training transforms of one image and its label map, in TensorFlow.

Each is a pure function example -> example. An example is a dict of `image`,
float32 [H, W, 3] in [0, 1], and `labels`, int32 [H, W, 2] (semantic, instance).
Every random choice comes from a `seed`, int32 [2]. Source: spec 5.3.
"""

import os
from collections.abc import Callable, Sequence

from pix2seq_d.data.evaluation import PAD_VALUE

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # announces itself otherwise

import tensorflow as tf  # after the two lines above, which quieten its import

Example = dict[str, tf.Tensor]


def train_example(
    example: Example,
    *,
    seed: tf.Tensor,
    image_size: Sequence[int],
    mask_size: Sequence[int],
    max_instances: int,
    scale_range: Sequence[float],
    color_strength: float,
    flip: float,
) -> Example:
    """All training transforms, in the order of spec 5.3, then random instance ids.

    Args:
      example: any size.
      seed: [2] int32.
      image_size: (H, W) of the network's input.
      mask_size: (h, w) of the masks.
      max_instances: number of instance ids, 0 included.
      scale_range: bounds of the scale jitter; (1, 1) only fits the image.
      color_strength: S of the colour jitter; 0 leaves colours alone.
      flip: probability of the horizontal flip.

    Returns:
      `image` float32 [*image_size, 3], `labels` int32 [*mask_size, 2].
    """
    seeds = tf.random.split(seed, 5)
    example = scale_jitter(
        example, seed=seeds[0], image_size=image_size, scale_range=scale_range
    )
    example = crop(example, seed=seeds[1], image_size=image_size)
    example = flip_horizontally(example, seed=seeds[2], probability=flip)
    if color_strength > 0:
        example = jitter_colors(example, seed=seeds[3], strength=color_strength)
    example = pad(example, image_size=image_size)
    example = resize_labels(example, mask_size=mask_size)
    example = randomise_ids(example, seed=seeds[4], max_instances=max_instances)
    return {
        "image": tf.ensure_shape(example["image"], (*image_size, 3)),
        "labels": tf.ensure_shape(example["labels"], (*mask_size, 2)),
    }


def scale_jitter(
    example: Example,
    *,
    seed: tf.Tensor,
    image_size: Sequence[int],
    scale_range: Sequence[float],
) -> Example:
    """Resizes to floor(scale (H, W)), scale = min(s T / (H, W)), s ~ U[scale_range].

    T is `image_size`. The image is resized bilinearly with antialias, the labels
    nearest. Source: spec 5.3, step 2; the 1e-6 is ours, so that an exact fit is
    not one pixel short by rounding error.
    """
    low, high = scale_range
    s = low + (high - low) * tf.random.stateless_uniform([], seed, dtype=tf.float64)
    shape = tf.cast(tf.shape(example["image"])[:2], tf.float64)
    scale = tf.reduce_min(s * tf.constant(image_size, tf.float64) / shape)
    size = tf.maximum(tf.cast(scale * shape + 1e-6, tf.int32), 1)
    return {
        "image": tf.image.resize(example["image"], size, antialias=True),
        "labels": tf.image.resize(example["labels"], size, method="nearest"),
    }


def crop(example: Example, *, seed: tf.Tensor, image_size: Sequence[int]) -> Example:
    """Crops to at most `image_size`; one u ~ U[0, 1) places both axes.

    offset = floor(u max((H, W) - image_size, 0)). Source: spec 5.3, step 3.
    """
    shape = tf.shape(example["image"])[:2]
    slack = tf.maximum(shape - tf.constant(image_size), 0)
    u = tf.random.stateless_uniform([], seed)
    offset = tf.cast(u * tf.cast(slack, tf.float32), tf.int32)
    size = tf.minimum(shape, tf.constant(image_size))

    def cut(x: tf.Tensor) -> tf.Tensor:
        return tf.slice(x, [offset[0], offset[1], 0], [size[0], size[1], x.shape[2]])

    return {key: cut(x) for key, x in example.items()}


def flip_horizontally(
    example: Example, *, seed: tf.Tensor, probability: float
) -> Example:
    """Mirrors image and labels together with a probability (spec 5.3, step 4)."""
    flipped = tf.random.stateless_uniform([], seed) < probability
    return {
        key: tf.cond(flipped, lambda x=x: tf.reverse(x, [1]), lambda x=x: x)
        for key, x in example.items()
    }


def jitter_colors(example: Example, *, seed: tf.Tensor, strength: float) -> Example:
    """With p 0.8 four colour changes in random order; then, with p 0.2, grey.

    Each change is clipped to [0, 1]. With S = `strength`: brightness times
    U[max(1 - 0.8 S, 0), 1 + 0.8 S]; contrast about the mean of each channel and
    saturation times U[1 - 0.8 S, 1 + 0.8 S]; hue plus U[-0.2 S, 0.2 S] of the
    circle. Source: spec 5.3, step 5.
    """
    order_seed, jitter_seed, grey_seed, *seeds = tf.unstack(tf.random.split(seed, 7))
    wide = 0.8 * strength

    def uniform(k: int, low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform([], seeds[k], low, high)

    changes: list[Callable[[tf.Tensor], tf.Tensor]] = [
        lambda x: x * uniform(0, max(1 - wide, 0.0), 1 + wide),
        lambda x: tf.image.adjust_contrast(x, uniform(1, 1 - wide, 1 + wide)),
        lambda x: tf.image.adjust_saturation(x, uniform(2, 1 - wide, 1 + wide)),
        lambda x: tf.image.adjust_hue(x, uniform(3, -0.2 * strength, 0.2 * strength)),
    ]

    def jitter(image: tf.Tensor) -> tf.Tensor:
        order = tf.argsort(tf.random.stateless_uniform([len(changes)], order_seed))
        for k in range(len(changes)):
            branches = [lambda x=image, change=change: change(x) for change in changes]
            image = tf.clip_by_value(tf.switch_case(order[k], branches), 0.0, 1.0)
        return image

    def grey(image: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.image.rgb_to_grayscale(image), [1, 1, 3])

    image = example["image"]
    is_jittered = tf.random.stateless_uniform([], jitter_seed) < 0.8
    image = tf.cond(is_jittered, lambda x=image: jitter(x), lambda x=image: x)
    is_grey = tf.random.stateless_uniform([], grey_seed) < 0.2
    image = tf.cond(is_grey, lambda x=image: grey(x), lambda x=image: x)
    return example | {"image": tf.clip_by_value(image, 0.0, 1.0)}


def pad(example: Example, *, image_size: Sequence[int]) -> Example:
    """Pads below and right to `image_size`: image 0.3, labels 0 (spec 5.3, step 6)."""
    missing = tf.constant(image_size) - tf.shape(example["image"])[:2]
    paddings = [[0, missing[0]], [0, missing[1]], [0, 0]]
    return {
        "image": tf.pad(example["image"], paddings, constant_values=PAD_VALUE),
        "labels": tf.pad(example["labels"], paddings),
    }


def resize_labels(example: Example, *, mask_size: Sequence[int]) -> Example:
    """Labels to `mask_size`, nearest, half-pixel centres (spec 5.3, step 7)."""
    labels = tf.image.resize(example["labels"], mask_size, method="nearest")
    return example | {"labels": labels}


def randomise_ids(example: Example, *, seed: tf.Tensor, max_instances: int) -> Example:
    """Looks instance ids up in a random permutation of 1 ... max_instances - 1.

    Id 0 stays. Ids must be below `max_instances`. Source: spec 1.1, id mode
    `random`.
    """
    order = tf.argsort(tf.random.stateless_uniform([max_instances - 1], seed))
    new_id = tf.concat([[0], 1 + order], 0)
    semantic, instance = tf.unstack(example["labels"], axis=-1)
    labels = tf.stack([semantic, tf.gather(new_id, instance)], -1)
    return example | {"labels": labels}
