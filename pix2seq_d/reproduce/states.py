"""How far a run is, as its folders tell, and what stands in its way."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from pix2seq_d import assets
from pix2seq_d.config import Config, ConfigError
from pix2seq_d.reproduce import datasets, runs
from pix2seq_d.reproduce.runs import Given, Run
from pix2seq_d.scored_settings import same_settings
from pix2seq_d.training import checkpoint, lock, workdir

METRICS = "metrics.json"  # of launch.evaluate
BUSY = "another job trains it now"


def step(run: Run) -> int:
    """The latest step of the weights that are there; 0 without any."""
    return max(checkpoint.steps(run.weights), default=0)


def is_trained(run: Run) -> bool:
    """Whether the weights are trained to the end."""
    return step(run) >= run.config.train.num_steps


def is_busy(run: Run) -> bool:
    """Whether another job trains the weights now."""
    return lock.is_held(run.weights)


def score(run: Run, given: Given) -> tuple[Path, dict[str, Any]] | None:
    """The result of a run, or of one that has the same by definition.

    A metrics.json counts if it came of the last step, of all images and of the run's
    settings, and if the weights beside it are not of another training.

    Returns:
      Its folder and content; None where there is none.
    """
    if _disagreement(runs.make(run.row.evaluates or run.path, run.seed, given)):
        return None
    for path in runs.twins(run.path):
        folder = runs.folder_of(path, run.seed, given.workdir) / runs.SCORE
        found = _read(folder / METRICS)
        if found is not None and _is_of(found, run.config):
            return folder, found
    return None


def obstacle(run: Run, given: Given) -> str:
    """Why the weights of a run cannot be trained, in a line; '' where they can.

    Weights that are there already need nothing.
    """
    if run.row.evaluates:
        return obstacle(runs.make(run.row.evaluates, run.seed, given), given)
    other = _disagreement(run)
    if other:
        return other
    if is_trained(run):
        return ""
    if is_busy(run):
        return BUSY
    data = datasets.of_row(run.row)
    if data.flag and not given.roots.get(data.flag):
        return f"needs {data.title}: give --{data.flag}=DIR"
    if run.row.detection_encoder and not given.detection_encoder:
        return "needs the encoder's detection weights: give --detection_encoder=FILE"
    if run.row.start:
        start = runs.make(run.row.start, run.seed, given)
        behind = obstacle(start, given)
        return f"starts from {start.path}, which {behind}" if behind else ""
    return ""


def _disagreement(run: Run) -> str:
    """What differs between the run's config and that of the training in its folder."""
    try:
        before = workdir.config_of(run.folder)
        if before is None:
            return ""
        workdir.check(run.folder, _with_known(run.config, before))
    except ConfigError as error:
        return str(error)
    return ""


def _with_known(config: Config, before: Config) -> Config:
    """With what only the data said, as a training writes its config down."""
    model, paths = config.model, {}
    if model.num_classes == 0:
        model = dataclasses.replace(model, num_classes=before.model.num_classes)
    for name in ("from_", "encoder"):
        value = getattr(config.init, name)
        paths[name] = assets.settled(value)
    init = dataclasses.replace(config.init, **paths)
    return dataclasses.replace(config, model=model, init=init)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or cut off
        return None


def _is_of(metrics: dict[str, Any], config: Config) -> bool:
    expected = {
        "step": config.train.num_steps,
        "sampler": dataclasses.asdict(config.diffusion),
        "evaluation": dataclasses.asdict(config.evaluation),
        "dtype": config.train.dtype,
    }
    source = config.data.source
    if source.name == "shapes":
        expected["num_images"] = source.eval_images
    if metrics.get("left_out"):  # by --limit; scores from before it do not say
        return False
    found = {name: metrics.get(name) for name in expected}
    return same_settings(found, expected)
