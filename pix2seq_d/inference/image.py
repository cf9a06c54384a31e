"""Images -> (semantic, instance) maps at mask size: encode once, denoise, decode."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from pix2seq_d import analog_bits
from pix2seq_d.config import DiffusionConfig, ModelConfig
from pix2seq_d.diffusion import sampler
from pix2seq_d.inference import certainty
from pix2seq_d.models import Features, Pix2SeqD

SELF_COND: dict[str, Literal[False, "x", "eps"]] = {
    "none": False,
    "x": "x",
    "eps": "eps",
}


def decode_labels(x0: jax.Array, config: ModelConfig) -> jax.Array:
    """Analog bits -> ids, clamped to the last class and the last instance id.

    Args:
      x0: [..., h, w, K] float32 analog bits.
      config: bits, num_classes, max_instances.
    Returns:
      [..., h, w, 2] int32 (semantic, instance).
    Source: spec 1.4.
    """
    labels = analog_bits.decode(x0, config.bits_per_channel)
    highest = jnp.array([config.num_classes - 1, config.max_instances - 1])
    return jnp.minimum(labels, highest)


def predict(
    variables: Any,
    images: jax.Array,
    keys: jax.Array,
    *,
    model: Pix2SeqD,
    **settings: Any,
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Encodes the images and samples one mask for each.

    Args:
      variables: {'params', 'batch_stats'}, as a rule the moving average.
      images: [B, H, W, 3] float32 in [0, 1], or uint8.
      keys: as of `sample`, which tells the settings and the result, too.
      model: the model.
      **settings: `diffusion` and what else to return.
    Source: spec 3, 6.1.
    """
    features = model.encode(variables, images)
    return sample(variables, features, keys, model=model, **settings)


def sample(
    variables: Any,
    features: Features,
    keys: jax.Array,
    *,
    model: Pix2SeqD,
    diffusion: DiffusionConfig,
    return_states: bool = False,
    return_certainty: bool = False,
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Samples one mask per image that is encoded already.

    Args:
      variables: {'params', 'batch_stats'}, as a rule the moving average.
      features: of B images, as `model.encode` gives them.
      keys: [B] typed keys, one per image, so that an image's mask does not
        depend on the batch it is in.
      model: the model.
      diffusion: sampler settings.
      return_states: also return the decoded estimate of every step.
      return_certainty: also return how sure each pixel is; not with the other.
    Returns:
      [B, h, w, 2] int32 (semantic, instance) at mask size; with
      `return_states` also [num_steps, B, h, w, 2], with `return_certainty`
      float32 [B, h, w], see `certainty.of_bits`.
    Source: spec 3, 6.1.
    """
    config = model.config
    shape = (*config.mask_size, config.num_bits)
    # Folding apart keeps the first noise and the sampler's own draws independent.
    first_key, step_key = (
        jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, n) for n in (0, 1)
    )
    x_init = jax.vmap(lambda key: jax.random.normal(key, shape))(first_key)

    prepared = model.prepare(variables, features)

    def denoise(
        xt: jax.Array, gamma: jax.Array, estimate: jax.Array | None = None
    ) -> jax.Array:
        return model.estimate(variables, xt, gamma, prepared, estimate)

    sampled = sampler.sample(
        denoise,
        x_init,
        num_steps=diffusion.num_steps,
        time_difference=diffusion.time_difference,
        start_time=diffusion.start_time,
        schedule=diffusion.sample_schedule.make(),
        method=diffusion.sampler,
        key=step_key,
        clip=config.bit_scale,
        self_cond=SELF_COND[config.self_cond_estimate],
        return_states=return_states,
    )
    if isinstance(sampled, tuple):  # with return_states
        x0, states = sampled
        return decode_labels(x0, config), decode_labels(states, config)
    labels = decode_labels(sampled, config)
    if return_certainty:
        return labels, certainty.of_bits(sampled, bit_scale=config.bit_scale)
    return labels
