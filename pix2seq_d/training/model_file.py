"""A trained model in one file (ours): safetensors of the moving average.

The arrays are float16, those with numbers beyond its range float32 (variances of an
ImageNet start, whose kernels are for images in 0..255), named by their path
(`params/encoder/...`), and read as float32.
The file's metadata holds two texts: `pix2seq_d`, JSON of format, step, config,
categories and what else is known about the model, and `crc32` of that and the arrays.
"""

import dataclasses
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import numpy as np
import safetensors.numpy

import pix2seq_d
from pix2seq_d import assets
from pix2seq_d import config as config_lib
from pix2seq_d.atomic_file import replacing
from pix2seq_d.config import Config
from pix2seq_d.convert import weight_files
from pix2seq_d.labels import LabelSpace
from pix2seq_d.models import variable_shapes
from pix2seq_d.training import checkpoint_format as formats
from pix2seq_d.training import checksums
from pix2seq_d.training.checkpoint_format import CheckpointError

FORMAT = 1
_ABOUT, _CRC32 = "pix2seq_d", "crc32"
_SEPARATOR = "/"


@dataclasses.dataclass(frozen=True)
class Model:
    """What the file holds.

    Attributes:
      variables: the moving average, {'params', 'batch_stats'}, float32.
      config: the training's config.
      labels: the label space.
      step: optimizer steps done.
      about: what else is known, JSON types: commands, hardware, scores.
    """

    variables: Any
    config: Config
    labels: LabelSpace
    step: int
    about: Mapping[str, Any]


def save(path: Path, model: Model) -> None:
    """Writes a file (temporary file, then rename).

    Args:
      path: ends in `.safetensors`.
      model: its arrays are rounded to float16 where that can hold them.
    Raises:
      ValueError: another suffix, or a weight that is no finite number.
      OSError: it cannot be written.
    """
    if path.suffix != assets.SUFFIX:
        raise ValueError(f"{path}: name the file of a model *{assets.SUFFIX}")
    arrays = {}
    for name, leaf in _flat(model.variables).items():
        array = np.asarray(leaf, np.float32)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
        arrays[name] = _stored(array)
    text = json.dumps(
        {
            "format": FORMAT,
            "pix2seq_d": pix2seq_d.__version__,
            "step": model.step,
            "config": dataclasses.asdict(model.config),
            "categories": model.labels.to_json(),
            "about": model.about,
        }
    )
    metadata = {_ABOUT: text, _CRC32: str(_crc32(text, arrays))}
    with replacing(path) as file:
        file.write(safetensors.numpy.save(arrays, metadata))


def load(path: Path) -> Model:
    """Reads a file.

    Raises:
      CheckpointError: it cannot be read, is no model of this project, is damaged, or of
        a format that is newer than this code.
    """
    try:
        found = weight_files.metadata(path)
        if _ABOUT not in found:
            raise CheckpointError(
                f"{path} is no model of this project; give a file of "
                "launch.export --format=weights"
            )
        arrays = weight_files.read(path, lambda _: True)
    except ValueError as error:  # says which file, and what to do
        raise CheckpointError(str(error)) from error
    try:
        stored = {name: _stored(array) for name, array in arrays.items()}
        if str(_crc32(found[_ABOUT], stored)) != found.get(_CRC32):
            raise ValueError("it was changed since it was saved (CRC-32)")
        content = json.loads(found[_ABOUT])
        if content["format"] > FORMAT:
            raise CheckpointError(
                f"{path} has format {content['format']}, written by pix2seq_d "
                f"{content['pix2seq_d']}; this is {pix2seq_d.__version__}, which reads "
                f"up to format {FORMAT}: update it"
            )
        config = config_lib.from_saved(content["config"])
        labels = LabelSpace.from_json(content["categories"])
        variables = flax.traverse_util.unflatten_dict(arrays, sep=_SEPARATOR)
        formats.check_arrays(
            path,
            {"model": variables},
            {"model": variable_shapes(config.model)},
            cure="read it with the version that wrote it",
        )
    except CheckpointError:
        raise
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a model: {error}; copy or install it again"
        ) from error
    return Model(variables, config, labels, content["step"], content["about"])


def is_model(path: Path) -> bool:
    """Whether this is a safetensors file that says it is a model of this project."""
    if path.suffix != assets.SUFFIX or not path.is_file():
        return False
    try:
        return _ABOUT in weight_files.metadata(path)
    except ValueError:
        return False


def _stored(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array


def _flat(variables: Any) -> dict[str, Any]:
    return flax.traverse_util.flatten_dict(variables, sep=_SEPARATOR)


def _crc32(text: str, arrays: Mapping[str, np.ndarray]) -> int:
    return zlib.crc32(text.encode(), checksums.of_arrays(dict(arrays)))
