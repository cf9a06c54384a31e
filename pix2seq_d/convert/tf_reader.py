"""Reads variables of an object-based TensorFlow checkpoint, with plain errors."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_AGAIN = "copy it again"


class TFCheckpoint:
    """The variables of one checkpoint: shapes at once, values when asked for.

    Attributes:
      prefix: path without `.index` and `.data-...`.
      shapes: name without TensorFlow's suffix -> shape; the optimizer's slots
        and the object graph are left out.

    Args:
      path: the checkpoint's folder, its prefix (`.../ckpt-100`) or one of its
        files. In a folder of several the one that the file `checkpoint` names.
    Raises:
      FileNotFoundError: no such checkpoint, or one of its files is missing.
      ValueError: a file is damaged, or it is unclear which checkpoint is meant.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.prefix = _find_prefix(Path(path))
        _require_shards(self.prefix)
        index = f"{self.prefix}.index"
        self._reader = _guarded(f"{index} is damaged", _open, str(self.prefix))
        shapes: dict[str, list[int]] = _guarded(
            f"{index} is damaged", self._reader.get_variable_to_shape_map
        )
        self.shapes = {
            name.removesuffix(_SUFFIX): tuple(shape)
            for name, shape in shapes.items()
            if name.endswith(_SUFFIX) and ".OPTIMIZER_SLOT" not in name
        }

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Reads variables as float32, all of them or none.

        Args:
          names: keys of `shapes`.
        Raises:
          ValueError: a data file is truncated or damaged.
        """
        damaged = f"{self.prefix}.data-* is truncated or damaged at"
        return {
            name: np.asarray(
                _guarded(f"{damaged} {name}", self._reader.get_tensor, name + _SUFFIX),
                np.float32,
            )
            for name in names
        }


def _open(prefix: str) -> Any:
    # Quiet, as the data pipeline makes it; TensorFlow is imported only here.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ValueError(
            "reading a TensorFlow checkpoint needs TensorFlow: "
            "pip install tensorflow-cpu"
        ) from error
    return tf.train.load_checkpoint(prefix)


def _guarded(problem: str, function: Any, *args: Any) -> Any:
    """Calls `function`; what TensorFlow raises becomes one line with `problem`."""
    try:
        return function(*args)
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:  # TensorFlow's types, and IndexError at a file's end
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"{problem} ({reason}); {_AGAIN}") from error


def _find_prefix(path: Path) -> Path:
    if path.is_dir():
        return _prefix_in(path)
    prefix = Path(re.sub(r"\.(index|data-\d+-of-\d+)$", "", str(path)))
    if Path(f"{prefix}.index").is_file():
        return prefix
    if list(prefix.parent.glob(f"{prefix.name}.data-*")):
        raise FileNotFoundError(
            f"{prefix}.index is missing beside the checkpoint's data; {_AGAIN}"
        )
    if path.is_file():
        raise ValueError(
            f"{path} is not part of a TensorFlow checkpoint; give its folder or its "
            "prefix, the path without .index"
        )
    raise FileNotFoundError(
        f"{path} does not exist; give the checkpoint's folder or its prefix, the path "
        "without .index"
    )


def _prefix_in(folder: Path) -> Path:
    state = folder / "checkpoint"
    if state.is_file():
        text = state.read_text(encoding="utf-8", errors="replace")
        named = re.search(r'^model_checkpoint_path: "(.+)"$', text, re.MULTILINE)
        if named is None:
            raise ValueError(f"{state} names no checkpoint; give the prefix instead")
        # The name may be absolute, on the machine that trained.
        return _find_prefix(folder / Path(named[1]).name)
    found = sorted(folder.glob("*.index"))
    if len(found) == 1:
        return found[0].with_suffix("")
    if found:
        names = ", ".join(p.stem for p in found[:4])
        raise ValueError(f"{folder} holds several checkpoints ({names}); give one")
    orphans = sorted(folder.glob("*.data-*-of-*"))
    if orphans:
        return _find_prefix(orphans[0])
    raise FileNotFoundError(
        f"{folder} holds no TensorFlow checkpoint (*.index and *.data-*)"
    )


def _require_shards(prefix: Path) -> None:
    found = sorted(prefix.parent.glob(f"{prefix.name}.data-*-of-*"))
    count = int(found[0].name.rsplit("-", 1)[1]) if found else 1
    for shard in range(count):
        file = Path(f"{prefix}.data-{shard:05d}-of-{count:05d}")
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing, a part of the checkpoint; {_AGAIN}"
            )
