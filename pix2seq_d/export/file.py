"""The exported file: an npz archive of a StableHLO program, weights and metadata.

Any reader needs NumPy and JAX only; docs/export.md has one of some 30 lines.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from pix2seq_d.atomic_file import cannot_write, replacing
from pix2seq_d.labels import LabelSpace

FORMAT = "pix2seq_d exported model"
VERSION = 1

# Names of the archive's arrays; weights are `weight/0000` ... in the program's order.
PROGRAM = "program"
METADATA = "metadata"
_DIGEST = "sha256"  # of all others
_WEIGHT = "weight/{:04d}"

# What NumPy raises on files that are something else.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError)


class ExportedModel:
    """A model from an exported file.

    Args:
      program: of `jax.export`; (weights, images, sizes, seed) -> (semantic, instance,
        certainty).
      weights: its first argument.
      metadata: what the file says of itself.
    """

    def __init__(
        self,
        program: export.Exported,
        weights: Sequence[np.ndarray],
        metadata: Mapping[str, Any],
    ) -> None:
        self.metadata = dict(metadata)
        self.label_space = LabelSpace.from_json(metadata["categories"])
        self._weights = [jax.device_put(weight) for weight in weights]
        # Compiled once for each shape of a batch.
        self._call = jax.jit(program.call)

    def __call__(
        self, images: np.ndarray, sizes: np.ndarray | None = None, *, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Segments a batch of photos.

        Args:
          images: [B, H, W, 3] uint8 RGB.
          sizes: [B, 2] int, (height, width) of each photo where they are padded right
            and below; None: all fill H x W.
          seed: of the noise, in [0, 2**32).
        Returns:
          semantic [B, H, W] int32, category ids, metadata's `void` elsewhere; instance
          [B, H, W] int32, ids of things, 0 elsewhere; certainty [B, H, W] float32 in
          [0, 1].
        Raises:
          ValueError: an argument is none of these.
        """
        if (
            images.dtype != np.uint8
            or images.ndim != 4
            or images.shape[3] != 3
            or 0 in images.shape
        ):
            raise ValueError(
                f"images must be uint8 [B, H, W, 3], got {images.dtype} {images.shape}"
            )
        if sizes is None:
            sizes = np.tile(images.shape[1:3], (len(images), 1))
        sizes = np.asarray(sizes)
        if (
            sizes.shape != (len(images), 2)
            or (sizes < 1).any()
            or (sizes > images.shape[1:3]).any()
        ):
            raise ValueError(
                f"sizes must be [{len(images)}, 2], each in 1 ... "
                f"{images.shape[1:3]}, got {sizes.tolist()}"
            )
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed={seed}: an exported file takes 0 ... 2**32 - 1")
        found = self._call(
            self._weights, images, np.asarray(sizes, np.int32), np.uint32(seed)
        )
        semantic, instance, certainty = map(np.asarray, found)
        return semantic, instance, certainty


def make_folder(path: Path) -> None:
    """Makes the folder of a file, before the work is done for nothing.

    Raises:
      OSError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def save(
    path: Path,
    program: bytes,
    weights: Sequence[np.ndarray],
    metadata: Mapping[str, Any],
) -> None:
    """Writes a file (temporary file, then rename).

    Raises:
      OSError: it cannot be written.
    """
    described = {"format": FORMAT, "version": VERSION} | dict(metadata)
    arrays = {
        METADATA: np.frombuffer(json.dumps(described).encode(), np.uint8),
        PROGRAM: np.frombuffer(program, np.uint8),
    }
    arrays |= {_WEIGHT.format(k): weight for k, weight in enumerate(weights)}
    arrays[_DIGEST] = _digest(arrays)
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path | str) -> ExportedModel:
    """Reads an exported file.

    Raises:
      FileNotFoundError: no such file.
      ValueError: it is none, damaged, altered, or of a version not known here.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; launch.export makes one")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; give a file of launch.export")
    again = "export the model again"
    try:
        with path.open("rb") as opened, np.load(opened) as archive:
            arrays = {name: archive[name] for name in archive.files}
        metadata = json.loads(arrays[METADATA].tobytes())
        known = metadata["format"] == FORMAT
    except (*_DAMAGE, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: is no file of launch.export, or damaged ({error}); {again}"
        ) from error
    if not known or metadata.get("version") != VERSION:
        raise ValueError(
            f"{path}: is of version {metadata.get('version')!r}, this program reads "
            f"{VERSION}; {again} or install the pix2seq_d that made it"
        )
    if not np.array_equal(_digest(arrays), arrays.get(_DIGEST, ())):
        raise ValueError(f"{path}: its parts are not those that were written; {again}")
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weight/")]
    program = arrays[PROGRAM].tobytes()
    try:
        return ExportedModel(export.deserialize(bytearray(program)), weights, metadata)
    except Exception as error:
        raise ValueError(
            f"{path}: this JAX, {jax.__version__}, cannot read the program of JAX "
            f"{metadata['made_with']['jax']} ({error}); {again}"
        ) from error


def _digest(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """uint8 [32], SHA-256 of all arrays but the digest itself."""
    digest = hashlib.sha256()
    for name in sorted(arrays.keys() - {_DIGEST}):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
