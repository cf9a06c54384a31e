"""`Segmenter` of an exported file: no checkpoint, no Flax, sampler built in (ours)."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import jax
import numpy as np

from pix2seq_d import export
from pix2seq_d.inference.postprocess import raw_panoptic
from pix2seq_d.inference.result import Result
from pix2seq_d.instance_ids import KITTI_STEP
from pix2seq_d.labels import LabelSpace
from pix2seq_d.segmenter import Picture, Segmenter, numbered, pixels

_FIXED = (
    "num_steps",
    "sampler",
    "time_difference",
    "start_time",
    "min_area",
    "instances",
)


class ExportedSegmenter(Segmenter):
    """Panoptic segmentation of images with a file of launch.export.

    Photos of a batch are padded to one shape, sides rounded up to a multiple of 64
    (above 512, of 256), so that few shapes are compiled.

    Args:
      path: the file.
      device: that computes; None: JAX's default.
    Raises:
      FileNotFoundError, ValueError: as of `export.load`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        device: jax.Device | None = None,  # pyright: ignore[reportInvalidTypeForm]
    ) -> None:
        self._path = Path(path)
        self._device = device
        with jax.default_device(device):
            self.model = export.load(self._path)

    @property
    def label_space(self) -> LabelSpace:
        """The classes that it knows."""
        return self.model.label_space

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) that images are fitted into."""
        height, width = self.model.metadata["image_size"]
        return height, width

    def predict_each(
        self,
        images: Iterable[Picture],
        *,
        seed: int = 0,
        batch_size: int = 8,
        **fixed: int | float | str | None,
    ) -> Iterator[Result]:
        """Segments images as they come, in batches; see `Segmenter.predict_each`.

        Args:
          images: as of `Segmenter.predict`.
          seed: of the sampler's noise, in [0, 2**32).
          batch_size: images at once.
          **fixed: num_steps, sampler, time_difference, start_time, min_area and
            instances are refused unless None: the file has them built in.
        """
        for name, value in fixed.items():
            if name not in _FIXED:
                raise TypeError(f"predict has no argument {name!r}")
            if value is not None:
                raise ValueError(
                    f"{name}={value}: is built into {self._path}; leave it out, or "
                    "export the checkpoint again"
                )
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: take it >= 1")
        return self._batches(map(pixels, images), seed=seed, batch_size=batch_size)

    def stream(self, **settings: object) -> NoReturn:
        """An exported file holds no model of video.

        Raises:
          ValueError: always.
        """
        raise ValueError(
            f"{self._path}: an exported file segments images; take the checkpoint of a "
            "video model"
        )

    def denoising(self, image: Picture, **settings: object) -> NoReturn:
        """An exported file gives the last step only.

        Raises:
          ValueError: always.
        """
        raise ValueError(
            f"{self._path}: an exported file gives no steps of the sampler; take the "
            "checkpoint"
        )

    def __repr__(self) -> str:
        metadata = self.model.metadata
        height, width = self.image_size
        return (
            f"ExportedSegmenter(step {metadata['step']} in {self._path}: images at "
            f"{height} x {width}, {len(self.label_space.categories)} classes, "
            f"{metadata['num_steps']} steps, {metadata['dtype']})"
        )

    def _batches(
        self, images: Iterator[np.ndarray], *, seed: int, batch_size: int
    ) -> Iterator[Result]:
        while batch := list(itertools.islice(images, batch_size)):
            stacked, sizes = _padded(batch, batch_size)
            with jax.default_device(self._device):
                maps = self.model(stacked, sizes, seed=seed)
            for image, *found in zip(batch, *maps, strict=False):
                yield self._result(image, *found)

    def _result(
        self,
        image: np.ndarray,
        semantic: np.ndarray,
        instance: np.ndarray,
        certainty: np.ndarray,
    ) -> Result:
        inside = np.s_[: image.shape[0], : image.shape[1]]
        ids = self.label_space.category_ids
        order = np.argsort(ids)
        classes = order[np.searchsorted(ids, semantic[inside], sorter=order)]
        labels = np.stack([classes, instance[inside]], -1)
        return Result(
            image,
            # Stuff comes without ids, as in KITTI-STEP.
            numbered(raw_panoptic(labels, self.label_space, rule=KITTI_STEP)),
            self.label_space,
            steps=self.model.metadata["num_steps"],
            certainty=certainty[inside],
        )


def _padded(
    photos: Sequence[np.ndarray], batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Photos as one batch: uint8 [batch_size, H, W, 3] and sizes int32 [.., 2].

    Rows without a photo are black pictures of one pixel.
    """
    sizes = np.ones((batch_size, 2), np.int32)
    sizes[: len(photos)] = [photo.shape[:2] for photo in photos]
    height, width = (_rounded_up(int(side)) for side in sizes.max(axis=0))
    images = np.zeros((batch_size, height, width, 3), np.uint8)
    for image, photo in zip(images, photos, strict=False):
        image[: photo.shape[0], : photo.shape[1]] = photo
    return images, sizes


def _rounded_up(side: int) -> int:
    multiple = 64 if side <= 512 else 256
    return -(-side // multiple) * multiple
