"""TransUNet: the mask decoder, a U-Net with a transformer at its bottom (spec 4.6)."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d.config import DecoderConfig
from pix2seq_d.models import embeddings, remat
from pix2seq_d.models.attention_kernel import Kernel
from pix2seq_d.models.dropout import Dropout
from pix2seq_d.models.group_norm import GroupNorm
from pix2seq_d.models.initialisers import glorot, tiny, zeros
from pix2seq_d.models.layers import (
    Attention,
    BiasApart,
    FeedForward,
    KeyValue,
    conv,
    dense,
    depth_to_space,
    keys_values,
    layer_norm,
)
from pix2seq_d.models.strips import Strips, cut, join, number_of
from pix2seq_d.models.upsampling import upsample


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prepared:
    """What the decoder makes of an image and past masks, the same at every step.

    Attributes:
      input: [B, h / s, w / s, W], their share of the first convolution, bias included.
      memory: keys and values of each layer's cross-attention; () without it.

    To draw parameters, `input` is the channels [B, h, w, C] and `memory` the tokens
    [B, M, E] themselves.
    """

    input: jax.Array
    memory: tuple[KeyValue | jax.Array, ...]


def prepare(
    params: Any,
    fixed: jax.Array,
    tokens: jax.Array | None,
    *,
    config: DecoderConfig,
    dtype: Any,
) -> Prepared:
    """Takes out of the denoising loop what does not change in it.

    Args:
      params: of a `MaskDecoder`.
      fixed: [B, h, w, C], the last C of its input channels: image features, past masks.
      tokens: [B, M, E] of the image, None without cross-attention.
      config: widths and depths.
      dtype: compute dtype.
    Source: ours; the same sums as in one convolution, in another order.
    """
    with jax.named_scope("decoder/input"):
        kernel = params["input"]["kernel"][:, :, -fixed.shape[-1] :]
        share = _patches(fixed, kernel, dtype) + params["input"]["bias"].astype(dtype)
    memory = []
    if tokens is not None:
        for index in range(config.transformer_layers):
            with jax.named_scope(f"decoder/middle/layer{index}"):
                layer = params["middle"][f"layer{index}"]["cross_attention"]
                memory.append(keys_values(layer, tokens, dtype=dtype))
    return Prepared(share, tuple(memory))


def _patches(x: jax.Array, kernel: jax.Array, dtype: Any) -> jax.Array:
    """Convolution with a stride of the kernel's size."""
    return jax.lax.conv_general_dilated(
        x.astype(dtype),
        kernel.astype(dtype),
        kernel.shape[:2],
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


class InputConv(nn.Module):
    """The first convolution, of which the image's share is computed beforehand.

    Attributes:
      features: output channels.
      stride: and size of the kernel.
      dtype: compute dtype.
    """

    features: int
    stride: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, share: jax.Array) -> jax.Array:
        """x [B, h, w, C] and the share of the other channels -> [B, h/s, w/s, F].

        To draw parameters, `share` is the other channels themselves.
        """
        if self.is_initializing():
            whole = jnp.concatenate([x, share], axis=-1)
            shape = (self.stride, self.stride, whole.shape[-1], self.features)
            kernel = self.param("kernel", glorot, shape)
            self.param("bias", zeros, (self.features,))
            return _patches(whole, kernel, self.dtype)
        kernel: jax.Array = self.get_variable("params", "kernel")
        return _patches(x, kernel[:, :, : x.shape[-1]], self.dtype) + share


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, scale and shift by the time embedding, skip / sqrt(2).

    Attributes:
      features: output channels.
      dropout: rate before the second convolution.
      dtype: compute dtype.
      strips: that an image is cut into (`strips.cut`).
    """

    features: int
    dropout: float
    dtype: Any = jnp.float32
    strips: int = 1

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        time: jax.Array,
        beside: jax.Array | None = None,
        *,
        train: bool,
    ) -> jax.Array:
        """x [B, h, w, C] or strips of it, time [B, E] -> [B, h, w, features].

        A map beside it, [B, h, w, C'] of its dtype, gives further channels.
        """
        features, dtype, strips = self.features, self.dtype, self.strips
        norm = functools.partial(GroupNorm, dtype, strips=strips, silu=True)
        parts = (x,) if beside is None else (x, beside)
        skip = jnp.concatenate(parts, axis=-1)
        if skip.shape[-1] != features:
            skip = conv(features, 1, "skip", dtype)(skip)
        time = dense(2 * features, "time", jnp.float32)(time)
        scale, shift = jnp.split(time, 2, axis=-1)
        y = norm(name="norm1")(*parts)
        y, bias = BiasApart(features, 3, dtype, strips, name="conv1")(y)
        y = norm(name="norm2")(y, bias=bias, modulation=(scale, shift))
        y = Dropout(self.dropout, name="dropout")(y, train=train)
        y = conv(features, 3, "conv2", dtype, kernel_init=tiny, strips=strips)(y)
        # The sum is rounded once; large maps at every step stay in `dtype`.
        y = (y.astype(jnp.float32) + skip) / math.sqrt(2)
        return y.astype(dtype)


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention to image tokens, feed-forward.

    Attributes:
      config: widths.
      dtype: compute dtype.
      attention: the kernel (`attention_kernel.attend`).
    """

    config: DecoderConfig
    dtype: Any = jnp.float32
    attention: Kernel = "xla"

    @nn.compact
    def __call__(
        self, x: jax.Array, memory: KeyValue | jax.Array | None, *, train: bool
    ) -> jax.Array:
        """x [B, L, D], memory of B images or None -> [B, L, D]."""
        c, dtype = self.config, self.dtype
        heads = c.transformer_dim // c.head_dim
        attention = functools.partial(
            Attention, heads, c.head_dim, dtype, self.attention
        )
        y = layer_norm("self_norm")(x)
        x = x + attention(name="self_attention")(y)
        if memory is not None:
            y = layer_norm("cross_norm")(x)
            x = x + attention(name="cross_attention")(y, memory)
        y = layer_norm("mlp_norm")(x)
        mlp = FeedForward(c.mlp_ratio * c.transformer_dim, c.dropout, dtype, name="mlp")
        return x + mlp(y, train=train)


class MiddleTransformer(nn.Module):
    """Transformer over the bottom grid plus one time token.

    Attributes:
      config: widths.
      dtype: compute dtype.
      remat: what the backward pass computes again (`remat.run`).
      attention: the kernel (`attention_kernel.attend`).
    """

    config: DecoderConfig
    dtype: Any = jnp.float32
    remat: str = "none"
    attention: Kernel = "xla"

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        time: jax.Array,
        memory: Sequence[KeyValue | jax.Array],
        *,
        train: bool,
    ) -> jax.Array:
        """x [B, h, w, C], time [B, E], memory of each layer -> [B, h, w, D]."""
        c, dtype = self.config, self.dtype
        batch, height, width, _ = x.shape
        dim = c.transformer_dim
        x = GroupNorm(dtype, width=dim, name="input_norm")(x)
        x = conv(dim, 1, "input", dtype)(x).reshape(batch, height * width, dim)
        # A float32 residual stream, as in the encoder.
        x = x.astype(jnp.float32) + embeddings.grid_codes(height, width, dim)
        token = dense(dim, "time", jnp.float32)(time)[:, None, :]
        x = jnp.concatenate([x, token], axis=1)
        for index in range(c.transformer_layers):
            layer = DecoderLayer(c, dtype, self.attention, name=f"layer{index}")
            own = memory[index] if memory else None
            x = remat.run(layer, x, own, remat=self.remat, train=train)
        x = x[:, :-1].reshape(batch, height, width, dim)
        x = GroupNorm(dtype, name="output_norm")(x)
        return conv(dim, 1, "output", dtype)(x)


class MaskDecoder(nn.Module):
    """Noisy mask, fused features and past masks -> logits or bits.

    Attributes:
      config: widths and depths.
      output_channels: channels per mask pixel: groups * codes, or bits.
      dtype: compute dtype; the output is float32.
      remat: what the backward pass computes again (`remat.run`).
      attention: the kernel (`attention_kernel.attend`).
      strips: how images are cut between convolutions, None for not at all.
    """

    config: DecoderConfig
    output_channels: int
    dtype: Any = jnp.float32
    remat: str = "none"
    attention: Kernel = "xla"
    strips: Strips | None = None

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        gamma: jax.Array,
        prepared: Prepared,
        *,
        train: bool,
        head: bool = True,
    ) -> jax.Array:
        """Denoises.

        Args:
          x: [B, h, w, K], noisy mask, and last estimate where there is one.
          gamma: [B] float32, the level of the noise (not t).
          prepared: of image and past masks.
          train: whether dropout is on.
          head: whether to take the last layer.
        Returns:
          [B, h, w, output_channels] float32; without the last layer, which is a
          product at each place, [B, h / s, w / s, W] float32.
        """
        c, dtype = self.config, self.dtype
        # One vector per example: float32 costs nothing.
        time = embeddings.sinusoid(gamma * c.time_scale, c.dim)
        for index in range(2):
            time = nn.silu(dense(4 * c.dim, f"time{index}", jnp.float32)(time))
        s = c.in_strides
        widths = [c.dim * m for m in c.channel_multipliers]
        conv_in = InputConv(widths[0], s, dtype, name="input")
        x = conv_in(x, prepared.input)
        last = len(widths) - 1
        n = number_of(x, self.strips, stride=2**last)
        x = GroupNorm(dtype, strips=n, name="input_norm")(cut(x, n))

        skips = [x]
        for level, (width, blocks) in enumerate(
            zip(widths, c.num_res_blocks, strict=True)
        ):
            for index in range(blocks):
                block = ResidualBlock(
                    width, c.dropout, dtype, n, name=f"down{level}_block{index}"
                )
                x = remat.run(block, x, time, remat=self.remat, train=train)
                skips.append(x)
            if level != last:
                down = conv(
                    width, 3, f"down{level}_resample", dtype, stride=2, strips=n
                )
                x = down(x)
                skips.append(x)

        middle = MiddleTransformer(c, dtype, self.remat, self.attention, name="middle")
        x = cut(middle(join(x, n), time, prepared.memory, train=train), n)

        for level in range(last, -1, -1):
            width = widths[level]
            for index in range(c.num_res_blocks[level] + 1):
                block = ResidualBlock(
                    width, c.dropout, dtype, n, name=f"up{level}_block{index}"
                )
                beside = skips.pop()
                x = remat.run(block, x, time, beside, remat=self.remat, train=train)
            if level != 0:
                up = conv(width, 3, f"up{level}_resample", dtype, strips=n)
                x = up(upsample(x, 2, convolved=n == 1))

        # The logits are float32 in a bfloat16 model too (spec 12, porting traps).
        norm = GroupNorm(width=c.dim, strips=n, silu=True, name="output_norm")
        x = join(norm(x), n)
        if not head:
            return x
        output = conv(
            self.output_channels * s**2, 1, "output", jnp.float32, kernel_init=tiny
        )
        return depth_to_space(output(x), s)
