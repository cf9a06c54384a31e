"""Compiles encoder and sampler for the chips of a slice: memory and cycles."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from pix2seq_d.config import Config
from pix2seq_d.dry_run import hlo, memory, sampling
from pix2seq_d.dry_run.memory import Memory
from pix2seq_d.sharding import mesh as meshes


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Encoder and sampler in one program, an evaluation's batch over the chips.

    Attributes:
      images: of one chip at once, or frames, each of another video.
      memory: of one chip.
      once_cycles: the compiler's estimate of all that is not in the sampler's loop:
        the encoder and, of a video, the first step.
      step_cycles: of one turn of the loop.
      exchanged: bytes that chips exchange; 0, for each has its own images.
      compile_seconds: tracing included.
    """

    images: int
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
    compiled = memory.compile_traced(sampling.trace(config, mesh))
    seconds = time.monotonic() - start
    text = compiled.as_text()
    turns, step = hlo.costliest_loop(text)
    return Sampled(
        images=sampling.images_of_a_device(config, mesh.size),
        memory=memory.of(compiled),
        once_cycles=hlo.estimated_cycles(text) - turns * step,
        step_cycles=step,
        exchanged=sum(one.bytes for one in hlo.collectives(text)),
        compile_seconds=seconds,
    )
