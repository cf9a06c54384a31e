"""What the folder of one checkpoint holds, and whether a model can take it.

`<workdir>/checkpoints/<step>/` is written by Orbax and appears when it is complete:

  variables, ema   {'params', 'batch_stats'}: online weights, moving average
  optimizer        {'step', 'state'}
  config, labels   of the training, as JSON
  meta             JSON: number of the format, position in the data, code versions
  checksums.json   CRC-32 of the files

Format 0 has neither `meta` nor checksums; formats are read forever.
"""

import functools
import importlib.metadata
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

import pix2seq_d
from pix2seq_d.config import Config

FORMAT = 1
META = "meta"
STATE_ITEMS = ("variables", "ema", "optimizer")
ITEMS = (*STATE_ITEMS, "config", "labels")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint")


class CheckpointError(ValueError):
    """A folder is not a usable checkpoint; the message says why in one line."""


def new_meta(step: int, config: Config, *, num_images: int | None) -> dict[str, Any]:
    """The item `meta`; batches are a function of seed, step and number of images."""
    images_seen = step * config.train.batch_size
    return {
        "format": FORMAT,
        "step": step,
        "seed": config.train.seed,
        "images_seen": images_seen,
        "num_images": num_images,
        "epoch": images_seen / num_images if num_images else None,
        "code": {"pix2seq_d": pix2seq_d.__version__, "commit": commit()} | _versions(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    """Of the packages that this process runs on; an upgrade under it changes none."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def read_meta(folder: Path) -> dict[str, Any]:
    """The item `meta`, {'format': 0} where there is none.

    Raises:
      CheckpointError: a format that is newer than this code.
    """
    if not (folder / META).is_dir():
        return {"format": 0}
    meta = read_json(folder, META)
    if meta["format"] > FORMAT:
        raise CheckpointError(
            f"{folder} has format {meta['format']}, written by pix2seq_d "
            f"{meta['code']['pix2seq_d']}; this is {pix2seq_d.__version__}, which "
            f"reads up to format {FORMAT}: update it"
        )
    return meta


def read_json(folder: Path, item: str) -> Any:
    """One of the JSON items; OSError or ValueError where it cannot be read."""
    return ocp.JsonCheckpointHandler().restore(folder / item)  # pyright: ignore[reportArgumentType]


def check_fits(folder: Path, wanted: Mapping[str, Any], *, cure: str) -> None:
    """Checks names, shapes and dtypes of all arrays before they are read.

    Args:
      folder: of one checkpoint.
      wanted: item -> tree of `ShapeDtypeStruct`.
      cure: ends the message.
    Raises:
      CheckpointError: arrays are missing, extra or different; names the first.
    """
    found = {
        item: ocp.StandardCheckpointHandler().metadata(folder / item)  # pyright: ignore[reportArgumentType]
        for item in wanted
    }
    check_arrays(folder, found, wanted, cure=cure)


def check_arrays(
    where: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], *, cure: str
) -> None:
    """Checks names, shapes and dtypes of arrays.

    Args:
      where: they were found, begins the message.
      found: item -> tree of arrays.
      wanted: item -> tree of arrays or `ShapeDtypeStruct`.
      cure: ends the message.
    Raises:
      CheckpointError: arrays are missing, extra or different; names the first.
    """
    faults = []
    for item, tree in wanted.items():
        saved, model = _by_path(found[item]), _by_path(tree)
        faults += [f"lacks {item}/{path}" for path in model if path not in saved]
        faults += [
            f"has {item}/{path}, which the model has not"
            for path in saved
            if path not in model
        ]
        faults += [
            f"has {item}/{path} as {_kind(saved[path])}, the model as {_kind(leaf)}"
            for path, leaf in model.items()
            if path in saved and _kind(saved[path]) != _kind(leaf)
        ]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise CheckpointError(f"{where} {faults[0]}{more}; {cure}")


def _by_path(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in leaves
    }


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


@functools.cache
def commit() -> str | None:
    """The commit of a checkout, `-dirty` where it was changed; None elsewhere."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(
            command, capture_output=True, check=True, text=True, timeout=30
        ).stdout.strip()

    try:
        # An installed package may lie in a checkout of something else.
        git("ls-files", "--error-unmatch", Path(pix2seq_d.__file__).name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None
