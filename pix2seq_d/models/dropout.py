"""Dropout, of elements and of residual branches."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Dropout(nn.Module):
    """Drops each element, survivors divided by 1 - rate: Flax's, number for number.

    Attributes:
      rate: probability that an element is dropped, below 1.
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """An array of any shape -> the same, or dropped in a training."""
        if not train or not self.rate:
            return x
        keep = 1 - self.rate
        mask = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        # Without rematerialisation the backward pass keeps a byte of each, in place of
        # numbers that a TPU's compiler would hash again.
        mask = jax.lax.optimization_barrier(mask)
        return jnp.where(mask, x / keep, 0)


class DropPath(nn.Module):
    """Drops a residual branch per example, survivors divided by 1 - rate (spec 4.3).

    Attributes:
      rate: probability that an example's branch is dropped.
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """[B, ...] -> [B, ...]."""
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        # Dropout over a mask of one value per example does exactly this.
        keep = Dropout(self.rate, name="mask")(jnp.ones(shape, x.dtype), train=train)
        return x * keep
