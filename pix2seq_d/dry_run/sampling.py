"""The sampler of a config, traced and not compiled: one mask, or a video's next one."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from pix2seq_d.config import Config
from pix2seq_d.dry_run import flops
from pix2seq_d.inference import image, video
from pix2seq_d.models import Pix2SeqD, variable_shapes
from pix2seq_d.models.attention_choice import model_on
from pix2seq_d.sharding import mesh as meshes


def trace(config: Config, mesh: Mesh | None = None) -> Any:
    """`jax.stages.Traced` of the sampler that evaluation and prediction run.

    Args:
      config: with num_classes set.
      mesh: a batch of `evaluation.batch_size` images, or a frame of one video for each
        device, over its devices, which have the weights whole; None: batch 1 on one
        device.
    """
    batch = 1 if mesh is None else mesh.size * images_of_a_device(config, mesh.size)
    dtype = config.train.dtype
    if mesh is None:
        model = Pix2SeqD(config.model, dtype=jnp.dtype(dtype))
    else:
        model = model_on(config.model, dtype, mesh.devices.flat)
    settings = {"model": model, "diffusion": config.diffusion}
    variables = variable_shapes(config.model)
    images = jax.ShapeDtypeStruct((batch, *config.model.image_size, 3), jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), batch))
    if config.model.num_cond_frames:
        state = jax.eval_shape(functools.partial(video.start, batch, config.model))
        function, examples = video.next_frame, (state, images, keys)
    else:
        function, examples = image.predict, (images, keys)
    places: dict[str, Any] = {}
    if mesh is not None:
        split = meshes.over_batch(mesh)
        whole = meshes.replicated(mesh)
        places["in_shardings"] = (whole, *(split for _ in examples))
        places["out_shardings"] = split
    jitted = jax.jit(functools.partial(function, **settings), **places)
    return jitted.trace(variables, *examples)


def images_of_a_device(config: Config, devices: int) -> int:
    """How many images, or videos, a device of some has at once in an evaluation."""
    if config.model.num_cond_frames:
        return 1
    return -(-config.evaluation.batch_size // devices)


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
