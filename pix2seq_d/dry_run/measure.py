"""Compiles the exact training step of a config and reads off what it costs."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pix2seq_d.config import Config
from pix2seq_d.dry_run import flops, hlo, memory
from pix2seq_d.dry_run.hlo import Collective
from pix2seq_d.dry_run.memory import Memory
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program as programs
from pix2seq_d.training.program import Program


@dataclasses.dataclass(frozen=True)
class Measured:
    """A compiled training step.

    Attributes:
      config: that was compiled.
      program: of the config.
      memory: of one device.
      collectives: what devices exchange in a step.
      flops: of the traced step, all devices together, loops as often as they turn;
        element-wise work and `remat` included.
      xla_flops: XLA's count for one device, after its optimisations; each loop once;
        None where it does not count.
      cycles: the TPU compiler's estimate for one device; 0 for other compilers.
      compile_seconds: tracing included.
    """

    config: Config
    program: Program
    memory: Memory
    collectives: tuple[Collective, ...]
    flops: int
    xla_flops: float | None
    cycles: int
    compile_seconds: float


def program_of(config: Config, devices: Sequence[Any]) -> Program:
    """The program on the mesh that the config asks for."""
    mesh = meshes.make_mesh(devices, **dataclasses.asdict(config.sharding))
    return programs.make(config, mesh)


def measure(config: Config, devices: Sequence[Any]) -> Measured:
    """Compiles the step for devices, which may be only descriptions of some.

    Args:
      config: as `programs.make` takes it.
      devices: of `jax.devices` or `topology.devices`.
    Raises:
      DoesNotFit: it needs more memory than such a device has.
      ValueError: the batch or the mesh does not fit the devices.
    """
    program = program_of(config, devices)
    start = time.monotonic()
    traced, compiled = compile_step(program)
    seconds = time.monotonic() - start
    text = compiled.as_text()
    return Measured(
        config=config,
        program=program,
        memory=memory.of(compiled),
        collectives=hlo.collectives(text),
        flops=flops.of(traced.jaxpr),
        xla_flops=(compiled.cost_analysis() or {}).get("flops"),
        cycles=hlo.estimated_cycles(text),
        compile_seconds=seconds,
    )


def compile_step(
    program: Program, options: Mapping[str, Any] | None = None
) -> tuple[Any, Any]:
    """The step, traced and compiled.

    Args:
      program: of `program_of`.
      options: of the compiler.
    Raises:
      DoesNotFit: it needs more memory than such a device has.
    """
    traced = program.step.trace(program.state, program.batch, program.key)
    return traced, memory.compile_traced(traced, options)
