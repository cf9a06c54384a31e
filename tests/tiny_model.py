"""The smallest model that has every part; for model, training and inference tests."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.config import (
    DecoderConfig,
    EncoderConfig,
    ModelConfig,
    PyramidConfig,
    ResNetConfig,
)
from pix2seq_d.models import Pix2SeqD, variable_shapes

# 32x64 images have a 2x4 grid of tokens; the sides differ, so that a swap shows.
TINY = ModelConfig(
    image_size=(32, 64),
    mask_size=(16, 32),
    num_classes=7,
    max_instances=6,
    bits_per_channel=3,
    resnet=ResNetConfig(depth=14, width=0.0625),
    encoder=EncoderConfig(
        num_layers=1, dim=16, mlp_dim=32, num_heads=2, dropout=0.0, drop_path=0.0
    ),
    pyramid=PyramidConfig(dim=8),
    decoder=DecoderConfig(
        dim=8,
        channel_multipliers=(1, 2),
        num_res_blocks=(1, 1),
        transformer_dim=16,
        transformer_layers=1,
        head_dim=8,
    ),
)


def with_decoder(config: ModelConfig, **changes: Any) -> ModelConfig:
    decoder = dataclasses.replace(config.decoder, **changes)
    return dataclasses.replace(config, decoder=decoder)


def quick_jit(function: Callable, **options: Any) -> Any:
    """`jax.jit` with a fast compiler: tiny models spend their time in compiling."""
    compiler_options = {
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    }
    return jax.jit(function, compiler_options=compiler_options, **options)


def random_variables(model: Pix2SeqD, *, seed: int = 0) -> Any:
    """Variables with no layer at its start: `init` has outputs of almost 0."""
    shapes = variable_shapes(model.config)
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> jax.Array:
        name = path[-1].key
        if name.endswith("kernel"):
            fan_in = np.prod(leaf.shape[:-1])
            value = rng.normal(0, fan_in**-0.5, leaf.shape)
        elif name in ("scale", "var"):
            value = rng.uniform(0.5, 1.5, leaf.shape)
        else:
            value = rng.normal(0, 0.2, leaf.shape)
        return jnp.asarray(value, jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def random_batch(size: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Images of noise and labels of rectangles, in the shapes of `TINY`."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, *TINY.mask_size, 2), np.int32)
    labels[:, :, 8:, 0] = rng.integers(1, 7, (size, 1, 1))
    labels[:, :, 8:, 1] = 1
    labels[:, 4:12, 12:20] = 6, 2
    labels[:, 2:6, 24:30] = 3, 5
    image = rng.random((size, *TINY.image_size, 3), np.float32)
    # Images of unlike brightness: statistics of part of a batch are not the batch's.
    image *= rng.uniform(0.2, 1, (size, 1, 1, 3)).astype(np.float32)
    return {"image": image, "labels": labels}
