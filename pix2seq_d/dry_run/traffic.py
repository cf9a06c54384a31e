"""What the arrays that devices exchange are: gradients, parameters, moments, ..."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import jax

from pix2seq_d.dry_run.hlo import Collective
from pix2seq_d.training.program import Program

ACTIVATIONS = "activations"


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Collectives of one kind.

    Attributes:
      purpose: gradients, parameters, batch-norm moments, scalars or activations.
      op: e.g. all-reduce.
      dtype: e.g. bf16.
      group: devices that exchange with one another.
      count: arrays a step.
      operations: that exchange them, several arrays in one where the compiler merges
        them; a share of an operation where it merges different kinds.
      bytes: of these arrays.
    """

    purpose: str
    op: str
    dtype: str
    group: int
    count: int
    operations: float
    bytes: int


def summarize(
    collectives: Iterable[Collective], program: Program
) -> tuple[Traffic, ...]:
    """Collectives of one purpose, operation, type and group together; most first.

    Args:
      collectives: of `hlo.collectives`.
      program: that was compiled.
    """
    sizes = _sizes(program)
    found: dict[tuple[str, str, str, int], tuple[int, float, int]] = {}
    for one in collectives:
        key = _purpose(one, *sizes), one.op, one.dtype, one.group
        count, operations, size = found.get(key, (0, 0.0, 0))
        operations += one.count / one.together
        found[key] = count + one.count, operations, size + one.bytes
    rows = [Traffic(*key, *sums) for key, sums in found.items()]
    return tuple(sorted(rows, key=lambda row: -row.bytes))


def activations(
    collectives: Iterable[Collective], program: Program
) -> tuple[Collective, ...]:
    """Collectives that a data-parallel step should not have."""
    sizes = _sizes(program)
    return tuple(c for c in collectives if _purpose(c, *sizes) == ACTIVATIONS)


def _sizes(program: Program) -> tuple[set[int], set[int], set[int]]:
    """Elements of parameters whole, of parts of their gradients, and of moments."""
    params = jax.tree.leaves(program.state.variables["params"])
    parts: set[int] = {
        math.prod(leaf.sharding.shard_shape(leaf.shape)) for leaf in params
    }
    moments: Any = jax.tree.leaves(program.state.variables["batch_stats"])
    return {leaf.size for leaf in params}, parts, {leaf.size for leaf in moments}


def _purpose(
    one: Collective, whole: set[int], parts: set[int], moments: set[int]
) -> str:
    size = math.prod(one.shape)
    if size == 1:
        return "scalars"
    reduces = one.op in ("all-reduce", "reduce-scatter")
    if reduces and len(one.shape) == 1 and size in moments and "/norm/" in one.path:
        return "batch-norm moments"
    if reduces and size in whole | parts:
        return "gradients"
    if one.op == "all-gather" and size in whole:
        return "parameters"
    return ACTIVATIONS


def table(rows: Iterable[Traffic]) -> str:
    """Text for people."""
    lines = [
        f"  {'what':20s}{'operation':20s}{'type':6s}{'among':>6s}{'arrays':>8s}"
        f"{'MB':>10s}"
    ]
    for row in rows:
        among = str(row.group) if row.group else "pairs"
        lines.append(
            f"  {row.purpose:20s}{row.op:20s}{row.dtype:6s}{among:>6s}{row.count:8,d}"
            f"{row.bytes / 1e6:10,.2f}"
        )
    return "\n".join(lines)
