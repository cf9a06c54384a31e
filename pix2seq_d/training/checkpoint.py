"""Checkpoints: a thin wrapper of Orbax, and the self-describing folder they make.

`<directory>/<step>/` holds the items `variables` (online), `ema`, `optimizer`,
`config` and `labels`; whoever only predicts reads `ema`, `config` and `labels`.
"""

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from pix2seq_d import config as config_lib
from pix2seq_d.config import Config
from pix2seq_d.labels import LabelSpace
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training.state import TrainState
from pix2seq_d.training.workdir import CHECKPOINTS


class CheckpointError(ValueError):
    """A folder is not a usable checkpoint; the message says why in one line."""


class CheckpointStore:
    """Saves and restores the training state in `<workdir>/checkpoints`.

    A context manager; leaving it waits for the save under way.

    Args:
      workdir: folder of the training.
      keep: number of latest checkpoints kept.
    """

    def __init__(self, workdir: str | os.PathLike[str], *, keep: int) -> None:
        _quiet_orbax()
        # Orbax accepts a relative path and fails only when it finishes saving.
        self.directory = Path(workdir).resolve() / CHECKPOINTS
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=ocp.checkpoint_managers.LatestN(keep)
            ),
        )

    def latest_step(self) -> int | None:
        """Number of steps done in the latest complete checkpoint, None without one."""
        return self._manager.latest_step()

    def save(self, state: TrainState, *, config: Config, labels: LabelSpace) -> None:
        """Saves in the background under the state's step number."""
        step = int(state.step)
        if step == self.latest_step():
            return
        saved = self._manager.save(
            step,
            args=ocp.args.Composite(
                variables=ocp.args.StandardSave(state.variables),
                ema=ocp.args.StandardSave(state.ema),
                optimizer=ocp.args.StandardSave(_optimizer_item(state)),
                config=ocp.args.JsonSave(dataclasses.asdict(config)),
                labels=ocp.args.JsonSave({"categories": labels.to_json()}),
            ),
        )
        if not saved:
            raise CheckpointError(
                f"{self.directory}: step {step} was not saved; the folder holds a "
                "checkpoint of that step or a later one"
            )

    def restore(self, abstract: TrainState, *, step: int) -> TrainState:
        """Restores a whole training state.

        Args:
          abstract: the state's shapes, dtypes and shardings.
          step: which checkpoint.
        Raises:
          CheckpointError: it cannot be read, or has other parameters.
        """
        items = {
            "variables": abstract.variables,
            "ema": abstract.ema,
            "optimizer": _optimizer_item(abstract),
        }
        args = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
        try:
            found = self._manager.restore(step, args=ocp.args.Composite(**args))
        except Exception as error:
            raise CheckpointError(
                f"{self.directory / str(step)} cannot be restored: {_one_line(error)}; "
                "delete that folder to go on from the checkpoint before"
            ) from error
        return TrainState(
            step=found["optimizer"]["step"],
            variables=found["variables"],
            ema=found["ema"],
            opt_state=found["optimizer"]["state"],
        )

    def labels(self, step: int) -> LabelSpace:
        """The label space that a checkpoint was trained with."""
        args = ocp.args.Composite(labels=ocp.args.JsonRestore())
        return LabelSpace.from_json(
            self._manager.restore(step, args=args)["labels"]["categories"]
        )

    def __enter__(self) -> "CheckpointStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()


@dataclasses.dataclass(frozen=True)
class Trained:
    """What prediction needs of a checkpoint.

    Attributes:
      variables: the moving average, {'params', 'batch_stats'}.
      config: the training's config.
      labels: the label space.
      step: optimizer steps done.
      workdir: the folder it was trained in.
    """

    variables: Any
    config: Config
    labels: LabelSpace
    step: int
    workdir: Path


def load(
    path: str | os.PathLike[str], *, step: int | None = None, weights: str = "ema"
) -> Trained:
    """Reads a checkpoint for prediction.

    Args:
      path: a workdir, its `checkpoints` folder, or one checkpoint in it.
      step: which checkpoint; None for the latest.
      weights: `ema` (the moving average) or `online`.
    Raises:
      CheckpointError: no such folder, no checkpoint in it, no such step, or it
        cannot be read.
    """
    _quiet_orbax()
    directory, step = _find(Path(path), step)
    folder = directory / str(step)
    item = "ema" if weights == "ema" else "variables"
    try:
        with ocp.CheckpointManager(directory) as manager:
            found = manager.restore(
                step,
                args=ocp.args.Composite(
                    config=ocp.args.JsonRestore(), labels=ocp.args.JsonRestore()
                ),
            )
            config = config_lib.from_config_dict(found["config"])
            labels = LabelSpace.from_json(found["labels"]["categories"])
            abstract = jax.eval_shape(Pix2SeqD(config.model).init, jax.random.key(0))
            # On all devices, whatever devices it was saved from.
            place = meshes.replicated(meshes.make_mesh())
            abstract = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
                abstract,
            )
            args = ocp.args.Composite(**{item: ocp.args.StandardRestore(abstract)})
            variables = manager.restore(step, args=args)[item]
    except Exception as error:
        raise CheckpointError(
            f"{folder} cannot be read as a checkpoint of this project: "
            f"{_one_line(error)}; give another checkpoint or copy it again"
        ) from error
    return Trained(variables, config, labels, step, directory.parent)


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder has the layout that `load` reads, be it whole or not."""
    folder = folder.resolve()
    return (
        (folder / CHECKPOINTS).is_dir()
        or (folder.name.isdigit() and (folder / "config").is_dir())
        or any(folder.glob("[0-9]*/config"))
    )


def _find(path: Path, step: int | None) -> tuple[Path, int]:
    """Folder of checkpoints and the step meant."""
    path = path.resolve()
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such folder; give a workdir of launch.train")
    if path.name.isdigit() and (path / "config").is_dir():
        path, step = path.parent, int(path.name) if step is None else step
    directory = path / CHECKPOINTS if (path / CHECKPOINTS).is_dir() else path
    steps = sorted(
        int(child.name)
        for child in directory.iterdir()
        if child.name.isdigit() and (child / "config").is_dir()
    )
    if not steps:
        raise CheckpointError(
            f"{path}: holds no checkpoint; give a workdir of launch.train"
        )
    if step is None:
        return directory, steps[-1]
    if step not in steps:
        raise CheckpointError(
            f"{directory}: holds no checkpoint of step {step}; it has "
            f"{', '.join(map(str, steps))}"
        )
    return directory, step


def _optimizer_item(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "state": state.opt_state}


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + " ..."


def _quiet_orbax() -> None:
    # Orbax and its helpers log every save and restore at level INFO.
    logging.getLogger("absl").setLevel(logging.WARNING)
