"""Memory and exchange of a step that is not compiled to the end: minutes, not an hour.

The TPU compiler settles which buffer lies where before it generates code, which takes
most of its time, and writes what it has settled into a folder of dumps. A process of
its own compiles until then and is ended. Cycles are estimated with the code: there are
none here. Nor is the code, nor what generating it changes in the buffers: for
shapes:tiny the final figure was 50 MB above this one, and 37 MB below in another
version of the model.
"""

import dataclasses
import multiprocessing
import re
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from pix2seq_d.config import Config
from pix2seq_d.dry_run import hlo, measure, topology
from pix2seq_d.dry_run.hlo import Collective
from pix2seq_d.dry_run.memory import DoesNotFit
from pix2seq_d.training.program import Program

# The compiler's names of what it has settled; the second is written last.
_REPORT = "*.jit_*after_optimizations-memory-usage-report.txt"
_PROGRAM = "*.jit_*after_optimizations_after_buffer_assignment.txt"
_TOTAL = re.compile(r"Memory Space: default \(color=0\)\nTotal bytes: (\d+)")
_POLL_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Settled:
    """A step whose buffers have their places.

    Attributes:
      program: of the config.
      bytes: of a chip's memory that they take; the program's code is left out, and
        what its generation adds.
      collectives: what devices exchange in a step.
      compile_seconds: until then.
    """

    program: Program
    bytes: int
    collectives: tuple[Collective, ...]
    compile_seconds: float


def settle(config: Config, slice_name: str) -> Settled:
    """Compiles the training step for a slice until its memory is settled.

    Args:
      config: as `programs.make` takes it.
      slice_name: as of `topology.devices`.
    Raises:
      DoesNotFit: it needs more memory than such a chip has.
      ValueError: no such slice, or the batch or the mesh does not fit it.
      RuntimeError: the compiler failed, or writes no such dumps.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report, text = _compiled_until_settled(config, slice_name, Path(folder))
    return Settled(
        program=measure.program_of(config, topology.devices(slice_name)),
        bytes=total_bytes(report),
        collectives=hlo.collectives(text),
        compile_seconds=time.monotonic() - start,
    )


def total_bytes(report: str) -> int:
    """Bytes of a chip's main memory in the compiler's report of its use.

    Raises:
      ValueError: it is no such report.
    """
    found = _TOTAL.search(report)
    if found is None:
        raise ValueError("this is no report of the TPU compiler on its memory")
    return int(found[1])


def _compiled_until_settled(
    config: Config, slice_name: str, folder: Path
) -> tuple[str, str]:
    """Texts of the report and of the program."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    compiler = context.Process(
        target=_compile, args=(config, slice_name, folder, theirs), daemon=True
    )
    compiler.start()
    theirs.close()
    try:
        while not _is_there(folder):
            if ours.poll(_POLL_SECONDS):
                raise _error(ours)
        return _read(folder, _REPORT), _read(folder, _PROGRAM)
    finally:
        compiler.kill()
        compiler.join()


def _compile(
    config: Config, slice_name: str, folder: Path, connection: Connection
) -> None:
    """The other process: sends what went wrong, or None at its end."""
    options = {"xla_dump_to": str(folder), "xla_dump_hlo_as_text": True}
    try:
        program = measure.program_of(config, topology.devices(slice_name))
        measure.compile_step(program, options)
    except DoesNotFit as error:
        connection.send((error.needed, error.limit))
    except ValueError as error:
        connection.send(ValueError(str(error)))
    except Exception as error:
        connection.send(str(error))
    else:
        connection.send(None)


def _error(connection: Connection) -> Exception:
    try:
        said = connection.recv()
    except EOFError:
        return RuntimeError("the process that compiles has died: too little memory?")
    if isinstance(said, ValueError):
        return said
    if isinstance(said, tuple):
        return DoesNotFit(*said)
    return RuntimeError(
        said or "the TPU compiler wrote no report on its memory; another libtpu?"
    )


def _is_there(folder: Path) -> bool:
    """Whether the program's dump, written after the report, is whole."""
    return any(
        path.read_text().rstrip().endswith("}") for path in folder.glob(_PROGRAM)
    )


def _read(folder: Path, pattern: str) -> str:
    (path,) = folder.glob(pattern)
    return path.read_text()
