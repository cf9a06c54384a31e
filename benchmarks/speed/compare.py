"""Two revisions timed in turn, each in a process of its own."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pix2seq_d.evaluation import text_table
from pix2seq_d.progress import Progress
from speed.timing import Spread

ROOT = Path(__file__).resolve().parents[2]
_WORKER = Path(__file__).with_name("worker.py")


@dataclasses.dataclass(frozen=True)
class Case:
    """What both revisions do.

    Attributes:
      name: for people.
      kind: of `workloads.KINDS`.
      fields: of `workloads.fields_of`.
      batch: images of a call.
    """

    name: str
    kind: str
    fields: dict[str, Any]
    batch: int


@dataclasses.dataclass(frozen=True)
class Compared:
    """What was measured of a case.

    Attributes:
      name: of the case.
      there: seconds of a call in the other revision.
      here: and in this tree.
      ratio: there / here of the medians of each turn; above 1 this tree is faster.
      cost_there: XLA's {'flops', 'bytes', 'temporaries', 'compile_s'}.
      cost_here: the same.
    """

    name: str
    there: Spread
    here: Spread
    ratio: Spread
    cost_there: dict[str, float]
    cost_here: dict[str, float]


class Peer:
    """A process that times one tree.

    Args:
      tree: folder of a checkout.
      name: of it, for messages.
    """

    def __init__(self, tree: Path, name: str) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            env=os.environ
            | {
                "PYTHONPATH": str(tree),
                # Two processes share a GPU's memory.
                "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tree,
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        """The answer to an order of `worker`.

        Raises:
          ValueError: the tree cannot do it; names tree and reason.
        """
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ValueError(f"{self._name}: its process ended early; see above")
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(f"{self._name}: {answer['error']}")
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


def commit_of(revision: str) -> str:
    """The full name of a revision's commit.

    Raises:
      ValueError: git does not know it.
    """
    done = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode:
        raise ValueError(
            f"--compare={revision}: no such revision in {ROOT}; `git log` names them, "
            "and a shallow clone has few: git fetch --unshallow"
        )
    return done.stdout.strip()


@contextlib.contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A temporary worktree of a revision; nothing is left of it.

    Raises:
      ValueError: git does not know it, or cannot make the worktree.
    """
    commit = commit_of(revision)
    with tempfile.TemporaryDirectory(prefix="pix2seq_d_compare_") as folder:
        tree = Path(folder) / commit[:12]
        done = _git("worktree", "add", "--detach", str(tree), commit)
        try:
            if done.returncode:
                raise ValueError(
                    f"--compare={revision}: git worktree add: {done.stderr.strip()}"
                )
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def run(
    revision: str, cases: Sequence[Case], *, turns: int, calls: int
) -> list[Compared]:
    """Times the cases in another revision and here, turn after turn.

    Args:
      revision: as git takes it.
      cases: what to time.
      turns: measurements of each; each gives a ratio.
      calls: of a measurement.
    Raises:
      ValueError: no such revision, or it cannot do a case; names what it lacks.
    """
    found = []
    progress = Progress("compare", len(cases) * turns, unit="turn", every_s=0)
    with (
        checkout(revision) as tree,
        contextlib.closing(Peer(tree, revision)) as there,
        contextlib.closing(Peer(ROOT, "this tree")) as here,
    ):
        for number, case in enumerate(cases):
            order = {"kind": case.kind, "fields": case.fields, "batch": case.batch}
            costs = [peer.ask(make=order) for peer in (there, here)]
            seconds: list[tuple[list[float], list[float]]] = []
            for turn in range(turns):
                progress.update(number * turns + turn, case.name)
                # The second one of a turn finds other caches: they take turns in that.
                pair = [there, here] if turn % 2 == 0 else [here, there]
                times = {peer: peer.ask(time=calls)["seconds"] for peer in pair}
                seconds.append((times[there], times[here]))
            found.append(_compared(case.name, seconds, costs))
    progress.update(len(cases) * turns)
    return found


def _compared(
    name: str,
    seconds: Sequence[tuple[list[float], list[float]]],
    costs: Sequence[dict[str, float]],
) -> Compared:
    ratios = [
        Spread.of(there).median / Spread.of(here).median for there, here in seconds
    ]
    there, here = (
        Spread.of([one for pair in seconds for one in pair[k]]) for k in (0, 1)
    )
    return Compared(name, there, here, Spread.of(ratios), *costs)


def table(revision: str, found: Sequence[Compared]) -> str:
    """Markdown: ratios and times, then what XLA says of both programs."""
    head = ("", f"{revision} / here", "from", "to", "turns")
    head += ("ms there", "ms here", "least there", "least here")
    rows = [
        [
            one.name,
            *(f"{x:.3f}" for x in (one.ratio.median, one.ratio.low, one.ratio.high)),
            str(one.ratio.count),
            *(f"{1e3 * x.median:,.1f}" for x in (one.there, one.here)),
            *(f"{1e3 * x.low:,.1f}" for x in (one.there, one.here)),
        ]
        for one in found
    ]
    times = text_table.markdown(head, rows)
    units = {"flops": 1e9, "bytes": 1e6, "temporaries": 1e6, "compile_s": 1.0}
    head = ("by XLA, loops once: there, here", "GFLOP", "", "MB moved", "")
    head += ("MB temporary", "", "compile s", "")
    rows = [
        [
            one.name,
            *(
                "-" if cost[name] is None else f"{cost[name] / unit:,.4g}"
                for name, unit in units.items()
                for cost in (one.cost_there, one.cost_here)
            ),
        ]
        for one in found
    ]
    return f"{times}\n\n{text_table.markdown(head, rows)}"


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True
    )
