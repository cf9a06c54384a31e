"""Reads a checkpoint, or a model in one file: weights, config and label space."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax

from pix2seq_d import assets
from pix2seq_d import config as config_lib
from pix2seq_d.config import Config
from pix2seq_d.labels import LabelSpace
from pix2seq_d.models import variable_shapes
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint_format as formats
from pix2seq_d.training import checksums, model_file, orbax_errors, restoring
from pix2seq_d.training.checkpoint_format import CheckpointError
from pix2seq_d.training.workdir import CHECKPOINTS


@dataclasses.dataclass(frozen=True)
class Trained:
    """What prediction needs of a checkpoint.

    Attributes:
      variables: the moving average, {'params', 'batch_stats'}.
      config: the training's config.
      labels: the label space.
      step: optimizer steps done.
      workdir: the folder it was trained in; the file, of a model in one file.
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
      path: a workdir, its `checkpoints` folder, one checkpoint in it, a model in one
        file, or the name of a shipped model.
      step: which checkpoint; None for the latest.
      weights: `ema` (the moving average) or `online`, which a file has not.
    Raises:
      CheckpointError: no such folder, file or name, no checkpoint in it, no such step,
        or it cannot be read.
    """
    path = assets.find(path)
    if path.is_file():
        return _load_file(path, step, weights)
    orbax_errors.quiet()
    directory, step = _find(path, step)
    folder = directory / str(step)
    item = "ema" if weights == "ema" else "variables"
    try:
        items = ("config", "labels", item)
        fault = checksums.fault(folder, items, optional=(formats.META,))
        if fault is not None:
            raise ValueError(fault)
        formats.read_meta(folder)
        config = config_lib.from_saved(formats.read_json(folder, "config"))
        labels = LabelSpace.from_json(formats.read_json(folder, "labels")["categories"])
        abstract = variable_shapes(config.model)
        # On all devices, whatever devices it was saved from.
        place = meshes.replicated(meshes.make_mesh())
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), abstract
        )
        cure = "read it with the version that wrote it"
        variables = restoring.read_arrays(folder, {item: abstract}, cure=cure)[item]
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{folder} cannot be read as a checkpoint of this project: "
            f"{orbax_errors.one_line(error)}; give another checkpoint or copy it again"
        ) from error
    return Trained(variables, config, labels, step, directory.parent)


def _load_file(path: Path, step: int | None, weights: str) -> Trained:
    if path.suffix != assets.SUFFIX:
        raise CheckpointError(
            f"{path}: is no model with weights, a {assets.SUFFIX} file; a program of "
            "launch.export is for launch.predict alone; give the workdir"
        )
    model = model_file.load(path)
    if step not in (None, model.step):
        raise CheckpointError(f"{path}: holds step {model.step} alone, not {step}")
    if weights != "ema":
        raise CheckpointError(f"{path}: holds the moving average alone")
    place = meshes.replicated(meshes.make_mesh())
    variables = jax.device_put(model.variables, place)
    return Trained(variables, model.config, model.labels, model.step, path)


def steps(path: Path) -> list[int]:
    """Steps of the complete checkpoints in a workdir, or in its `checkpoints` folder.

    In order; [] where there is no such folder.
    """
    path = path.resolve()
    directory = path / CHECKPOINTS if (path / CHECKPOINTS).is_dir() else path
    if not directory.is_dir():
        return []
    return sorted(
        int(child.name)
        for child in directory.iterdir()
        if child.name.isdigit() and (child / "config").is_dir()
    )


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
        raise CheckpointError(
            f"{path}: no such folder; give a workdir of launch.train, or a shipped "
            f"model: {', '.join(assets.names())}"
        )
    if path.name.isdigit() and (path / "config").is_dir():
        path, step = path.parent, int(path.name) if step is None else step
    directory = path / CHECKPOINTS if (path / CHECKPOINTS).is_dir() else path
    found = steps(path)
    if not found:
        hides = path.name in assets.names()
        raise CheckpointError(
            f"{path}: holds no checkpoint; give a workdir of launch.train"
            + hides * ", or rename this folder, which hides the shipped model"
        )
    if step is None:
        return directory, found[-1]
    if step not in found:
        raise CheckpointError(
            f"{directory}: holds no checkpoint of step {step}; it has "
            f"{', '.join(map(str, found))}"
        )
    return directory, step
