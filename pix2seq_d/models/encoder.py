"""The image encoder: ResNet C4, then a transformer over its tokens (spec 4.3)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d.config import EncoderConfig, ResNetConfig
from pix2seq_d.models import embeddings, remat
from pix2seq_d.models.attention_kernel import Kernel
from pix2seq_d.models.dropout import Dropout, DropPath
from pix2seq_d.models.layers import Attention, FeedForward, dense, layer_norm
from pix2seq_d.models.resnet import ResNet
from pix2seq_d.models.strips import Strips


class EncoderLayer(nn.Module):
    """Pre-norm layer: x += DropPath(MHA(LN(x))); x += DropPath(FFN(LN(x))).

    Attributes:
      config: widths and rates.
      dtype: compute dtype.
      attention: the kernel (`attention_kernel.attend`).
    """

    config: EncoderConfig
    dtype: Any = jnp.float32
    attention: Kernel = "xla"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """[B, L, D] -> [B, L, D]."""
        c, dtype = self.config, self.dtype
        y = layer_norm("attention_norm")(x)
        attention = Attention(
            c.num_heads, c.dim // c.num_heads, dtype, self.attention, name="attention"
        )
        y = attention(y)
        x = x + DropPath(c.drop_path, name="attention_drop_path")(y, train=train)
        y = layer_norm("mlp_norm")(x)
        y = FeedForward(c.mlp_dim, c.dropout, dtype, name="mlp")(y, train=train)
        return x + DropPath(c.drop_path, name="mlp_drop_path")(y, train=train)


class ImageEncoder(nn.Module):
    """Images -> high-resolution maps and tokens.

    Attributes:
      resnet: the backbone's config.
      config: the transformer's config.
      dtype: compute dtype.
      remat: what the backward pass computes again (`remat.run`).
      freeze_batch_norm: take the moving statistics, and leave them, in training too.
      attention: the kernel (`attention_kernel.attend`).
      strips: how images are cut, None for not at all.
    """

    resnet: ResNetConfig
    config: EncoderConfig
    dtype: Any = jnp.float32
    remat: str = "none"
    freeze_batch_norm: bool = False
    attention: Kernel = "xla"
    strips: Strips | None = None

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        """Images [B, H, W, 3] in [0, 1] -> ((C2, C3), tokens on C4's grid).

        Returns:
          C2 [B, H/4, W/4, .], C3 [B, H/8, W/8, .] and the encoded map
          [B, H/16, W/16, dim] (strides for stem stride 4).
        """
        c, dtype = self.config, self.dtype
        resnet = ResNet(self.resnet, dtype, self.remat, self.strips, name="resnet")
        # Batch-norm is all that training changes in it.
        c2, c3, c4 = resnet(images, train=train and not self.freeze_batch_norm)
        batch, height, width, channels = c4.shape
        x = c4.reshape(batch, height * width, channels)
        x = Dropout(c.dropout, name="input_dropout")(x, train=train)
        x = layer_norm("input_norm")(dense(c.dim, "input", dtype)(x))
        # The residual stream is float32 in a bfloat16 model too: few numbers that
        # every layer adds to.
        x = x.astype(jnp.float32) + embeddings.grid_codes(height, width, c.dim)
        for index in range(c.num_layers):
            layer = EncoderLayer(c, dtype, self.attention, name=f"layer{index}")
            x = remat.run(layer, x, remat=self.remat, train=train)
        x = layer_norm("output_norm")(x).astype(dtype)
        return (c2, c3), x.reshape(batch, height, width, c.dim)
