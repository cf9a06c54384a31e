"""The steps of a training: step, look at it, log, save, evaluate, stop."""

import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from pix2seq_d.config import Config
from pix2seq_d.config.training import TrainConfig
from pix2seq_d.data.source import Source
from pix2seq_d.inference.predictor import Predictor
from pix2seq_d.inference.video_predictor import VideoPredictor
from pix2seq_d.labels import LabelSpace
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training import health
from pix2seq_d.training.evaluate import evaluate_ema, score
from pix2seq_d.training.health import NonFiniteError
from pix2seq_d.training.interrupt import Interruption, Stopped, StopRequest
from pix2seq_d.training.journal import Journal, say
from pix2seq_d.training.profile import Profile
from pix2seq_d.training.program import Program
from pix2seq_d.training.state import TrainState
from pix2seq_d.training.store import CheckpointStore
from pix2seq_d.training.window import AHEAD

Batches = Iterator[dict[str, jax.Array]]


def evaluates_at(step: int, train: TrainConfig) -> bool:
    """Whether a training evaluates after this step."""
    if step == 0:
        return train.eval_at_start
    regular = train.eval_every > 0 and step % train.eval_every == 0
    return regular or step == train.num_steps


def saves_at(step: int, train: TrainConfig) -> bool:
    """Whether a training saves after this step, whatever happens."""
    regular = step % train.checkpoint_every == 0 or step == train.num_steps
    # The best of the evaluated checkpoints are kept: each of them has to exist.
    return regular or (train.keep_best > 0 and evaluates_at(step, train))


@dataclasses.dataclass(frozen=True)
class Run:
    """A training that is set up; all processes make the same calls.

    Attributes:
      config: what to train.
      workdir: of the training.
      labels: label space of the data.
      num_images: of the training data.
      program: the step.
      store: where the state is saved.
      journal: takes the metrics.
      interruption: says when to stop.
      profile: of some steps.
      predictor: for evaluations.
      eval_source: their images.
    """

    config: Config
    workdir: Path
    labels: LabelSpace
    num_images: int
    program: Program
    store: CheckpointStore
    journal: Journal
    interruption: Interruption
    profile: Profile
    predictor: Predictor | VideoPredictor
    eval_source: Source

    def run(
        self, state: TrainState, batches: Batches, *, first_step: int, evaluated: bool
    ) -> TrainState:
        """Steps to the end.

        Args:
          state: after `first_step` steps.
          batches: from that of step `first_step` + 1 on.
          first_step: steps done.
          evaluated: whether the evaluation at `first_step` was done, if one is due.
        Raises:
          Stopped: a signal came; the state is saved.
          NonFiniteError: a loss or gradient is no number.
          CheckpointError: the state could not be saved.
        """
        train, step = self.config.train, first_step
        place = meshes.replicated(self.program.mesh)
        key = jax.jit(lambda: jax.random.key(train.seed), out_shardings=place)()
        step_fn, goes_on = None, None
        if train.on_nonfinite == "stop":
            goes_on = jax.jit(lambda: jnp.ones(()), out_shardings=place)()
        try:
            if evaluates_at(step, train) and not evaluated:
                self._evaluate(state, step)
            while step < train.num_steps:
                self.interruption.check()
                self.store.check()
                with self.journal.phases.of("data"):
                    batch = self.interruption.next(batches)
                if step_fn is None:
                    step_fn = self._compile(state, batch, key, goes_on)
                    self.journal.begin(step)
                self.profile.before(step + 1, state)
                with jax.profiler.StepTraceAnnotation("train", step_num=step + 1):
                    state, scalars = step_fn(state, batch, key, goes_on)
                step += 1
                if goes_on is not None:
                    goes_on = scalars["finite"]
                self.journal.add(step, scalars)
                self._after(state, step)
        except StopRequest:
            self._stop(state, step)
        return state

    def _compile(self, *args: Any) -> Any:
        say("compiling the training step ...")
        with self.journal.phases.of("compile"):
            return self.program.step.lower(*args).compile()

    def _after(self, state: TrainState, step: int) -> None:
        train = self.config.train
        logs = step % train.log_every == 0 or step == train.num_steps
        saves, evaluates = saves_at(step, train), evaluates_at(step, train)
        self.look(state, ahead=0 if logs or saves or evaluates else AHEAD)
        if self.profile.after(step, state):
            say(f"profile: {self.workdir / 'profile'}")
        if logs:
            self.journal.write(step)
        if saves:
            self._save(state, step)
        if evaluates:
            self._evaluate(state, step)

    def look(self, state: TrainState, *, ahead: int) -> None:
        """Waits until few steps are under way; acts where one was left out."""
        train, journal = self.config.train, self.journal
        for step, scalars in journal.window.settle(ahead=ahead):
            if scalars["finite"]:
                continue
            journal.left_out += 1
            folder = health.folder_of(self.workdir, step)
            self._record(folder, step, scalars)
            fault = health.message(step, scalars)
            skips = train.on_nonfinite == "skip"
            if skips and journal.left_out <= train.max_nonfinite:
                say(
                    f"\n{fault}; its update is left out ({journal.left_out} of at most "
                    f"{train.max_nonfinite}); see {folder}"
                )
                continue
            journal.write(step)
            if not skips:
                # As it was before the step: those after it were left out, too.
                state = dataclasses.replace(state, step=0 * state.step + step - 1)
            self._keep(folder, state)
            field = "max_nonfinite" if skips else "on_nonfinite=skip"
            raise NonFiniteError(
                f"{fault}; its batch and the state after step {int(state.step)} are in "
                f"{folder}, and the last checkpoint is kept; lower optimizer.peak_lr "
                "or raise optimizer.warmup_steps and start again in a new workdir, or "
                f"leave such steps out by --config.train.{field}"
            )

    def _record(self, folder: Path, step: int, scalars: dict[str, float]) -> None:
        """Writes what is known of a step that was left out; says so if it cannot."""
        if jax.process_index() != 0:
            return
        try:
            # Of an earlier start, which came to the same step.
            shutil.rmtree(folder, ignore_errors=True)
            health.record(
                folder, step, scalars, config=self.config, num_images=self.num_images
            )
        except OSError as error:
            say(f"{folder} cannot be written: {error}")

    def _keep(self, folder: Path, state: TrainState) -> None:
        """Saves the state for whoever looks into a fault; says so if it cannot."""
        gather(None)  # the folder is there, and what an earlier start left is not
        try:
            with CheckpointStore(folder, keep=1) as store:
                store.save(state, config=self.config, labels=self.labels)
        except (OSError, ValueError) as error:  # which must not hide the fault
            say(str(error))

    def _save(self, state: TrainState, step: int) -> None:
        with self.journal.phases.of("save"):
            self.journal.note(step)
            self.store.save(
                state,
                config=self.config,
                labels=self.labels,
                num_images=self.num_images,
            )

    def _evaluate(self, state: TrainState, step: int) -> None:
        start = time.monotonic()
        with self.journal.phases.of("evaluate"):
            report = evaluate_ema(
                state,
                self.predictor,
                self.eval_source,
                self.config,
                check=self.interruption.check,
            )
            self.store.score(step, score(report))
        self.journal.evaluated(step, report, seconds=time.monotonic() - start)

    def _stop(self, state: TrainState, step: int) -> None:
        self.look(state, ahead=0)
        if step > 0:
            self._save(state, step)
            self.store.wait()
        say(
            f"stopped at step {step} by {self.interruption.name}; the same command "
            "goes on"
        )
        raise Stopped
