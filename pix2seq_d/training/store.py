"""Saves and restores the training state in the background; a thin wrapper of Orbax."""

import contextlib
import dataclasses
import functools
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from pix2seq_d.config import Config
from pix2seq_d.labels import LabelSpace
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training import checkpoint_format as formats
from pix2seq_d.training import checksums, orbax_errors, restoring
from pix2seq_d.training.checkpoint_format import CheckpointError
from pix2seq_d.training.restoring import UnreadableError
from pix2seq_d.training.retention import LatestAndBest
from pix2seq_d.training.state import TrainState
from pix2seq_d.training.workdir import CHECKPOINTS


class _Manager(ocp.CheckpointManager):
    """Orbax's, but for its own look at SIGTERM, which is `interrupt`'s.

    JAX counts the calls of its sync point, and Orbax would call it with the number of
    the step: a job that goes on from step 500 would stop 500 steps after the signal.
    """

    def reached_preemption(self, step: int) -> bool:
        del step
        return False


@functools.cache
def _write_whole_arrays() -> None:
    """Makes Orbax write an array that many devices hold from one of them.

    By default each of n devices writes an n-th of it, which a program for every shape
    cuts out: the first save of a training waits for hundreds of compilations. Orbax
    asks the process, not the manager, so all that this process saves is written so.
    """
    default = ocp.type_handlers.get_type_handler(jax.Array)
    handler = ocp.type_handlers.ArrayHandler(
        use_replica_parallel=False,
        # Shapes as each process wrote them; Orbax compares them at the end of a save.
        array_metadata_store=getattr(default, "_array_metadata_store", None),
    )
    ocp.type_handlers.register_type_handler(jax.Array, handler, override=True)


@dataclasses.dataclass(frozen=True)
class Resumed:
    """A restored training.

    Attributes:
      state: of the latest checkpoint that can be read.
      step: its number of steps done.
      labels: the label space that it was trained with.
      notes: lines that the user has to see.
    """

    state: TrainState
    step: int
    labels: LabelSpace
    notes: tuple[str, ...]


class CheckpointStore:
    """The checkpoints of one training, in `<workdir>/checkpoints`.

    A context manager; leaving it waits for the save under way. All processes have to
    make every call; process 0 commits.

    Args:
      workdir: folder of the training, which this process may write alone
        (`lock.hold`): what an interrupted save left is deleted.
      keep: number of latest checkpoints kept.
      keep_best: number of best ones kept beside them, by `score`.
    """

    def __init__(
        self, workdir: str | os.PathLike[str], *, keep: int, keep_best: int = 0
    ) -> None:
        orbax_errors.quiet()
        _write_whole_arrays()
        # Orbax accepts a relative path and fails only when it finishes saving.
        self.directory = Path(workdir).resolve() / CHECKPOINTS
        self._saving: int | None = None
        self._policy = LatestAndBest(self.directory, keep=keep, keep_best=keep_best)
        if jax.process_index() == 0:
            for left in self.directory.glob(_unfinished("[0-9]*")):
                # Orbax's own clean-up would fail where this only tries.
                shutil.rmtree(left, ignore_errors=True)
        self._manager = self._open()

    def steps(self) -> list[int]:
        """Steps of the checkpoints, that of a save under way included, in order."""
        return sorted(int(step) for step in self._manager.all_steps())

    def latest_step(self) -> int | None:
        """The last of `steps`, None without one."""
        return max(self.steps(), default=None)

    def save(
        self,
        state: TrainState,
        *,
        config: Config,
        labels: LabelSpace,
        num_images: int | None = None,
    ) -> None:
        """Saves in the background under the state's step number; once only.

        Args:
          state: may be donated as soon as this returns.
          config: of the training.
          labels: of its data.
          num_images: of its data.
        Raises:
          CheckpointError: this save or the one before it failed, or there is a
            checkpoint of a later step.
        """
        # The one before may fail yet, and its step is then free again.
        self.wait()
        step = int(state.step)
        if step in self.steps():
            return
        meta = formats.new_meta(step, config, num_images=num_images)
        args = ocp.args.Composite(
            **{
                name: ocp.args.StandardSave(item)
                for name, item in restoring.state_items(state).items()
            },
            config=ocp.args.JsonSave(dataclasses.asdict(config)),
            labels=ocp.args.JsonSave({"categories": labels.to_json()}),
            meta=ocp.args.JsonSave(meta),
        )
        self._saving = step
        try:
            saved = self._manager.save(step, args=args)
        except Exception as error:
            self._saving = None
            raise self._failed(step, error) from error
        if not saved:
            self._saving = None
            raise CheckpointError(
                f"{self.directory}: step {step} was not saved; the folder holds a "
                f"checkpoint of step {self.latest_step()}"
            )

    def check(self) -> None:
        """Raises CheckpointError if a save in the background has failed; cheap."""
        if self._saving is not None and not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Waits for the save under way; raises CheckpointError if it fails."""
        if self._saving is None:
            return
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failed(self._saving, error) from error
        finally:
            self._saving = None

    def score(self, step: int, value: float) -> None:
        """Remembers how good a checkpoint is, for `keep_best`; higher is better.

        Without a checkpoint of that step, or if `value` is no number, does nothing.
        """
        if step not in self.steps() or not math.isfinite(value):
            return
        self._policy.score(step, value, steps=self.steps())
        if jax.process_index() == 0:
            self._policy.write()

    def resume(
        self, abstract: TrainState, *, num_images: int | None = None
    ) -> Resumed | None:
        """Restores the latest checkpoint that can be read; None without any.

        Later ones, which cannot, are renamed to `<step>.unreadable`.

        Args:
          abstract: the state's shapes, dtypes and shardings, of any mesh.
          num_images: of the data.
        Raises:
          CheckpointError: none can be read; or one has other parameters, or a newer
            format.
        """
        damaged: dict[int, str] = {}
        for step in reversed(self.steps()):
            try:
                state = self.restore(abstract, step=step)
                labels = restoring.read_labels(self.directory / str(step))
            except UnreadableError as error:
                damaged[step] = str(error)
                continue
            notes = [
                f"{fault}; kept as {name}, going on from step {step}"
                for fault, name in zip(
                    damaged.values(), self._set_aside(list(damaged)), strict=True
                )
            ]
            before = formats.read_meta(self.directory / str(step)).get("num_images")
            if None not in (before, num_images) and before != num_images:
                notes.append(
                    f"the training data has {num_images} images now, {before} when "
                    f"step {step} was saved; their order is another from here on"
                )
            return Resumed(state, step, labels, tuple(notes))
        if damaged:
            raise CheckpointError(
                f"no checkpoint can be read: {'; '.join(damaged.values())}; put back "
                "copies of these folders, or take another workdir"
            )
        return None

    def restore(self, abstract: TrainState, *, step: int) -> TrainState:
        """Restores a whole training state.

        Args:
          abstract: the state's shapes, dtypes and shardings, of any mesh.
          step: which checkpoint.
        Raises:
          UnreadableError: its files are damaged or missing.
          CheckpointError: it has other parameters, or a newer format.
        """
        return restoring.read_state(self.directory / str(step), abstract)

    def __enter__(self) -> "CheckpointStore":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.wait()
        except CheckpointError as error:
            with contextlib.suppress(Exception):
                self._manager.close()
            if kind is None:
                raise
            # Another error is on its way, which would hide this one.
            print(error, file=sys.stderr, flush=True)
        else:
            self._manager.close()

    def _open(self) -> ocp.CheckpointManager:
        return _Manager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=self._policy,
                single_host_load_and_broadcast=True,
                async_options=ocp.AsyncOptions(
                    # Called by process 0 when all files are written, before the
                    # folder gets its name.
                    post_finalization_callback=self._write_checksums,
                    create_directories_asynchronously=False,
                ),
            ),
        )

    def _write_checksums(self) -> None:
        (folder,) = self.directory.glob(_unfinished(str(self._saving)))
        checksums.write(folder)

    def _set_aside(self, steps: Sequence[int]) -> list[str]:
        """Renames checkpoints, so that their steps can be saved again."""
        names = []
        if jax.process_index() == 0:
            for step in steps:
                name, copies = f"{step}.unreadable", 1
                while (self.directory / name).exists():
                    copies += 1
                    name = f"{step}.unreadable-{copies}"
                (self.directory / str(step)).rename(self.directory / name)
                names.append(name)
        names = gather(names)[0]
        if names:
            self._manager.reload()
        return names

    def _failed(self, step: int, error: Exception) -> CheckpointError:
        if jax.process_count() == 1:
            # The manager keeps errors that the next save would raise, and has
            # forgotten the checkpoints that it was going to delete after this one.
            with contextlib.suppress(Exception):
                self._manager.close()
            self._manager = self._open()
        before = [other for other in self.steps() if other != step]
        last = f"step {before[-1]} is the last saved" if before else "none is saved"
        reason = orbax_errors.reason(error)
        return CheckpointError(
            f"{self.directory}: saving step {step} failed: {reason}; free space or "
            f"mend the folder and start the same command again ({last})"
        )


def _unfinished(step: str) -> str:
    """Pattern of the folder that Orbax renames to a step's when it is complete."""
    return f"{step}.orbax-checkpoint-tmp*"
