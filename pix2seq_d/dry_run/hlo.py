"""Reads the text of a compiled XLA program: what devices exchange, estimated cycles.

XLA's HLO text is a list of computations, one of them ENTRY; loops and fusions name the
computations that they run. What is in a loop counts as often as the loop turns.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator

_ITEM_BITS = {"pred": 8, "bf16": 16}  # all other types have their bits in their name
_OPS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
    "collective-broadcast",
)
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(
    r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][a-z0-9\-]*)\((.*)$"
)
_ARRAY = re.compile(r"\b([a-z]+\d\w*|pred)\[([\d,]*)\]")
_CALLED = re.compile(
    r"(?:calls|body|to_apply|true_computation|false_computation)=%?([\w.\-]+)"
)
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CONDITION = re.compile(r"condition=%?([\w.\-]+)")
_LIMIT = re.compile(r"^\s+ROOT .* compare\(%?[\w.\-]+, %?([\w.\-]+)\), direction=LT")
_INTEGER = re.compile(r"^\s+%?([\w.\-]+) = s\d+\[\]\S* constant\((\d+)\)")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_NO_ESTIMATE = 2**63 - 1  # as the compiler has it, in a v5p's program, 2026-11-28
_OP_NAME = re.compile(r'op_name="([^"]*)"')
# What names arrays or runs other computations, and moves nothing itself.
_MOVES_NOTHING = (
    *("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "after-all"),
    *("while", "conditional", "call"),
)


@dataclasses.dataclass(frozen=True)
class Collective:
    """One array that devices exchange.

    Attributes:
      op: all-reduce, all-gather, reduce-scatter, ... as XLA calls them.
      dtype: as XLA names it, e.g. bf16.
      shape: of the whole array: what an all-gather gives, a reduce-scatter takes.
      group: devices that exchange it with one another; 0 where pairs do.
      count: times a step.
      path: where the traced program has it; XLA gives merged ones the path of one.
      together: arrays that one operation exchanges, this one included.
    """

    op: str
    dtype: str
    shape: tuple[int, ...]
    group: int
    count: int
    path: str
    together: int = 1

    @property
    def bytes(self) -> int:
        """Of the whole array, all times together."""
        return self.count * math.prod(self.shape) * item_bits(self.dtype) // 8


@dataclasses.dataclass(frozen=True)
class _Instruction:
    output: str
    op: str
    rest: str
    times: int
    computation: str


def item_bits(dtype: str) -> int:
    """Bits of an element, e.g. 16 for bf16."""
    if dtype in _ITEM_BITS:
        return _ITEM_BITS[dtype]
    bits = re.search(r"\d+", dtype)
    assert bits, f"XLA has a type without a size: {dtype}"
    return int(bits[0])


def collectives(text: str) -> tuple[Collective, ...]:
    """Every array that a compiled program's devices exchange.

    Args:
      text: of `compiled.as_text()`.
    """
    found = []
    for instruction in _executed(text, into_fusions=True):
        op = instruction.op.removesuffix("-start")
        if op not in _OPS:
            continue
        arrays = _ARRAY.findall(instruction.output)
        if instruction.op.endswith("-start") and op != "all-reduce":
            # (operands, results, contexts)
            contexts = 2 if op == "collective-permute" else 0
            arrays = arrays[: len(arrays) - contexts]
            arrays = arrays[len(arrays) // 2 :]
        group = _group_size(instruction.rest)
        path = _OP_NAME.search(instruction.rest)
        if op == "all-reduce" and instruction.computation.startswith(
            "all-reduce-scatter"
        ):
            op, scattered = "reduce-scatter", 1  # the TPU compiler's form of it
        else:
            scattered = group if op == "reduce-scatter" else 1
        for dtype, sides in arrays:
            shape = [int(side) for side in sides.split(",") if side]
            if shape:
                shape[0] *= scattered
            found.append(
                Collective(
                    op=op,
                    dtype=dtype,
                    shape=tuple(shape),
                    group=group,
                    count=instruction.times,
                    path=path[1] if path else "",
                    together=len(arrays),
                )
            )
    return tuple(found)


def estimated_cycles(text: str) -> int:
    """Sum of the TPU compiler's estimates for all it runs; 0 for other compilers.

    What waits for other devices has no estimate, so exchanges cost nothing here.
    """
    return sum(map(_cycles, _executed(text, into_fusions=False)))


def costliest_loop(text: str) -> tuple[int, int]:
    """(turns, cycles of one turn) of the loop whose turns together have most cycles.

    Turns are 1 where only the data say how many; (1, 0) for a program without loops.
    """
    computations, _ = _computations(text)
    found = [(1, 0)]
    for instruction in _executed(text, into_fusions=False):
        if instruction.op != "while":
            continue
        (body,) = _CALLED.findall(instruction.rest)
        once = _executed(text, into_fusions=False, start=body)
        turns = _turns(instruction.rest, computations)
        found.append((turns, sum(map(_cycles, once))))
    return max(found, key=math.prod)


@dataclasses.dataclass(frozen=True)
class Operation:
    """What the TPU compiler expects of an operation, or of a fusion of several.

    Attributes:
      op: as XLA calls it.
      cycles: of all times together.
      times: a run.
      output: type, shape and layout.
      path: where the traced program has it; of a fusion that of its last.
    """

    op: str
    cycles: int
    times: int
    output: str
    path: str


def operations(text: str) -> tuple[Operation, ...]:
    """All that have an estimate, the costliest first; none for other compilers.

    Args:
      text: of `compiled.as_text()`.
    """
    found = []
    for instruction in _executed(text, into_fusions=False):
        cycles, path = _cycles(instruction), _OP_NAME.search(instruction.rest)
        if cycles:
            found.append(
                Operation(
                    op=instruction.op,
                    cycles=cycles,
                    times=instruction.times,
                    output=instruction.output,
                    path=path[1] if path else "",
                )
            )
    return tuple(sorted(found, key=lambda o: -o.cycles))


def loop_factor(text: str) -> float:
    """Bytes that a program's operations read and write over those with each loop once.

    An operation or fusion reads its operands and writes its output. XLA's cost analysis
    counts so, and a loop's body once: its bytes times this factor are those of a run.
    """
    computations, _ = _computations(text)
    sizes = {
        name: {inner: _size(output) for inner, output, _, _ in _parsed(lines)}
        for name, lines in computations.items()
    }
    once = turned = 0
    for instruction in _executed(text, into_fusions=False):
        if instruction.op in _MOVES_NOTHING:
            continue
        operands = instruction.rest.partition(")")[0].split(",")
        names = [operand.split(" ")[-1].lstrip("%") for operand in operands]
        known = sizes[instruction.computation]
        size = _size(instruction.output) + sum(known.get(name, 0) for name in names)
        once += size
        turned += size * instruction.times
    return turned / once if once else 1.0


def contents(text: str) -> dict[str, tuple[tuple[str, ...], str]]:
    """Name of each instruction -> its operation, or all of a fusion's, and its path.

    Args:
      text: of `compiled.as_text()`.
    Returns:
      E.g. {'fusion.3': (('convolution', 'add'), 'jit(f)/conv/conv_general_dilated')}.
    """
    computations, _ = _computations(text)
    found = {}
    for lines in computations.values():
        for name, _, op, rest in _parsed(lines):
            ops: tuple[str, ...] = (op,)
            if op == "fusion":
                (inner,) = _CALLED.findall(rest)
                ops = tuple(op for _, _, op, _ in _parsed(computations[inner]))
            path = _OP_NAME.search(rest)
            found[name] = ops, path[1] if path else ""
    return found


def _parsed(lines: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    """(name, output, operation, rest) of the lines that are instructions."""
    for line in lines:
        match = _INSTRUCTION.match(line)
        if match is not None:
            name, output, op, rest = match.groups()
            yield name, output, op, rest


def _size(output: str) -> int:
    """Bytes of an instruction's arrays."""
    return sum(
        math.prod(int(side) for side in sides.split(",") if side)
        * item_bits(dtype)
        // 8
        for dtype, sides in _ARRAY.findall(output)
    )


def _cycles(instruction: _Instruction) -> int:
    """Of all times together; 0 without an estimate."""
    found = _CYCLES.search(instruction.rest)
    cycles = int(found[1]) if found else 0
    return 0 if cycles == _NO_ESTIMATE else cycles * instruction.times


def _executed(
    text: str, *, into_fusions: bool, start: str = ""
) -> Iterator[_Instruction]:
    """What a computation runs, and those that it calls; by default the entry."""
    computations, entry = _computations(text)

    def walk(name: str, times: int) -> Iterator[_Instruction]:
        for _, output, op, rest in _parsed(computations.get(name, ())):
            yield _Instruction(output, op, rest, times, name)
            if op.endswith(("-done", "-update")) or op in _OPS:
                continue
            if op == "fusion" and not into_fusions:
                continue
            turns = _turns(rest, computations) if op == "while" else 1
            called = _CALLED.findall(rest)
            for branches in _BRANCHES.findall(rest):
                called += [branch.strip(" %") for branch in branches.split(",")]
            for inner in called:
                yield from walk(inner, times * turns)

    yield from walk(start or entry, 1)


def _turns(attributes: str, computations: dict[str, list[str]]) -> int:
    """Of a loop; 1 where only the data say how many.

    Some compilers say it; the TPU compiler leaves the condition alone, `turn < limit`,
    and JAX counts turns from 0.
    """
    known = _TURNS.search(attributes)
    if known:
        return int(known[1])
    condition = _CONDITION.search(attributes)
    lines = computations.get(condition[1], ()) if condition else ()
    limits = {m[1]: int(m[2]) for m in map(_INTEGER.match, lines) if m}
    compared = [m[1] for m in map(_LIMIT.match, lines) if m]
    return limits.get(compared[0], 1) if compared else 1


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    computations: dict[str, list[str]] = {}
    entry, current = "", None
    for line in text.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            current = computations[header[2]] = []
            entry = header[2] if header[1] else entry
        elif line == "}":
            current = None
        elif current is not None:
            current.append(line)
    if not entry:
        raise ValueError("this is no text of a compiled XLA program: it has no ENTRY")
    return computations, entry


def _group_size(attributes: str) -> int:
    """Devices of a group, from any of the three notations of `replica_groups`."""
    meshed = re.search(
        r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\S+)? \{([^}]*)\}", attributes
    )
    if meshed:
        sizes = dict(re.findall(r"('[^']+')=(\d+)", meshed[1]))
        return math.prod(int(sizes[name]) for name in re.findall("'[^']+'", meshed[2]))
    iota = re.search(r"replica_groups=\[\d+,(\d+)\]", attributes)
    if iota:
        return int(iota[1])
    listed = re.search(r"replica_groups=\{\{([\d,]*)\}", attributes)
    return len(listed[1].split(",")) if listed else 0
