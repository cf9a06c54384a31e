"""The model in one object, for people with pictures (interfaces; ours)."""

import dataclasses
import os
from pathlib import Path

import jax
import numpy as np

from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.evaluation.runner import finish
from pix2seq_d.image_files import read_rgb
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.inference.result import Result
from pix2seq_d.inference.stream import Stream
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained


class Segmenter:
    """Panoptic segmentation of images and videos with a trained model.

    Args:
      trained: of `training.checkpoint.load`.
    """

    def __init__(self, trained: Trained) -> None:
        # One image or frame at a time is for one device.
        self._mesh = meshes.make_mesh(jax.local_devices()[:1])
        place = meshes.replicated(self._mesh)
        self.trained = dataclasses.replace(
            trained, variables=jax.device_put(trained.variables, place)
        )
        self._predictors: dict[int, Predictor] = {}

    @classmethod
    def from_checkpoint(
        cls, path: str | os.PathLike[str], *, step: int | None = None
    ) -> "Segmenter":
        """Loads a workdir of launch.train, or one checkpoint in it.

        Raises:
          CheckpointError: it cannot be read.
        """
        return cls(checkpoint.load(path, step=step))

    def predict(
        self,
        image: np.ndarray | str | os.PathLike[str],
        *,
        num_steps: int | None = None,
        seed: int = 0,
    ) -> Result:
        """Segments one image; compiled once for each `num_steps`.

        Args:
          image: uint8 [H, W, 3] RGB, or the path of an image file.
          num_steps: sampler steps; None: the checkpoint's.
          seed: of the sampler's noise.
        Raises:
          ValueError: the array is no such image, or the file cannot be read.
        """
        if not isinstance(image, np.ndarray):
            image = read_rgb(Path(image), upright=True)
        config = self.trained.config
        steps = config.diffusion.num_steps if num_steps is None else num_steps
        if steps not in self._predictors:
            diffusion = dataclasses.replace(config.diffusion, num_steps=steps)
            self._predictors[steps] = Predictor(
                dataclasses.replace(config, diffusion=diffusion), self._mesh, seed=0
            )
        fitted, unpadded = eval_data.fit_image(image, config.model.image_size)
        labels = self._predictors[steps].labels(
            self.trained.variables, fitted[None], np.zeros(1, np.int32), seed=seed
        )
        panoptic = finish(
            labels[0],
            self.trained.labels,
            eval_settings(config, self._mesh),
            unpadded=unpadded,
            original=image.shape[:2],
        )
        return Result(image, _numbered(panoptic), self.trained.labels, steps=steps)

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
        config = self.trained.config
        known = {field.name for field in dataclasses.fields(config.diffusion)}
        unknown = set(sampler) - known
        if unknown:
            raise ValueError(
                f"stream has no argument {sorted(unknown)[0]!r}; the sampler's are "
                f"{', '.join(sorted(known))}"
            )
        config = dataclasses.replace(
            config, diffusion=dataclasses.replace(config.diffusion, **sampler)
        )
        if min_area is not None:
            evaluation = dataclasses.replace(config.evaluation, min_area=min_area)
            config = dataclasses.replace(config, evaluation=evaluation)
        trained = dataclasses.replace(self.trained, config=config)
        return Stream(trained, seed=seed, retire_after=retire_after)


def _numbered(panoptic: PanopticMap) -> PanopticMap:
    """Things get their segment's id as their number."""
    segments = tuple(
        dataclasses.replace(segment, instance=segment.id)
        for segment in panoptic.segments
    )
    return dataclasses.replace(panoptic, segments=segments)
