"""The model in one object, for people with pictures (interfaces; ours)."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack, overload

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from pix2seq_d import assets
from pix2seq_d.config import Config
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.diffusion.sampler import time_grid
from pix2seq_d.image_files import read_rgb, to_rgb, turned_by_exif
from pix2seq_d.inference.denoising import Denoising
from pix2seq_d.inference.finish import finish
from pix2seq_d.inference.predictor import Predictor
from pix2seq_d.inference.result import Result
from pix2seq_d.inference.stream import Stream
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained

Picture = np.ndarray | Image.Image | str | os.PathLike[str]


class Settings(TypedDict, total=False):
    """Keywords of `Segmenter.predict_each`, which says what they mean."""

    num_steps: int | None
    seed: int
    sampler: str | None
    time_difference: float | None
    start_time: float | None
    min_area: int | None
    instances: str | None
    batch_size: int


class Segmenter:
    """Panoptic segmentation of images and videos with a trained model.

    Args:
      trained: of `training.checkpoint.load`.
      devices: that share the images of a batch; None: the first local one.
      dtype: 'float32' or 'bfloat16', of the computation; None: the checkpoint's.
    """

    def __init__(
        self,
        trained: Trained,
        *,
        devices: Sequence[jax.Device] | None = None,  # pyright: ignore[reportInvalidTypeForm]
        dtype: str | None = None,
    ) -> None:
        self._mesh = meshes.make_mesh(devices or jax.local_devices()[:1])
        place = meshes.replicated(self._mesh)
        self.trained = dataclasses.replace(
            trained,
            config=trained.config.replaced(train={"dtype": dtype}),
            variables=jax.device_put(trained.variables, place),
        )
        self._predictor = Predictor(self.trained.config, self._mesh, seed=0)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        *,
        step: int | None = None,
        devices: Sequence[jax.Device] | None = None,  # pyright: ignore[reportInvalidTypeForm]
        dtype: str | None = None,
    ) -> "Segmenter":
        """Loads a trained model.

        Args:
          path: a workdir of launch.train, one checkpoint in it, a file of
            launch.export, or the name of a shipped model: `shapes`, `shapes_video`.
          step: which checkpoint; None: the latest.
          devices: as of the class; an exported file takes one.
          dtype: as of the class; an exported file has its own.
        Raises:
          CheckpointError: it cannot be read.
          ValueError: an exported file is damaged, or cannot do what is asked for.
        """
        if is_exported(path):
            # That module knows this class.
            from pix2seq_d.exported_segmenter import ExportedSegmenter

            if step is not None or dtype is not None or len(devices or ()) > 1:
                raise ValueError(
                    f"{path}: an exported file has its own step and dtype, and runs on "
                    "one device; leave them out, or give the checkpoint"
                )
            return ExportedSegmenter(path, device=devices[0] if devices else None)
        trained = checkpoint.load(path, step=step)
        return cls(trained, devices=devices, dtype=dtype)

    @property
    def label_space(self) -> LabelSpace:
        """The classes that it knows."""
        return self.trained.labels

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) that images are fitted into."""
        return self.trained.config.model.image_size

    @overload
    def predict(self, image: Picture, **settings: Unpack[Settings]) -> Result: ...

    @overload
    def predict(
        self, image: Sequence[Picture], **settings: Unpack[Settings]
    ) -> list[Result]: ...

    def predict(
        self, image: Picture | Sequence[Picture], **settings: Unpack[Settings]
    ) -> Result | list[Result]:
        """Segments an image, or a list of images of any sizes.

        Args:
          image: uint8 [H, W, 3] RGB, a PIL image, the path of an image file, or a list
            of such. Files and PIL images are turned upright as EXIF says.
          **settings: of `predict_each`, as num_steps=20, seed=0.
        Returns:
          A result, or a list of them.
        Raises:
          ValueError: as of `predict_each`.
        """
        if isinstance(image, Sequence) and not isinstance(image, str):
            settings.setdefault("batch_size", _power_of_two(len(image), 8))
            return list(self.predict_each(image, **settings))
        settings.setdefault("batch_size", 1)
        return next(self.predict_each([image], **settings))

    def predict_each(
        self,
        images: Iterable[Picture],
        *,
        num_steps: int | None = None,
        seed: int = 0,
        sampler: str | None = None,
        time_difference: float | None = None,
        start_time: float | None = None,
        min_area: int | None = None,
        instances: str | None = None,
        batch_size: int = 8,
    ) -> Iterator[Result]:
        """Segments images as they come, in batches; holds few of them at a time.

        All images are fitted into the model's one input size, so that there is one
        compilation for each batch size and sampler setting, whatever the images' sizes.
        The result of an image does not depend on those beside it.

        Args:
          images: as of `predict`.
          num_steps: sampler steps.
          seed: of the sampler's noise.
          sampler: 'ddim', 'ddpm', 'ddpm_small' or 'dpmpp_2m'.
          time_difference: td of the sampler (spec 3.2).
          start_time: no time of the sampler is above it; > 0 and <= 1.
          min_area: smallest segment, px; smaller ones become void.
          instances: 'ids', or 'regions': a thing is a connected region of a class,
            whatever its ids.
          batch_size: images at once, rounded up to a multiple of the devices.
        Raises:
          ValueError: an array is no such image, a file cannot be read, or a setting is
            out of range. None stands for the checkpoint's setting.
        """
        config = self._config(
            {"min_area": min_area, "instances": instances},
            num_steps=num_steps,
            sampler=sampler,
            time_difference=time_difference,
            start_time=start_time,
        )
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: take it >= 1")
        return self._each(images, config, seed=seed, batch_size=batch_size)

    def denoising(
        self,
        image: Picture,
        *,
        num_steps: int | None = None,
        seed: int = 0,
        sampler: str | None = None,
        time_difference: float | None = None,
        start_time: float | None = None,
    ) -> Denoising:
        """How the result of `predict` with these settings came about, step by step.

        Args:
          image: as of `predict`.
          num_steps: as of `predict_each`, as all that follow.
          seed: likewise.
          sampler: likewise.
          time_difference: likewise.
          start_time: likewise.
        Raises:
          ValueError: as of `predict_each`.
        """
        config = self._config(
            {},
            num_steps=num_steps,
            sampler=sampler,
            time_difference=time_difference,
            start_time=start_time,
        )
        image_size, diffusion = config.model.image_size, config.diffusion
        fitted, unpadded = eval_data.fit_image(pixels(image), image_size)
        states = self._predictor.denoising(
            self.trained.variables,
            fitted[None],
            np.zeros(1, np.int32),
            diffusion=diffusion,
            seed=seed,
        )
        times = time_grid(
            diffusion.num_steps, diffusion.time_difference, diffusion.start_time
        )[:, 0]
        return Denoising(
            states[:, 0],
            np.asarray(diffusion.sample_schedule.make()(jnp.asarray(times))),
            image_size,
            unpadded,
            self.label_space,
            config.data.ids,
        )

    def warm_up(self, **settings: Unpack[Settings]) -> None:
        """Compiles before the first image comes.

        Args:
          **settings: of the calls that follow. Their `batch_size` is 1 for an image,
            for lists of n the power of two from n on, at most 8.
        """
        settings.setdefault("batch_size", 1)
        blank = np.zeros((*self.image_size, 3), np.uint8)
        next(self.predict_each([blank], **settings))

    def stream(
        self,
        *,
        seed: int = 0,
        retire_after: int | None = None,
        min_area: int | None = None,
        **sampler: int | float,
    ) -> Stream:
        """A new video; all streams of the same settings share what is compiled.

        Args:
          seed: of the sampler's noise.
          retire_after: as of `Stream`.
          min_area: smallest segment, px; None: the checkpoint's.
          **sampler: `num_steps`, `num_steps_next`, `stop_changed`, `new_share` and the
            like, fields of the config's `diffusion`.
        Raises:
          ValueError: as of `Stream`, or a field that there is not.
        """
        known = {f.name for f in dataclasses.fields(self.trained.config.diffusion)}
        unknown = set(sampler) - known
        if unknown:
            raise ValueError(
                f"stream has no argument {sorted(unknown)[0]!r}; the sampler's are "
                f"{', '.join(sorted(known))}"
            )
        config = self._config({"min_area": min_area}, **sampler)
        trained = dataclasses.replace(self.trained, config=config)
        device = self._mesh.devices.flat[0]
        return Stream(trained, seed=seed, retire_after=retire_after, device=device)

    def __repr__(self) -> str:
        trained = self.trained
        height, width = self.image_size
        kind = "videos" if trained.config.model.num_cond_frames else "images"
        return (
            f"Segmenter(step {trained.step} of {trained.workdir}: {kind} at {height} x "
            f"{width}, {len(trained.labels.categories)} classes, "
            f"{trained.config.diffusion.num_steps} steps, {trained.config.train.dtype} "
            f"on {', '.join(str(d) for d in self._mesh.devices.flat)})"
        )

    def _config(
        self,
        evaluation: Mapping[str, int | str | None],
        **sampler: int | float | str | None,
    ) -> Config:
        """The checkpoint's, but for what is given."""
        return self.trained.config.replaced(diffusion=sampler, evaluation=evaluation)

    def _each(
        self, images: Iterable[Picture], config: Config, *, seed: int, batch_size: int
    ) -> Iterator[Result]:
        kept: dict[int, np.ndarray] = {}

        def read() -> Iterator[tuple[int, np.ndarray]]:
            for index, image in enumerate(images):
                kept[index] = pixels(image)
                yield index, kept[index]

        for batch in eval_data.image_batches(
            read(),
            image_size=config.model.image_size,
            batch_size=-(-batch_size // self._mesh.size) * self._mesh.size,
        ):
            # The same noise for each image: its mask does not depend on its place.
            names = np.minimum(batch["index"], 0)
            labels, certainty = self._predictor.labels_and_certainty(
                self.trained.variables,
                batch["image"],
                names,
                diffusion=config.diffusion,
                seed=seed,
            )
            for row, index in enumerate(batch["index"].tolist()):
                if index >= 0:
                    image = kept.pop(index)
                    yield _result(
                        image,
                        labels[row],
                        certainty[row],
                        self.trained.labels,
                        config,
                        unpadded=batch["unpadded"][row].tolist(),
                    )


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a file with a program, not weights for this one's."""
    return Path(path).is_file() and Path(path).suffix != assets.SUFFIX


def pixels(image: Picture) -> np.ndarray:
    """uint8 [H, W, 3] RGB of whatever a picture is given as.

    Raises:
      FileNotFoundError, ValueError: it is none, or its file cannot be read.
    """
    if isinstance(image, np.ndarray):
        eval_data.check_image(image)
        return image
    if isinstance(image, Image.Image):
        return to_rgb(turned_by_exif(image), "the image")
    return read_rgb(Path(image), upright=True)


def _result(
    image: np.ndarray,
    labels: np.ndarray,
    certainty: np.ndarray,
    label_space: LabelSpace,
    config: Config,
    *,
    unpadded: Sequence[int],
) -> Result:
    """The network's maps of one image, [h, w, 2] and [h, w] -> its result."""
    size, original = config.model.image_size, image.shape[:2]
    panoptic = finish(
        labels,
        label_space,
        image_size=size,
        unpadded=unpadded,
        original=original,
        min_area=config.evaluation.min_area,
        merge=config.evaluation.merge_stuff,
        rule=config.data.ids,
        split_ids=config.evaluation.split_ids,
        by_region=config.evaluation.instances == "regions",
    )
    # Without classes only the ids say where a thing is.
    channel = labels[..., 0] if config.data.ids.classes else labels[..., 1] > 0
    semantic, sure = (
        eval_data.restore(array, image_size=size, unpadded=unpadded, original=original)
        for array in (channel, certainty)
    )
    result = Result(
        image,
        numbered(panoptic),
        label_space,
        steps=config.diffusion.num_steps,
    )
    # Where the vote overruled the pixel, its bits speak for something else.
    agrees = label_space.category_ids[semantic.astype(int)] == result.semantic
    return dataclasses.replace(result, certainty=np.where(agrees, sure, 0))


def numbered(panoptic: PanopticMap) -> PanopticMap:
    """Things get their segment's id as their number."""
    segments = tuple(
        dataclasses.replace(segment, instance=segment.id)
        for segment in panoptic.segments
    )
    return dataclasses.replace(panoptic, segments=segments)


def _power_of_two(number: int, highest: int) -> int:
    """The smallest power of two from `number` on, at most `highest`, at least 1."""
    return min(1 << max(number - 1, 0).bit_length(), highest)
