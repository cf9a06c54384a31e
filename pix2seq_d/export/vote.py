"""From a decoded mask to segments under `jax.jit`, as an exported file does it."""

import jax
import jax.numpy as jnp

from pix2seq_d.config import Config
from pix2seq_d.export.regions import root_of_regions
from pix2seq_d.inference.device_postprocess import majority_vote
from pix2seq_d.labels import VOID, LabelSpace


def by_id(
    labels: jax.Array,
    rows: jax.Array,
    columns: jax.Array,
    *,
    config: Config,
    label_space: LabelSpace,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`postprocess.voted_channels` of one mask as it is shown; void has id 0.

    Args:
      labels: [h, w, 2] int32 (semantic, instance).
      rows: [h] int32, how often each row is shown.
      columns: [w] int32, likewise.
      config: evaluation, rule of ids.
      label_space: the categories.
    Returns:
      semantic, instance [h, w] int32, and [h, w] bool, whether the vote left the
      pixel its class.
    """
    rule, num_ids = config.data.ids, config.model.max_instances
    semantic, instance = labels[..., 0], labels[..., 1]
    if not rule.classes:  # the ids alone count: all are of the first class
        semantic = (instance > 0).astype(jnp.int32)
    decoded = semantic
    if rule.splits(config.evaluation.split_ids):  # as `told_apart`
        num_classes = label_space.num_classes
        votes = jnp.zeros((num_ids, num_classes), jnp.int32)
        votes = votes.at[instance, semantic].add(rows[:, None] * columns)
        void, votes = votes[:, VOID], votes.at[:, VOID].set(0)
        least = config.evaluation.min_area
        if not rule.shares:  # as `least_own`, in whole numbers that fit
            original = rows.sum() * columns.sum()
            small = (rows > 0).sum() * (columns > 0).sum()
            whole, rest = original // small, original % small
            least = least * whole - (-least * rest) // small
        is_own = votes >= jnp.maximum(least, 1)
        largest = votes.argmax(axis=1).astype(jnp.int32)
        class_ = jnp.where(is_own[instance, semantic], semantic, largest[instance])
        outvotes = (is_own.sum(axis=1) > 1) & (void >= votes.max(axis=1))
        no_part = (semantic == VOID) & outvotes[instance]
        has_id = (instance > 0) & ~no_part
        instance = jnp.where(has_id, class_ * num_ids + instance, 0)
        num_ids *= num_classes
    if not rule.stuff:  # every stuff class is one segment
        is_thing = jnp.asarray(label_space.is_thing)
        numbered = ~is_thing[semantic] & (semantic != VOID) & (instance == 0)
        instance = jnp.where(numbered, num_ids + semantic, instance)
        num_ids += label_space.num_classes
    voted = majority_vote(
        jnp.stack([semantic, instance], -1)[None],
        rows[None],
        columns[None],
        num_classes=label_space.num_classes,
        num_ids=num_ids,
        min_area=config.evaluation.min_area,
    )[0]
    semantic, instance = voted[..., 0], voted[..., 1]
    semantic = jnp.where(instance == 0, VOID, semantic)
    return semantic, jnp.where(semantic == VOID, 0, instance), semantic == decoded


def by_region(
    labels: jax.Array,
    rows: jax.Array,
    columns: jax.Array,
    *,
    content: jax.Array,
    config: Config,
    label_space: LabelSpace,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`by_id` where a thing is a connected region, as `inference.regions` has it.

    Args:
      labels: as of `by_id`, as all that follow.
      rows: likewise.
      columns: likewise.
      content: [2] int32, rows and columns of the photo in the network's input.
      config: likewise.
      label_space: likewise.
    Returns:
      As of `by_id`.
    """
    row_inside, column_inside = (  # as `data.evaluation.content_of_mask`
        jnp.arange(mask) <= (2 * content[axis] - 1) * mask // (2 * image)
        for axis, (mask, image) in enumerate(
            zip(config.model.mask_size, config.model.image_size, strict=True)
        )
    )
    inside = row_inside[:, None] & column_inside
    decoded = labels[..., 0]
    is_thing = jnp.asarray(label_space.is_thing)[decoded]
    number = label_space.num_classes + root_of_regions(decoded, is_thing & inside)
    number = jnp.where(is_thing, number, jnp.where(decoded == VOID, 0, decoded))
    area = jnp.zeros(label_space.num_classes + decoded.size + 1, jnp.int32)
    area = area.at[number].add(rows[:, None] * columns)
    is_kept = (area >= jnp.maximum(config.evaluation.min_area, 1)).at[0].set(False)
    instance = jnp.where(is_kept, jnp.cumsum(is_kept), 0)[number]  # 1, 2, ...
    semantic = jnp.where(is_kept[number], decoded, VOID)
    return semantic, instance, semantic == decoded
