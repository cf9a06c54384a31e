"""Table of where the parameters are: which axis is split, what a device holds."""

import dataclasses
import math
from typing import Any

import jax

from pix2seq_d.training.program import Program


@dataclasses.dataclass(frozen=True)
class Group:
    """Parameters of one module whose paths end alike and that are split alike.

    Attributes:
      pattern: of the paths, e.g. encoder/*/kernel.
      spec: the axes that are split, as text.
      count: arrays.
      largest: shape of the largest.
      bytes: of all.
      device_bytes: of the share that one device holds.
    """

    pattern: str
    spec: str
    count: int
    largest: tuple[int, ...]
    bytes: int
    device_bytes: int


def groups(program: Program) -> tuple[Group, ...]:
    """The parameters in groups; the largest first."""
    found: dict[tuple[str, str], list[Any]] = {}
    params = program.state.variables["params"]
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        module, _, rest = name.partition("/")
        pattern = f"{module}/*/{rest.rpartition('/')[2]}"
        axes = [axis or "-" for axis in leaf.sharding.spec]
        spec = f"({', '.join(axes)})" if axes else "whole"
        found.setdefault((pattern, spec), []).append(leaf)
    made = [
        Group(
            pattern=pattern,
            spec=spec,
            count=len(leaves),
            largest=max((leaf.shape for leaf in leaves), key=math.prod),
            bytes=sum(_bytes(leaf.shape, leaf) for leaf in leaves),
            device_bytes=device_bytes(leaves),
        )
        for (pattern, spec), leaves in found.items()
    ]
    return tuple(sorted(made, key=lambda group: -group.bytes))


def device_bytes(tree: Any) -> int:
    """Bytes that one device holds of a tree of `ShapeDtypeStruct`s with shardings."""
    return sum(
        _bytes(leaf.sharding.shard_shape(leaf.shape), leaf)
        for leaf in jax.tree.leaves(tree)
    )


def whole_bytes(tree: Any) -> int:
    """Bytes of a tree of `ShapeDtypeStruct`s."""
    return sum(_bytes(leaf.shape, leaf) for leaf in jax.tree.leaves(tree))


def table(rows: tuple[Group, ...]) -> str:
    """Text for people."""
    lines = [
        f"  {'parameters':30s}{'arrays':>7s}  {'largest':20s}{'split':22s}"
        f"{'MB':>8s}{'a device':>10s}"
    ]
    for row in rows:
        shape = " x ".join(map(str, row.largest))
        lines.append(
            f"  {row.pattern:30s}{row.count:7d}  {shape:20s}{row.spec:22s}"
            f"{row.bytes / 1e6:8.2f}{row.device_bytes / 1e6:10.2f}"
        )
    return "\n".join(lines)


def _bytes(shape: tuple[int, ...], leaf: Any) -> int:
    return math.prod(shape) * leaf.dtype.itemsize
