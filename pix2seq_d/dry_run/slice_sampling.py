"""Compiles encoder and sampler for the chips of a slice: memory and cycles."""

import dataclasses
import functools
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pix2seq_d.config import Config
from pix2seq_d.dry_run import hlo, memory
from pix2seq_d.dry_run.memory import Memory
from pix2seq_d.inference import image, video
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.sharding import mesh as meshes


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Encoder and sampler in one program, an image or a video's frame a chip.

    Attributes:
      memory: of one chip.
      once_cycles: the compiler's estimate of all that is not in the sampler's loop:
        the encoder and, of a video, the first step.
      step_cycles: of one turn of the loop.
      exchanged: bytes that chips exchange; 0, for each has its own image.
      compile_seconds: tracing included.
    """

    memory: Memory
    once_cycles: int
    step_cycles: int
    exchanged: int
    compile_seconds: float


def measure(config: Config, devices: Sequence[Any]) -> Sampled:
    """Compiles what evaluation runs, with the weights whole on each chip.

    Args:
      config: with num_classes set.
      devices: of `topology.devices`.
    Raises:
      DoesNotFit: it needs more memory than such a chip has.
    """
    mesh = meshes.make_mesh(devices)
    start = time.monotonic()
    try:
        compiled = _lowered(config, mesh).compile()
    except jax.errors.JaxRuntimeError as error:
        found = memory.does_not_fit(error)
        if found is None:
            raise
        raise found from error
    seconds = time.monotonic() - start
    text = compiled.as_text()
    turns, step = hlo.costliest_loop(text)
    return Sampled(
        memory=memory.of(compiled),
        once_cycles=hlo.estimated_cycles(text) - turns * step,
        step_cycles=step,
        exchanged=sum(one.bytes for one in hlo.collectives(text)),
        compile_seconds=seconds,
    )


def _lowered(config: Config, mesh: jax.sharding.Mesh) -> Any:
    model = Pix2SeqD(config.model, dtype=jnp.dtype(config.train.dtype))
    settings = {"model": model, "diffusion": config.diffusion}
    batch, whole = meshes.over_batch(mesh), meshes.replicated(mesh)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    shape = (mesh.size, *config.model.image_size, 3)
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), mesh.size))
    if not config.model.num_cond_frames:
        predict = functools.partial(image.predict, **settings)
        places = (whole, batch, batch)
        jitted = jax.jit(predict, in_shardings=places, out_shardings=batch)
        return jitted.trace(variables, images, keys).lower()
    state = jax.eval_shape(functools.partial(video.start, mesh.size, config.model))
    next_frame = functools.partial(video.next_frame, **settings)
    places = (whole, batch, batch, batch)
    jitted = jax.jit(next_frame, in_shardings=places, out_shardings=batch)
    return jitted.trace(variables, state, images, keys).lower()
