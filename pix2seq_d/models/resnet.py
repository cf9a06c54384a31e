"""ResNet v1.5 without its last group: the C4 backbone (spec 4.2)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d.config import ResNetConfig
from pix2seq_d.models import remat
from pix2seq_d.models.convolution import convolve
from pix2seq_d.models.initialisers import fan_in, ones, zeros
from pix2seq_d.models.layers import BATCH_NORM_MOMENTUM
from pix2seq_d.models.strips import Strips, cut, join, number_of, with_neighbours

BASE_WIDTHS = (64, 128, 256)
GROUP_STRIDES = (1, 2, 2)
BATCH_NORM_EPSILON = 1e-5


class ConvNorm(nn.Module):
    """Convolution without bias, then batch-norm over the global batch.

    Attributes:
      features: output channels.
      kernel: side of the kernel.
      stride: stride; above 1 the padding is symmetric, else SAME.
      zero_scale: start the norm's scale at 0 (last norm of a block).
      dtype: compute dtype.
      strips: that an image is cut into (`strips.cut`).
    """

    features: int
    kernel: int
    stride: int = 1
    zero_scale: bool = False
    dtype: Any = jnp.float32
    strips: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """[B, H, W, C] -> [B, H / stride, W / stride, features]."""
        side = (self.kernel - 1) // 2
        rows = side, side
        if self.strips > 1:
            # The last row that a stride reaches is the image's last one, or before it.
            below = max(self.kernel - self.stride - side, 0)
            x = with_neighbours(x, self.strips, above=side, below=below)
            rows = 0, 0
        x = nn.Conv(
            self.features,
            (self.kernel, self.kernel),
            strides=(self.stride, self.stride),
            padding=(rows, (side, side)),
            use_bias=False,
            kernel_init=fan_in,
            dtype=self.dtype,
            conv_general_dilated=convolve,
            name="conv",
        )(x)
        return nn.BatchNorm(
            use_running_average=not train,
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            scale_init=zeros if self.zero_scale else ones,
            bias_init=zeros,
            dtype=jnp.float32,
            name="norm",
        )(x)


class Bottleneck(nn.Module):
    """1x1 -> 3x3 -> 1x1 to 4 f, plus the shortcut.

    Attributes:
      features: f, the width of the 3x3 convolution.
      stride: stride of the block.
      project: whether the shortcut is a strided 1x1 convolution.
      stride_in_1x1: the first 1x1 carries the stride (ResNet v1), not the 3x3.
      dtype: compute dtype; the residual stream is float32.
      strips: that an image is cut into (`strips.cut`).
    """

    features: int
    stride: int
    project: bool
    stride_in_1x1: bool = False
    dtype: Any = jnp.float32
    strips: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """[B, H, W, C] -> [B, H / stride, W / stride, 4 features]."""
        f, dtype = self.features, self.dtype
        shortcut = x
        if self.project:
            block = ConvNorm(4 * f, 1, self.stride, dtype=dtype, name="shortcut")
            shortcut = block(x, train=train)
        first, second = (1, self.stride)[:: -1 if self.stride_in_1x1 else 1]
        y = ConvNorm(f, 1, first, dtype=dtype, name="conv1")(x, train=train)
        block = ConvNorm(f, 3, second, dtype=dtype, strips=self.strips, name="conv2")
        y = block(nn.relu(y), train=train)
        y = ConvNorm(4 * f, 1, zero_scale=True, dtype=dtype, name="conv3")(
            nn.relu(y), train=train
        )
        return nn.relu(y + shortcut)


class ResNet(nn.Module):
    """Stem and three groups of bottlenecks.

    The two paddings of the max-pool see the image at places 2 px apart. "same" takes
    the stem's outputs 2 i to 2 i + 2, "symmetric" 2 i - 1 to 2 i + 1, and the stem has
    stride 2: away from the border every feature of "same" equals that of "symmetric"
    at the same index for the image moved by 2 px up and 2 px left. Weights trained
    with one serve in the other; their features belong to places 2 px lower and
    further right under "same".

    Attributes:
      config: depth, width, stem stride, and where stride and padding are.
      dtype: compute dtype.
      remat: what the backward pass computes again (`remat.run`).
      strips: how images are cut, None for not at all.
    """

    config: ResNetConfig
    dtype: Any = jnp.float32
    remat: str = "none"
    strips: Strips | None = None

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Images [B, H, W, 3] in [0, 1] -> (C2, C3, C4).

        With stem stride 4 these have strides 4, 8, 16 and 256, 512, 1024
        channels times the width.
        """
        config, dtype = self.config, self.dtype

        def scaled(features: int) -> int:
            return round(features * config.width)

        number = number_of(images, self.strips, stride=4 * config.stem_stride)
        x = cut(images.astype(dtype), number)
        stem = ConvNorm(scaled(64), 7, 2, dtype=dtype, strips=number, name="stem")
        x = remat.run(stem, x, remat=self.remat, train=train)
        x = nn.relu(x)
        if config.stem_stride == 4:
            # TensorFlow's SAME pads bottom and right on even sizes. After the ReLU
            # padding with -inf, as here, and with 0, as Keras does, are the same.
            same = config.stem_pool == "same"
            padding: Any = "SAME" if same else ((1, 1), (1, 1))
            if number > 1:
                x = with_neighbours(x, number, above=int(not same), below=int(same))
                padding = (0, 0), ((0, 1) if same else (1, 0))
            x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=padding)
        stages = []
        for group, (blocks, base, stride) in enumerate(
            zip(config.blocks, BASE_WIDTHS, GROUP_STRIDES, strict=True), start=1
        ):
            for index in range(blocks):
                first = index == 0
                block = Bottleneck(
                    scaled(base),
                    stride if first else 1,
                    project=first,
                    stride_in_1x1=config.stride_in_1x1,
                    dtype=dtype,
                    strips=number,
                    name=f"group{group}_block{index}",
                )
                x = remat.run(block, x, remat=self.remat, train=train)
            stages.append(join(x, number))
        return stages[0], stages[1], stages[2]
