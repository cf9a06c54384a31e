"""From photos to labels in one function of arrays: what an exported file computes."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pix2seq_d.config import Config
from pix2seq_d.data.evaluation import PAD_VALUE
from pix2seq_d.data.resize_matrix import resize_matrix
from pix2seq_d.export import vote
from pix2seq_d.inference import image
from pix2seq_d.labels import LabelSpace
from pix2seq_d.models import Pix2SeqD


def segment(
    variables: Any,
    images: jax.Array,
    sizes: jax.Array,
    seed: jax.Array,
    *,
    config: Config,
    label_space: LabelSpace,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Resize, encode, sample, decode, back to the photo's size, majority vote.

    Args:
      variables: {'params', 'batch_stats'}.
      images: [B, H, W, 3] uint8 RGB; photos of other sizes are padded right and below.
      sizes: [B, 2] int32, (height, width) of each photo in it.
      seed: [] uint32, of the noise, which is the same for every photo.
      config: model, sampler, dtype, evaluation, rule of ids.
      label_space: the categories.
    Returns:
      semantic [B, H, W] int32, category ids, `label_space.void_id` for void and
      outside of the photo;
      instance [B, H, W] int32, ids of things within the image, 0 elsewhere;
      certainty [B, H, W] float32, `inference.certainty`, 0 where the vote overruled.
    Source: spec 6.1; `Segmenter.predict` does the same.
    """
    fitted, content = jax.vmap(lambda x, s: fit(x, s, config.model.image_size))(
        images, sizes
    )
    key = jax.random.fold_in(jax.random.key(seed), 0)
    keys = jax.vmap(lambda _: key)(sizes)
    labels, certainty = image.predict(
        variables,
        fitted,
        keys,
        model=Pix2SeqD(config.model, dtype=jnp.dtype(config.train.dtype)),
        diffusion=config.diffusion,
        return_certainty=True,
    )

    def finish(
        labels: jax.Array, certainty: jax.Array, content: jax.Array, size: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        (rows, row_inside), (columns, column_inside) = (
            shown(
                images.shape[1 + axis],
                mask=config.model.mask_size[axis],
                image=config.model.image_size[axis],
                content=content[axis],
                original=size[axis],
            )
            for axis in (0, 1)
        )
        times = [
            jnp.zeros(side, jnp.int32).at[index].add(inside.astype(jnp.int32))
            for side, index, inside in zip(
                config.model.mask_size,
                (rows, columns),
                (row_inside, column_inside),
                strict=True,
            )
        ]
        told_apart = vote.by_id
        if config.evaluation.instances == "regions":
            told_apart = functools.partial(vote.by_region, content=content)
        semantic, instance, agrees = told_apart(
            labels, *times, config=config, label_space=label_space
        )
        maps = (
            jnp.asarray(label_space.category_ids, jnp.int32)[semantic],
            jnp.where(jnp.asarray(label_space.is_thing)[semantic], instance, 0),
            jnp.where(agrees, certainty, 0),
        )
        inside = row_inside[:, None] & column_inside[None, :]
        semantic, instance, certainty = (
            jnp.where(inside, small[rows[:, None], columns[None, :]], outside)
            for small, outside in zip(maps, (label_space.void_id, 0, 0), strict=True)
        )
        return semantic, instance, certainty

    return jax.vmap(finish)(labels, certainty, content, sizes)


def fit(
    image: jax.Array, size: jax.Array, image_size: Sequence[int]
) -> tuple[jax.Array, jax.Array]:
    """`data.evaluation.fit_image` in JAX, of a photo that may be padded.

    Args:
      image: [H, W, 3] uint8.
      size: [2] int32, (height, width) of the photo in it.
      image_size: (height, width) of the network's input.
    Returns:
      [*image_size, 3] float32 in [0, 1], and (h, w) int32 [2] of the content.
    """
    content = fit_size(size, image_size)
    rows, columns = (
        resize_matrix(
            image.shape[axis],
            old=size[axis],
            new=content[axis],
            at=jnp.minimum(jnp.arange(image_size[axis]), content[axis] - 1),
            method="bilinear",
        )
        for axis in (0, 1)
    )
    pixels = image.astype(jnp.float32)
    # At full precision on every device: bits near zero hang on it.
    highest = jax.lax.Precision.HIGHEST
    pixels = jnp.einsum("xw,hwc->hxc", columns, pixels, precision=highest)
    pixels = jnp.einsum("yh,hxc->yxc", rows, pixels, precision=highest)
    inside = (jnp.arange(image_size[0])[:, None] < content[0]) & (
        jnp.arange(image_size[1])[None, :] < content[1]
    )
    return jnp.where(inside[..., None], pixels / 255, PAD_VALUE), content


def fit_size(size: jax.Array, image_size: Sequence[int]) -> jax.Array:
    """`data.evaluation.fit_size` in whole numbers: [2] int32.

    One side fits exactly, the other is image_side * other / side, rounded half to
    even, at least 1.
    """
    height, width = size[0], size[1]
    high = image_size[0] * width <= image_size[1] * height  # the height decides
    top = jnp.where(high, image_size[0], image_size[1])
    side = jnp.where(high, height, width)
    other = top * jnp.where(high, width, height)
    whole, rest = other // side, other % side
    up = (2 * rest > side) | ((2 * rest == side) & (whole % 2 == 1))
    other = jnp.maximum(whole + up, 1)
    return jnp.stack([jnp.where(high, top, other), jnp.where(high, other, top)])


def shown(
    side: int, *, mask: int, image: int, content: jax.Array, original: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Which row of the mask each row of the photo shows, as `restore` takes them.

    Args:
      side: rows of the photo with its padding, H.
      mask: rows of the mask.
      image: rows of the network's input.
      content: [] int32, rows of the photo in there.
      original: [] int32, rows of the photo.
    Returns:
      index [H] int32 in [0, mask), and [H] bool, whether the row is in the photo.
    """
    at = jnp.arange(side)
    inside = at < original
    in_image = (2 * jnp.minimum(at, original - 1) + 1) * content // (2 * original)
    return (2 * in_image + 1) * mask // (2 * image), inside
