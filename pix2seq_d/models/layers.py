"""Layers shared by encoder, pyramid and decoder."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d.models.attention_kernel import Kernel, attend
from pix2seq_d.models.convolution import convolve
from pix2seq_d.models.dropout import Dropout
from pix2seq_d.models.gelu import gelu
from pix2seq_d.models.initialisers import Initialiser, glorot, ones, zeros
from pix2seq_d.models.strips import with_neighbours

Dtype = Any

# Keras BatchNorm momentum 0.9: moving = 0.9 old + 0.1 batch (spec 4.2).
BATCH_NORM_MOMENTUM = 0.9


# It gives float32 in a bfloat16 model too: what follows up to the next product is
# element-wise, costs the same, and is rounded once there.
def layer_norm(name: str) -> nn.LayerNorm:
    """LayerNorm with epsilon 1e-6, to float32 (spec 4.3)."""
    return nn.LayerNorm(
        epsilon=1e-6,
        scale_init=ones,
        bias_init=zeros,
        dtype=jnp.float32,
        name=name,
    )


def conv(
    features: int,
    kernel: int,
    name: str,
    dtype: Dtype,
    *,
    stride: int = 1,
    kernel_init: Initialiser = glorot,
    strips: int = 1,
) -> Callable[[jax.Array], jax.Array]:
    """Square convolution with bias, TensorFlow's SAME padding, Glorot kernel.

    Args:
      features: output channels.
      kernel: side of the kernel.
      name: of the module.
      dtype: compute dtype.
      stride: divides the sides of maps that are cut into strips.
      kernel_init: draws the kernel.
      strips: that an image is cut into (`strips.cut`).
    """
    before = max(kernel - stride, 0) // 2
    after = max(kernel - stride, 0) - before
    convolution = nn.Conv(
        features,
        (kernel, kernel),
        strides=(stride, stride),
        padding="SAME" if strips == 1 else ((0, 0), (before, after)),
        kernel_init=kernel_init,
        bias_init=zeros,
        dtype=dtype,
        conv_general_dilated=convolve,
        name=name,
    )
    if strips == 1:
        return convolution
    return lambda x: convolution(with_neighbours(x, strips, above=before, below=after))


class BiasApart(nn.Module):
    """A convolution of stride 1 as `conv` makes one, whose bias `GroupNorm` adds.

    Attributes:
      features: output channels.
      kernel: side of the kernel, odd.
      dtype: compute dtype.
      strips: that an image is cut into (`strips.cut`).
    """

    features: int
    kernel: int
    dtype: Dtype = jnp.float32
    strips: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, H, W, C] -> [B, H, W, features] without the bias, and it [features]."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", glorot, shape)
        bias = self.param("bias", zeros, shape[-1:])
        side = self.kernel // 2
        padding = 2 * ((side, side),)
        if self.strips > 1:
            x = with_neighbours(x, self.strips, above=side, below=side)
            padding = (0, 0), (side, side)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        return convolve(x, kernel, (1, 1), padding), bias


def dense(features: int, name: str, dtype: Dtype) -> nn.Dense:
    """Dense layer with bias and Glorot kernel."""
    return nn.Dense(
        features, kernel_init=glorot, bias_init=zeros, dtype=dtype, name=name
    )


class KeyValue(NamedTuple):
    """What attention makes of a memory: keys and values [B, M, heads, head_dim]."""

    key: jax.Array
    value: jax.Array


class Attention(nn.Module):
    """Multi-head attention softmax(q k^T / sqrt(head_dim)) v (spec 4.3, 4.6).

    Attributes:
      num_heads: number of heads.
      head_dim: width of a head.
      dtype: compute dtype; the softmax is in float32.
      attention: the kernel (`attention_kernel.attend`).
    """

    num_heads: int
    head_dim: int
    dtype: Dtype = jnp.float32
    attention: Kernel = "xla"

    @nn.compact
    def __call__(
        self, x: jax.Array, memory: jax.Array | KeyValue | None = None
    ) -> jax.Array:
        """x [B, L, D] attends to memory [B, M, E] (itself if None) -> [B, L, D].

        A memory of several calls may be given as what `keys_values` makes of it.
        """
        query = self._project(x, "query")
        if not isinstance(memory, KeyValue):
            memory = x if memory is None else memory
            memory = KeyValue(
                self._project(memory, "key"), self._project(memory, "value")
            )
        # Parameters may be drawn anywhere.
        attention = "xla" if self.is_initializing() else self.attention
        y = attend(query, *memory, kernel=attention)
        kernel = self.param(
            "out_kernel", glorot, (self.num_heads, self.head_dim, x.shape[-1])
        )
        bias = self.param("out_bias", zeros, (x.shape[-1],))
        y = jnp.einsum("blhd,hde->ble", y, kernel.astype(self.dtype))
        return y + bias.astype(self.dtype)

    def _project(self, x: jax.Array, name: str) -> jax.Array:
        shape = (x.shape[-1], self.num_heads, self.head_dim)
        kernel = self.param(f"{name}_kernel", glorot, shape)
        bias = self.param(f"{name}_bias", zeros, shape[1:])
        return _heads(x, kernel, bias, self.dtype)


def keys_values(params: Any, memory: jax.Array, *, dtype: Dtype) -> KeyValue:
    """Keys and values of a memory that several calls attend to.

    Args:
      params: of an `Attention`.
      memory: [B, M, E].
      dtype: compute dtype.
    """
    return KeyValue(
        *(
            _heads(memory, params[f"{name}_kernel"], params[f"{name}_bias"], dtype)
            for name in KeyValue._fields
        )
    )


def _heads(x: jax.Array, kernel: jax.Array, bias: jax.Array, dtype: Dtype) -> jax.Array:
    x = jnp.einsum("bld,dhk->blhk", x.astype(dtype), kernel.astype(dtype))
    return x + bias.astype(dtype)


class FeedForward(nn.Module):
    """dense -> exact GELU -> dropout -> dense (spec 4.3).

    Attributes:
      hidden: width of the hidden layer.
      dropout: rate after the activation.
      dtype: compute dtype.
    """

    hidden: int
    dropout: float
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """[B, L, D] -> [B, L, D]."""
        y = dense(self.hidden, "in", self.dtype)(x)
        y = gelu(y)
        y = Dropout(self.dropout, name="dropout")(y, train=train)
        return dense(x.shape[-1], "out", self.dtype)(y)


def depth_to_space(x: jax.Array, factor: int) -> jax.Array:
    """[B, H, W, factor**2 C] -> [B, factor H, factor W, C]."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, factor, factor, channels // factor**2)
    x = x.transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height * factor, width * factor, -1)
