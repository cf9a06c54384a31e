"""Memory of a compiled step on one device, as the compiler reports it."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import jax

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# Two messages of the TPU compiler: at once where temporaries alone are too many, else
# after it has tried.
_TPU = (
    re.compile(r"Used ([\d.]+)([KMGT]?) of ([\d.]+)([KMGT]?) hbm"),
    re.compile(r"\(([\d.]+)([KMGT]?)\) exceeds available HBM \(([\d.]+)([KMGT]?)\)"),
)

# GiB of one chip that the TPU compiler may use, as libtpu 0.0.42.1 says it where a
# program is too large.
USABLE_GIB = {"TPU v5e": 15.75, "TPU v5p": 95.74, "TPU v6e": 31.25}


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes on one device while a step runs.

    Attributes:
      arguments: state and batch before the step.
      output: state and scalars after it.
      alias: of the output, what takes the place of arguments.
      temporaries: activations, gradients and all else in between.
      code: the program itself; 0 where it lies elsewhere.
    """

    arguments: int
    output: int
    alias: int
    temporaries: int
    code: int = 0

    @property
    def total(self) -> int:
        """What the step needs."""
        return self.arguments + self.output - self.alias + self.temporaries + self.code


class DoesNotFit(RuntimeError):
    """The step needs more memory than the device has.

    Attributes:
      needed: bytes; 0 where the compiler does not say.
      limit: bytes that the compiler may use; 0 where it does not say.
    """

    def __init__(self, needed: int, limit: int) -> None:
        super().__init__("the step does not fit in the device's memory")
        self.needed, self.limit = needed, limit


def of(compiled: Any) -> Memory:
    """Reads `memory_analysis` of a compiled function."""
    stats = compiled.memory_analysis()
    return Memory(
        arguments=stats.argument_size_in_bytes,
        output=stats.output_size_in_bytes,
        alias=stats.alias_size_in_bytes,
        temporaries=stats.temp_size_in_bytes,
        code=stats.generated_code_size_in_bytes,
    )


def compile_traced(traced: Any, options: Mapping[str, Any] | None = None) -> Any:
    """The compiled program of a `jax.stages.Traced`.

    Args:
      traced: what to compile.
      options: of the compiler.
    Raises:
      DoesNotFit: it needs more memory than such a device has.
    """
    try:
        return traced.lower().compile(compiler_options=options)
    except jax.errors.JaxRuntimeError as error:
        found = does_not_fit(error)
        if found is None:
            raise
        raise found from error


def does_not_fit(error: RuntimeError) -> DoesNotFit | None:
    """What a compiler's error says about memory; None where it is about others."""
    text = str(error)
    if "RESOURCE_EXHAUSTED" not in text:
        return None
    match = next(filter(None, (one.search(text) for one in _TPU)), None)
    if match is None:
        return DoesNotFit(0, 0)
    needed, needed_unit, limit, limit_unit = match.groups()
    return DoesNotFit(
        round(float(needed) * _UNITS[needed_unit]),
        round(float(limit) * _UNITS[limit_unit]),
    )
