"""The sampler of a config, traced and not compiled: one mask, or a video's next one."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from pix2seq_d.config import Config
from pix2seq_d.dry_run import flops
from pix2seq_d.inference import image, video
from pix2seq_d.models import Pix2SeqD, variable_shapes


def trace(config: Config) -> Any:
    """`jax.stages.Traced` of the sampler that evaluation and prediction run, batch 1.

    Args:
      config: with num_classes set.
    """
    model = Pix2SeqD(config.model, dtype=jnp.dtype(config.train.dtype))
    settings = {"model": model, "diffusion": config.diffusion}
    variables = variable_shapes(config.model)
    images = jax.ShapeDtypeStruct((1, *config.model.image_size, 3), jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    if not config.model.num_cond_frames:
        predict = functools.partial(image.predict, **settings)
        return jax.jit(predict).trace(variables, images, keys)
    state = jax.eval_shape(functools.partial(video.start, 1, config.model))
    next_frame = functools.partial(video.next_frame, **settings)
    return jax.jit(next_frame).trace(variables, state, images, keys)


def mask_flops(config: Config) -> dict[int, int]:
    """Steps of the sampler -> FLOPs of a mask with so many.

    One entry for images, `num_steps`; two for videos, `num_steps` of a first frame
    and `num_steps_next` of a later one.

    Args:
      config: with num_classes set.
    Source: ours; products and convolutions are those of spec 4.9.
    """
    jaxpr, diffusion = trace(config).jaxpr, config.diffusion
    if not config.model.num_cond_frames:
        return {diffusion.num_steps: flops.of(jaxpr)}
    # The first step is before the loop.
    return {
        steps: flops.of(jaxpr, while_turns=steps - 1)
        for steps in (diffusion.num_steps, diffusion.num_steps_next)
    }
