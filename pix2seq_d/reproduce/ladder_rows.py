"""The result of one evaluation of several sampler settings, as one for each of them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pix2seq_d import atomic_file
from pix2seq_d.reproduce import states
from pix2seq_d.reproduce.jobs import Job
from pix2seq_d.reproduce.runs import Run

LADDER = "ladder.json"  # of launch.evaluate --ladder


def split(folder: Path, some: Sequence[Run]) -> None:
    """Writes the metrics.json of every run, as a plain evaluation of it has it.

    Args:
      folder: of the evaluation.
      some: the runs that it was for.
    Raises:
      ValueError: it lacks the settings of one.
    """
    ladder = json.loads((folder / LADDER).read_text(encoding="utf-8"))
    for run in some:
        run.score.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_of(run, ladder, folder), indent=2) + "\n"
        atomic_file.replace_text(run.score / states.METRICS, text)


def adopt(some: Iterable[Job]) -> None:
    """Splits the results that were made by hand, with the commands of jobs."""
    for job in some:
        if job.is_ladder and (job.folder / LADDER).exists():
            split(job.folder, job.runs)


def _of(run: Run, ladder: dict[str, Any], folder: Path) -> dict[str, Any]:
    sampler = run.row.sampler
    settings = {
        "num_steps": sampler.num_steps,
        "time_difference": sampler.time_difference,
    }
    for row in ladder["rows"]:
        if all(row[name] == value for name, value in settings.items()):
            return {
                "num_images": ladder["images"],
                "left_out": ladder.get("left_out", 0),
                **row["pq"],
                "per_class": row["per_class"],
                "oracle": ladder["oracle"],
                "step": ladder["step"],
                "sampler": ladder["sampler"] | settings,
                "evaluation": ladder["evaluation"],
                "dtype": ladder.get("dtype"),  # a ladder of before does not say
            }
    raise ValueError(f"{folder / LADDER}: has no row of {settings}; delete the file")
