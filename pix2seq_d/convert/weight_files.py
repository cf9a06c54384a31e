"""Reads named arrays of npz and safetensors files, with plain errors."""

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

_AGAIN = "copy or save it again"
_FLOATS = ("F16", "F32", "F64")


def read(path: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Reads the wanted arrays as float32, all of them or none.

    Args:
      path: an `.npz` or `.safetensors` file of float16, float32 or float64.
      wanted: whether to read the array of this name.
    Raises:
      FileNotFoundError: no such file.
      ValueError: a file of another kind, truncated or damaged, or an array that has
        another type or numbers that are not finite.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is not a file")
    arrays = _READERS[kind_of(path)](path, wanted)
    for name, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise ValueError(_wrong_type(path, name, array.dtype))
        # Saving as float16 turns what is above its range into infinity, silently.
        if not np.isfinite(array).all():
            raise ValueError(f"{path}: {name} has values that are not finite; {_AGAIN}")
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def metadata(path: Path) -> dict[str, str]:
    """The texts that a safetensors file has beside its arrays, {} where it has none.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a file of another kind, truncated or damaged.
    """
    with _opened(path) as file:
        return file.metadata() or {}


def kind_of(path: Path) -> str:
    """`npz` or `safetensors`, by the file's suffix.

    Raises:
      ValueError: another suffix; says how to save such a file.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind in ("pth", "pt", "bin"):
        new = path.with_suffix(".safetensors").name
        raise ValueError(
            f"{path} is a pickle, which is not read; where torch is, save its state "
            "dict as safetensors: import torch, safetensors.torch; "
            f"safetensors.torch.save_file(torch.load('{path.name}', "
            f"map_location='cpu', weights_only=True), '{new}')"
        )
    if kind in ("h5", "hdf5", "keras"):
        raise ValueError(
            f"{path} is a Keras file, which is not read; save its arrays as npz, named "
            "as pix2seq_d.convert.imagenet_resnet says (conv1/kernel, "
            "res2a_branch2a/scale, ...), or give torchvision's weights as safetensors"
        )
    if kind not in _READERS:
        raise ValueError(f"{path}: give an .npz or a .safetensors file")
    return kind


def _read_npz(path: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is truncated or not an npz file; {_AGAIN}")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files if wanted(name)}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({_brief(error)}); {_AGAIN}") from error


def _read_safetensors(
    path: Path, wanted: Callable[[str], bool]
) -> dict[str, np.ndarray]:
    with _opened(path) as file:
        names = [name for name in file.keys() if wanted(name)]  # noqa: SIM118
        for name in names:
            dtype = file.get_slice(name).get_dtype()
            # NumPy alone has no bfloat16, and not every release adds it.
            if dtype not in _FLOATS:
                raise ValueError(_wrong_type(path, name, dtype))
        return {name: file.get_tensor(name) for name in names}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(
            f"{path} is truncated or not a safetensors file ({_brief(error)}); {_AGAIN}"
        ) from error


_READERS = {"npz": _read_npz, "safetensors": _read_safetensors}


def _wrong_type(path: Path, name: str, dtype: object) -> str:
    return f"{path}: {name} has type {dtype}; save the arrays as float32 or float16"


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
