"""What a training tells: lines of metrics, and a line of progress for people."""

import contextlib
import sys
import time
from pathlib import Path

import jax

from pix2seq_d.config import Config
from pix2seq_d.evaluation.image_scores import Report
from pix2seq_d.evaluation.video_scores import VideoReport
from pix2seq_d.progress import Progress
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training import optimizer as optimizers
from pix2seq_d.training import throughput
from pix2seq_d.training.evaluate import eval_line, eval_scalars
from pix2seq_d.training.ledger import Entry, Ledger
from pix2seq_d.training.phases import STEP, Phases
from pix2seq_d.training.window import Window
from pix2seq_d.training.writer import Writer


def say(text: str) -> None:
    """A line for people, on standard error; process 0 speaks for all.

    Where nobody can read it, as when the terminal is gone, the work goes on: a signal
    says if it is to stop.
    """
    if jax.process_index() == 0:
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)


class Journal:
    """Metrics of a training; process 0 writes them, all processes keep them.

    Args:
      workdir: of the training.
      config: of the training.
      first_step: step that it goes on from.
      writers: where lines go; none but in process 0.

    Attributes:
      phases: where the time goes.
      window: scalars of the steps since the last line.
      left_out: steps whose update was left out, over all restarts.
    """

    def __init__(
        self, workdir: Path, config: Config, *, first_step: int, writers: list[Writer]
    ) -> None:
        self._config, self._writers = config, writers
        first = jax.process_index() == 0
        self._ledger = Ledger(workdir, resume_step=first_step) if first else None
        entry = self._ledger.entry(first_step) if self._ledger else Entry()
        self.left_out: int = gather(entry.left_out)[0]
        self.window = Window(entry.window)
        self.phases = Phases()
        self._step_seconds = entry.step_seconds
        self._steps = 0
        num_steps = config.train.num_steps
        self._rate = optimizers.learning_rate(config.optimizer, num_steps=num_steps)
        self._progress = (
            Progress("train", num_steps, done=first_step) if first else None
        )

    def begin(self, step: int) -> None:
        """Measures the speed that the line of progress tells from this step on."""
        if self._progress:
            self._progress.restart(step)

    def add(self, step: int, scalars: dict[str, jax.Array]) -> None:
        """Takes what a step returned, which need not be computed yet."""
        self.window.add(step, scalars)
        self._steps += 1

    def write(self, step: int) -> None:
        """Writes the line of the window that ends with this step."""
        seconds = self.phases.seconds()
        self.phases.restart()
        with self.phases.of("log"):
            self._step_seconds += seconds[STEP]
            rate = self._images_per_second(seconds)
            line = {
                **self.window.take(),
                # The optimizer does not count the steps that were left out.
                "learning_rate": float(self._rate(step - 1 - self.left_out)),
                "nonfinite_steps": self.left_out,
                "images_per_second": rate,
                **throughput.utilization(self._config, images_per_second=rate),
                **throughput.memory(),
                **{f"seconds/{name}": value for name, value in seconds.items()},
            }
            if self._ledger:
                lasted = time.time() - self._ledger.started
                line["goodput"] = self._step_seconds / max(lasted, 1e-9)
            self._steps = 0
            self._write(step, line)
            if self._progress:
                loss = f"loss {line['loss']:.4f}  " if "loss" in line else ""
                self._progress.update(
                    step, f"{loss}lr {line['learning_rate']:.2e}  {rate:.1f} images/s"
                )

    def evaluated(
        self, step: int, report: Report | VideoReport, *, seconds: float
    ) -> None:
        """Writes the line of an evaluation."""
        self._write(step, eval_scalars(report))
        if self._progress:
            self._progress.pause(seconds)
        say(eval_line(report, step, self._config.train.num_steps))

    def note(self, step: int) -> None:
        """Notes what a training that goes on from this step has to know."""
        if self._ledger:
            seconds = self._step_seconds + self.phases.seconds()[STEP]
            entry = Entry(tuple(self.window.values), seconds, self.left_out)
            self._ledger.note(step, entry)

    def _images_per_second(self, seconds: dict[str, float]) -> float:
        spent = seconds[STEP] + seconds.get("data", 0.0)
        return self._steps * self._config.train.batch_size / max(spent, 1e-9)

    def _write(self, step: int, scalars: dict[str, float]) -> None:
        for writer in self._writers:
            writer.write(step, scalars)
