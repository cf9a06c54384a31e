"""Where a call's time goes, by kind of operation, from the profiler of JAX."""

import collections
import dataclasses
import tempfile
from collections.abc import Iterable
from pathlib import Path

import jax

from pix2seq_d.dry_run import hlo
from pix2seq_d.evaluation import text_table
from speed.timing import Runner

# Events of these last as long as what they run, which has events of its own.
_CONTAINERS = ("while", "call", "conditional")
_COPIES = {"copy", "transpose", "pad", "slice", "concatenate", "broadcast", "reverse"}
_COPIES |= {"dynamic-slice", "dynamic-update-slice", "gather", "scatter", "bitcast"}
_COPIES |= {"parameter", "constant", "reshape", "convert", "iota", "tuple"}


@dataclasses.dataclass(frozen=True)
class OpTime:
    """All operations of a kind in one call.

    Attributes:
      kind: as `kind_of` names it.
      seconds: of all of them, together.
      count: how often one ran.
    """

    kind: str
    seconds: float
    count: int


def measure(runner: Runner) -> list[OpTime]:
    """Profiles one call; longest first, [] where the profiler names no operations.

    Operations may run at once on several threads: the seconds are of work, and can be
    more than the call's.
    """
    kinds = {
        name: kind_of(ops, path)
        for name, (ops, path) in hlo.contents(runner.compiled.as_text()).items()
        if ops[0] not in _CONTAINERS
    }
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            runner.seconds(1)
        (file,) = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(file))
        seconds: dict[str, float] = collections.defaultdict(float)
        counts: dict[str, int] = collections.Counter()
        for plane in data.planes:
            for line in plane.lines:
                for event in line.events:
                    operation = dict(event.stats).get("hlo_op")
                    # Ends of operations have none of these statistics.
                    if operation in kinds:
                        seconds[kinds[operation]] += event.duration_ns / 1e9
                        counts[kinds[operation]] += 1
    found = [OpTime(kind, spent, counts[kind]) for kind, spent in seconds.items()]
    return sorted(found, key=lambda one: -one.seconds)


def kind_of(ops: Iterable[str], path: str) -> str:
    """What an instruction is for people, by its dearest operation.

    Args:
      ops: of a fusion, or the one of an instruction.
      path: where the traced program has it; of the backward pass with `transpose(`,
        empty where XLA rewrote it, as it does the weights' gradients.
    """
    ops = set(ops)
    direction = "gradient" if "transpose(" in path else "forward"
    if not path:
        direction = "rewritten"
    is_call = "custom-call" in ops  # of a library, which only the path tells
    if "convolution" in ops or (is_call and "conv_general_dilated" in path):
        return f"convolution, {direction}"
    if "dot" in ops or (is_call and "dot_general" in path):
        return f"product, {direction}"
    if ops & {"reduce", "reduce-window"}:
        return "reduction"
    if ops <= _COPIES:
        return "copy, transpose, pad"
    return "element-wise"


def table(found: Iterable[OpTime]) -> str:
    """Markdown: kinds with their share, longest first."""
    found = list(found)
    total = sum(one.seconds for one in found)
    rows = [
        [
            one.kind,
            f"{1e3 * one.seconds:,.1f}",
            text_table.percent(one.seconds / total),
            f"{one.count:,d}",
        ]
        for one in found
    ]
    return text_table.markdown(("kind of operation", "ms", "%", "times"), rows)
