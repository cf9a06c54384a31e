"""TransUNet: the mask decoder, a U-Net with a transformer at its bottom (spec 4.6)."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d.config import DecoderConfig
from pix2seq_d.models import embeddings, remat
from pix2seq_d.models.layers import (
    Attention,
    FeedForward,
    conv,
    dense,
    depth_to_space,
    group_norm,
    layer_norm,
    tiny,
    upsample,
)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, scale and shift by the time embedding, skip / sqrt(2).

    Attributes:
      features: output channels.
      dropout: rate before the second convolution.
      dtype: compute dtype.
    """

    features: int
    dropout: float
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array, *, train: bool) -> jax.Array:
        """x [B, h, w, C], time [B, E] -> [B, h, w, features]."""
        features, dtype = self.features, self.dtype
        skip = x
        if x.shape[-1] != features:
            skip = conv(features, 1, "skip", dtype)(x)
        scale, shift = jnp.split(
            dense(2 * features, "time", jnp.float32)(time)[:, None, None, :],
            2,
            axis=-1,
        )
        y = nn.silu(group_norm(x.shape[-1], "norm1")(x))
        y = conv(features, 3, "conv1", dtype)(y)
        y = group_norm(features, "norm2")(y)
        y = nn.silu(y * (1 + scale) + shift)
        y = nn.Dropout(self.dropout, deterministic=not train, name="dropout")(y)
        y = conv(features, 3, "conv2", dtype, kernel_init=tiny)(y)
        # The sum is rounded once; large maps at every step stay in `dtype`.
        y = (y.astype(jnp.float32) + skip) / math.sqrt(2)
        return y.astype(dtype)


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention to image tokens, feed-forward.

    Attributes:
      config: widths.
      dtype: compute dtype.
    """

    config: DecoderConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, memory: jax.Array | None, *, train: bool
    ) -> jax.Array:
        """x [B, L, D], memory [B, M, E] or None -> [B, L, D]."""
        c, dtype = self.config, self.dtype
        heads = c.transformer_dim // c.head_dim
        y = layer_norm("self_norm")(x)
        x = x + Attention(heads, c.head_dim, dtype, name="self_attention")(y)
        if memory is not None:
            y = layer_norm("cross_norm")(x)
            cross = Attention(heads, c.head_dim, dtype, name="cross_attention")
            x = x + cross(y, memory)
        y = layer_norm("mlp_norm")(x)
        mlp = FeedForward(c.mlp_ratio * c.transformer_dim, c.dropout, dtype, name="mlp")
        return x + mlp(y, train=train)


class MiddleTransformer(nn.Module):
    """Transformer over the bottom grid plus one time token.

    Attributes:
      config: widths.
      dtype: compute dtype.
      remat: what the backward pass computes again (`remat.run`).
    """

    config: DecoderConfig
    dtype: Any = jnp.float32
    remat: str = "none"

    @nn.compact
    def __call__(
        self, x: jax.Array, time: jax.Array, memory: jax.Array | None, *, train: bool
    ) -> jax.Array:
        """x [B, h, w, C], time [B, E], memory [B, M, F] -> [B, h, w, D]."""
        c, dtype = self.config, self.dtype
        batch, height, width, channels = x.shape
        dim = c.transformer_dim
        x = group_norm(channels, "input_norm", width=dim)(x)
        x = conv(dim, 1, "input", dtype)(x).reshape(batch, height * width, dim)
        # A float32 residual stream, as in the encoder.
        x = x.astype(jnp.float32) + embeddings.grid_codes(height, width, dim)
        token = dense(dim, "time", jnp.float32)(time)[:, None, :]
        x = jnp.concatenate([x, token], axis=1)
        for index in range(c.transformer_layers):
            layer = DecoderLayer(c, dtype, name=f"layer{index}")
            x = remat.run(layer, x, memory, remat=self.remat, train=train)
        x = x[:, :-1].reshape(batch, height, width, dim)
        x = group_norm(dim, "output_norm")(x)
        return conv(dim, 1, "output", dtype)(x)


class MaskDecoder(nn.Module):
    """Noisy mask, fused features and past masks -> logits or bits.

    Attributes:
      config: widths and depths.
      output_channels: channels per mask pixel: groups * codes, or bits.
      dtype: compute dtype; the output is float32.
      remat: what the backward pass computes again (`remat.run`).
    """

    config: DecoderConfig
    output_channels: int
    dtype: Any = jnp.float32
    remat: str = "none"

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        gamma: jax.Array,
        memory: jax.Array | None,
        *,
        train: bool,
    ) -> jax.Array:
        """Denoises.

        Args:
          x: [B, h, w, K + C + past], noisy mask, fused features, past masks.
          gamma: [B] float32, the level of the noise (not t).
          memory: [B, M, E] image tokens, None without cross-attention.
          train: whether dropout is on.
        Returns:
          [B, h, w, output_channels] float32.
        """
        c, dtype = self.config, self.dtype
        # One vector per example: float32 costs nothing.
        time = embeddings.sinusoid(gamma * c.time_scale, c.dim)
        for index in range(2):
            time = nn.silu(dense(4 * c.dim, f"time{index}", jnp.float32)(time))
        s = c.in_strides
        widths = [c.dim * m for m in c.channel_multipliers]
        x = conv(widths[0], s, "input", dtype, stride=s)(x.astype(dtype))
        x = group_norm(widths[0], "input_norm")(x).astype(dtype)

        last = len(widths) - 1
        skips = [x]
        for level, (width, blocks) in enumerate(
            zip(widths, c.num_res_blocks, strict=True)
        ):
            for index in range(blocks):
                block = ResidualBlock(
                    width, c.dropout, dtype, name=f"down{level}_block{index}"
                )
                x = remat.run(block, x, time, remat=self.remat, train=train)
                skips.append(x)
            if level != last:
                x = conv(width, 3, f"down{level}_resample", dtype, stride=2)(x)
                skips.append(x)

        middle = MiddleTransformer(c, dtype, self.remat, name="middle")
        x = middle(x, time, memory, train=train)

        for level in range(last, -1, -1):
            width = widths[level]
            for index in range(c.num_res_blocks[level] + 1):
                x = jnp.concatenate([x, skips.pop()], axis=-1)
                block = ResidualBlock(
                    width, c.dropout, dtype, name=f"up{level}_block{index}"
                )
                x = remat.run(block, x, time, remat=self.remat, train=train)
            if level != 0:
                x = conv(width, 3, f"up{level}_resample", dtype)(upsample(x, 2))

        x = nn.silu(group_norm(widths[0], "output_norm", width=c.dim)(x))
        # The logits are float32 in a bfloat16 model too (spec 12, porting traps).
        head = conv(
            self.output_channels * s**2, 1, "output", jnp.float32, kernel_init=tiny
        )
        return depth_to_space(head(x.astype(jnp.float32)), s)
