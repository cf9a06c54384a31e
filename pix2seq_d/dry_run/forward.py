"""Arithmetic of a training step and of a mask, from one trace of the forward passes.

The trace of a whole training step takes the paper's model seven seconds of a core; a
plan of many trainings is counted here, in two.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from pix2seq_d.config import Config, ModelConfig
from pix2seq_d.dry_run import flops
from pix2seq_d.models import Pix2SeqD, parameter_count, variable_shapes

# AdamW, the moving average, the norms of gradient and parameters: operations for each
# parameter and step.
_UPDATE = 25


@dataclasses.dataclass(frozen=True)
class Passes:
    """FLOPs of one forward pass for one image, as XLA counts them.

    Attributes:
      encoder: of the image encoder, the pyramid, and what the decoder makes of their
        output once.
      decoder: of one decoder pass.
      parameters: number of trainable scalars.
    """

    encoder: int
    decoder: int
    parameters: int


def step_flops(config: Config) -> int:
    """FLOPs of an optimizer step, all devices together.

    A backward pass has two products for each one of the forward pass, which meet as
    many elements: padding counts in none of them. So a pass and its gradients are
    three passes; the estimates that half of the draws of a self-conditioned model
    train with are passes without gradients.

    Args:
      config: with num_classes set or not, which changes no layer.
    Source: ours; within 5 % of XLA's cost analysis (tests/dry_run/test_forward.py).
    """
    found, draws = passes(config.model), config.diffusion.noise_draws
    estimates = 0.0 if config.model.self_conditioning == "none" else 0.5
    decoder = draws * (3 + estimates) * found.decoder
    images = config.train.batch_size * (3 * found.encoder + decoder)
    return round(images) + _UPDATE * found.parameters


def mask_flops(config: Config, num_steps: int) -> int:
    """FLOPs of a mask with so many sampler steps, its image's encoding included."""
    found = passes(config.model)
    return found.encoder + num_steps * found.decoder


def passes(model: ModelConfig) -> Passes:
    """Both passes of a model; traced once."""
    # Numbers that change no layer should not cost another trace.
    return _passes(dataclasses.replace(model, bit_scale=1.0, num_classes=0))


@functools.lru_cache(maxsize=32)
def _passes(config: ModelConfig) -> Passes:
    model = Pix2SeqD(config)
    variables = variable_shapes(config)
    images = jax.ShapeDtypeStruct((1, *config.image_size, 3), jnp.float32)
    bits = jax.ShapeDtypeStruct((1, *config.mask_size, config.num_bits), jnp.float32)
    gamma = jax.ShapeDtypeStruct((1,), jnp.float32)
    encode = jax.jit(
        lambda variables, images: model.prepare(
            variables, model.encode(variables, images)
        )
    ).trace(variables, images)
    denoise = jax.jit(model.denoise).trace(variables, bits, gamma, encode.out_info)
    return Passes(
        encoder=flops.of(encode.jaxpr),
        decoder=flops.of(denoise.jaxpr),
        parameters=parameter_count(variables["params"]),
    )
