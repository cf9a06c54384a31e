"""Merges encoder maps of several resolutions into one at mask size (spec 4.4)."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d.config import PyramidConfig
from pix2seq_d.models import remat
from pix2seq_d.models.group_norm import GroupNorm
from pix2seq_d.models.layers import BiasApart
from pix2seq_d.models.strips import Strips, cut, join, number_of
from pix2seq_d.models.upsampling import upsample


class MergeBlock(nn.Module):
    """1x1 -> GN -> SiLU -> upsample -> + high -> 3x3 -> GN -> SiLU.

    Attributes:
      dim: output channels.
      dtype: compute dtype; the output is float32.
      strips: that an image is cut into (`strips.cut`).
    """

    dim: int
    dtype: Any = jnp.float32
    strips: int = 1

    @nn.compact
    def __call__(
        self, low: jax.Array, high: jax.Array | None, *, factor: int
    ) -> jax.Array:
        """low [B, h, w, C], high [B, factor h, factor w, dim] or None -> like high."""
        strips = self.strips
        x, bias = BiasApart(self.dim, 1, self.dtype, name="lateral")(low)
        # Rounded as by the convolution, if that takes it, while the map is small.
        dtype = self.dtype if high is None else jnp.float32
        norm = GroupNorm(dtype, strips=strips, silu=True, name="lateral_norm")
        x = norm(x, bias=bias)
        x = upsample(x, factor, convolved=high is None and strips == 1)
        if high is not None:
            x = x + high
        x, bias = BiasApart(self.dim, 3, self.dtype, strips, name="merge")(x)
        norm = GroupNorm(strips=strips, silu=True, name="merge_norm")
        return norm(x, bias=bias)


class FeaturePyramid(nn.Module):
    """Top-down pyramid over [C2, C3, tokens], ending at mask size.

    Maps larger than the mask are passed over; where the top map already has
    mask size, the last block is not needed.

    Attributes:
      config: width of the output where it is made by the last block.
      mask_size: (h, w) of the output.
      dtype: compute dtype.
      remat: what the backward pass computes again (`remat.run`).
      strips: how images are cut, None for not at all.
    """

    config: PyramidConfig
    mask_size: tuple[int, int]
    dtype: Any = jnp.float32
    remat: str = "none"
    strips: Strips | None = None

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array]) -> jax.Array:
        """Maps from high to low resolution -> [B, h, w, C]."""
        number = number_of(maps[-1], self.strips, stride=1)
        if self.mask_size[0] % maps[-1].shape[1]:
            number = 1  # `_factor` refuses it, by the sizes of whole images
        maps = [cut(x, number) for x in maps]
        mask_size = self.mask_size[0] // number, self.mask_size[1]
        x = maps[-1]
        for level in range(len(maps) - 1, 0, -1):
            high = maps[level - 1]
            if high.shape[1] > mask_size[0]:
                continue
            block = MergeBlock(high.shape[-1], self.dtype, number, name=f"block{level}")
            factor = _factor(x.shape, high.shape[1:3])
            x = remat.run(block, x, high, remat=self.remat, factor=factor)
        if x.shape[1:3] != mask_size:
            block = MergeBlock(self.config.dim, self.dtype, number, name="block0")
            factor = _factor(x.shape, mask_size)
            x = remat.run(block, x, None, remat=self.remat, factor=factor)
        return join(x.astype(self.dtype), number)


def _factor(shape: tuple[int, ...], target: tuple[int, ...]) -> int:
    factor = target[0] // shape[1]
    if (shape[1] * factor, shape[2] * factor) != tuple(target):
        raise ValueError(
            f"a feature map of {shape[1]}x{shape[2]} cannot be upsampled to "
            f"{target[0]}x{target[1]} by one integer factor; change "
            "model.image_size or model.mask_size"
        )
    return factor
