"""Losses on analog bits and the weights that lift small instances (spec 2.5, 2.6)."""

import jax
import jax.numpy as jnp

from pix2seq_d import analog_bits


def instance_weights(
    instance: jax.Array, num_ids: int = 101, power: float = 0.2
) -> jax.Array:
    """W ~ 1 / (pixels of the instance + 1)**power, scaled to mean 1 per image.

    Id 0 counts as an instance like any other; ids >= num_ids get weight 0 for
    power > 0.

    Args:
      instance: int [B, h, w], ids >= 0.
      num_ids: number of ids, 0 included.
      power: the paper's p; 0 weighs all pixels alike.
    Returns:
      [B, h, w] float32, mean 1 per image.
    Source: spec 2.6.
    """
    if power == 0:
        return jnp.ones(instance.shape, jnp.float32)
    batch, height, width = instance.shape
    flat = instance.reshape(batch, -1)
    counts = jax.vmap(
        lambda ids: jnp.zeros(num_ids, jnp.float32).at[ids].add(1.0, mode="drop")
    )(flat)
    table = (1.0 / (counts + 1.0)) ** power
    weights = jax.vmap(lambda row, ids: row.at[ids].get(mode="fill", fill_value=0.0))(
        table, flat
    )
    weights *= height * width / jnp.sum(weights, axis=1, keepdims=True)
    return weights.reshape(instance.shape)


def softmax_xent(logits: jax.Array, x0: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean over images, pixels and groups of W CE(logits, code of the group).

    Args:
      logits: [B, h, w, G, 2**n] float32.
      x0: [B, h, w, G * n] float32, the clean analog bits.
      weights: [B, h, w] float32.
    Returns:
      [B] float32, the loss of each image.
    Source: spec 2.5, `x_softmax_xent`.
    """
    num_groups = logits.shape[-2]
    codes = analog_bits.bits_to_int(x0.reshape(*x0.shape[:-1], num_groups, -1))
    cross_entropy = _cross_entropy(logits, codes)
    return jnp.mean(weights[..., None] * cross_entropy, axis=(1, 2, 3))


def _cross_entropy(logits: jax.Array, codes: jax.Array) -> jax.Array:
    """-log softmax(logits)[code]; logits [..., C], codes int [...]."""
    # A comparison, which is fused into the sum and into the gradient: indexing has a
    # scatter into a second array of the logits' size for gradient.
    is_code = codes[..., None] == jnp.arange(logits.shape[-1])
    picked = jnp.sum(jnp.where(is_code, logits, 0.0), axis=-1)
    return jax.nn.logsumexp(logits, axis=-1) - picked


def sigmoid_xent(output: jax.Array, x0: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean of -W log(sigmoid(D sign(x0)) + 1e-8) over pixels and bits.

    Args:
      output: [B, h, w, K] float32, the decoder's raw output D.
      x0: [B, h, w, K] float32 in {-b, b}.
      weights: [B, h, w] float32.
    Returns:
      [B] float32.
    Source: spec 2.5, `x_sigmoid_xent`.
    """
    likelihood = jax.nn.sigmoid(output * jnp.sign(x0))
    return jnp.mean(-weights[..., None] * jnp.log(likelihood + 1e-8), axis=(1, 2, 3))


def l2(prediction: jax.Array, target: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean of W (target - prediction)**2 over pixels and bits.

    Args:
      prediction: [B, h, w, K] float32.
      target: [B, h, w, K] float32, x0, or the noise with weights of 1.
      weights: [B, h, w] float32.
    Returns:
      [B] float32.
    Source: spec 2.5, `x` and `eps`.
    """
    return jnp.mean(weights[..., None] * (target - prediction) ** 2, axis=(1, 2, 3))
