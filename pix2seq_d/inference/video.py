"""Video, frame by frame: each mask conditions the next ones (spec 6.2).

The state is the masks of the last F frames. The same function of one frame serves a
stream and, in a `lax.scan`, whole clips.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from pix2seq_d import analog_bits
from pix2seq_d.config import DiffusionConfig, ModelConfig
from pix2seq_d.config.errors import require
from pix2seq_d.diffusion import adaptive
from pix2seq_d.inference.image import SELF_COND, decode_labels
from pix2seq_d.models import Pix2SeqD


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VideoState:
    """What a model remembers of B videos; a pytree of constant size.

    Attributes:
      past: [B, h, w, 2 F] int32, the decoded (semantic, instance) maps of the last F
        frames, oldest first; 0 where there was none.
      frame: [B] int32, number of frames seen.
    """

    past: jax.Array
    frame: jax.Array


def start(batch: int, config: ModelConfig) -> VideoState:
    """The state of `batch` videos before their first frames."""
    shape = (batch, *config.mask_size, 2 * config.num_cond_frames)
    return VideoState(jnp.zeros(shape, jnp.int32), jnp.zeros(batch, jnp.int32))


def check_sampler(diffusion: DiffusionConfig) -> None:
    """Raises ConfigError unless the sampler is DDIM, the one that videos have."""
    require(
        diffusion.sampler == "ddim",
        f"diffusion.sampler={diffusion.sampler!r}: videos are sampled by ddim; take it",
    )


def next_frame(
    variables: Any,
    state: VideoState,
    images: jax.Array,
    keys: jax.Array,
    *,
    model: Pix2SeqD,
    diffusion: DiffusionConfig,
) -> tuple[VideoState, jax.Array, jax.Array]:
    """Segments the next frame of every video.

    First frames take `diffusion.num_steps` steps, later ones `num_steps_next`. With
    `diffusion.new_share` a frame whose first estimate differs from the last mask in
    that share of its pixels (a cut, or much that is new) gets `num_steps`, too; with
    `diffusion.stop_changed` sampling stops when the decoded map does.

    Args:
      variables: {'params', 'batch_stats'}, as a rule the moving average.
      state: of the frames before.
      images: [B, H, W, 3] float32 in [0, 1], or uint8.
      keys: [B] typed keys, one for each video; a frame's noise is drawn from it and
        its number, so that a video may be stopped and gone on with.
      model: with `num_cond_frames` >= 1.
      diffusion: sampler settings; DDIM only.
    Returns:
      The state after it, labels [B, h, w, 2] int32 (semantic, instance) at mask size,
      steps [B] int32 that were taken.
    Source: spec 6.2; adaptive steps are ours.
    """
    config = model.config
    features = model.encode(variables, images)
    frame_keys = jax.vmap(jax.random.fold_in)(keys, state.frame)
    shape = (*config.mask_size, config.num_bits)
    x_init = jax.vmap(lambda key: jax.random.normal(key, shape))(frame_keys)
    cond_bits = analog_bits.encode(
        state.past, config.bits_per_channel, config.bit_scale
    )
    prepared = model.prepare(variables, features, cond_bits)

    def denoise(
        xt: jax.Array, gamma: jax.Array, estimate: jax.Array | None = None
    ) -> jax.Array:
        return model.estimate(variables, xt, gamma, prepared, estimate)

    def decode(x0: jax.Array) -> jax.Array:
        return decode_labels(x0, config)

    def choose(first: jax.Array) -> jax.Array:
        is_full = state.frame == 0
        if diffusion.new_share > 0:
            differs = jnp.any(first != state.past[..., -2:], axis=-1)
            share = jnp.mean(differs.astype(jnp.float32), axis=(1, 2))
            is_full |= share >= diffusion.new_share
        return jnp.where(is_full, 0, 1)

    x0, steps = adaptive.sample(
        denoise,
        x_init,
        budgets=(diffusion.num_steps, diffusion.num_steps_next),
        choose=choose,
        decode=decode,
        stop_changed=diffusion.stop_changed,
        time_difference=diffusion.time_difference,
        start_time=diffusion.start_time,
        schedule=diffusion.sample_schedule.make(),
        clip=config.bit_scale,
        self_cond=SELF_COND[config.self_cond_estimate],
    )
    labels = decode(x0)
    past = jnp.concatenate([state.past[..., 2:], labels], axis=-1)
    return VideoState(past, state.frame + 1), labels, steps


def next_frames(
    variables: Any,
    state: VideoState,
    images: jax.Array,
    keys: jax.Array,
    **settings: Any,
) -> tuple[VideoState, jax.Array, jax.Array]:
    """`next_frame` over the next T frames of every video, in one `lax.scan`.

    Args:
      variables: as of `next_frame`.
      state: of the frames before.
      images: [B, T, H, W, 3] float32 in [0, 1], or uint8.
      keys: [B] typed keys.
      **settings: `model` and `diffusion` of `next_frame`.
    Returns:
      The state after them, labels [B, T, h, w, 2] int32, steps [B, T] int32.
    """

    def step(state: VideoState, frame: jax.Array) -> tuple[VideoState, tuple]:
        state, labels, steps = next_frame(variables, state, frame, keys, **settings)
        return state, (labels, steps)

    state, (labels, steps) = jax.lax.scan(step, state, jnp.moveaxis(images, 1, 0))
    return state, jnp.moveaxis(labels, 0, 1), jnp.moveaxis(steps, 0, 1)
