"""The compiled function of a model of clips, over all devices, for evaluation."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.config import Config
from pix2seq_d.inference import video
from pix2seq_d.inference.video import VideoState
from pix2seq_d.models.attention_choice import model_on
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding.layout import Layout

# Frames of a video in one call: few, so that little is padded behind the last one.
FRAMES_AT_ONCE = 8


class VideoPredictor:
    """Compiled once; the videos are split over the devices.

    Args:
      config: model of clips, sampler and compute dtype.
      mesh: of `sharding.mesh.make_mesh`.
      seed: of the sampler's noise; each video gets its own stream.
    Raises:
      ConfigError: the sampler is another than DDIM.
    """

    def __init__(self, config: Config, mesh: jax.sharding.Mesh, *, seed: int) -> None:
        video.check_sampler(config.diffusion)
        self.mesh = mesh
        self._config = config.model
        predict = functools.partial(
            _predict,
            seed=seed,
            layout=Layout(mesh),
            model=model_on(config.model, config.train.dtype, mesh.devices.flat),
            diffusion=config.diffusion,
        )
        place = meshes.over_batch(mesh)
        self._predict = jax.jit(predict, out_shardings=place, donate_argnums=1)
        self._start = jax.jit(
            functools.partial(video.start, config=config.model),
            static_argnums=0,
            out_shardings=place,
        )

    def of(self, variables: Any) -> "BoundVideoPredictor":
        """With weights, {'params', 'batch_stats'}: a predictor of `video_runner`."""
        return BoundVideoPredictor(self, variables)

    def start(self, index: np.ndarray) -> tuple[VideoState, jax.Array]:
        """The state of this process's videos; all processes have to call it.

        Args:
          index: [B] int32, names each video's noise; negative for padding.
        """
        placed = meshes.put_batch({"index": index}, self.mesh)["index"]
        return self._start(placed.shape[0]), placed

    def labels(
        self, variables: Any, state: tuple[VideoState, jax.Array], images: np.ndarray
    ) -> tuple[tuple[VideoState, jax.Array], np.ndarray, np.ndarray]:
        """The next frames of this process's videos; all processes have to call it.

        Args:
          variables: {'params', 'batch_stats'}, as of `Predictor.labels`.
          state: of the frames before; it is used up.
          images: [B, T, H, W, 3] float32 in [0, 1] or uint8.
        Returns:
          The state after them, labels [B, T, h, w, 2] int32, steps [B, T] int32.
        """
        memory, index = state
        placed = meshes.put_batch({"images": images}, self.mesh)["images"]
        memory, labels, steps = self._predict(variables, memory, placed, index)
        return (memory, index), meshes.local_rows(labels), meshes.local_rows(steps)


class BoundVideoPredictor:
    """`evaluation.video_runner.VideoPredictor` of a model and its weights."""

    def __init__(self, predictor: VideoPredictor, variables: Any) -> None:
        self._predictor, self._variables = predictor, variables

    def start(self, index: np.ndarray) -> Any:
        """See `VideoPredictor.start`."""
        return self._predictor.start(index)

    def __call__(
        self, state: Any, images: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """See `VideoPredictor.labels`."""
        return self._predictor.labels(self._variables, state, images)


def _predict(
    variables: Any,
    state: VideoState,
    images: jax.Array,
    index: jax.Array,
    *,
    seed: int,
    layout: Layout,
    **settings: Any,
) -> tuple[VideoState, jax.Array, jax.Array]:
    root = jax.random.key(seed)
    keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(jnp.maximum(index, 0))
    return video.next_frames(layout.gather(variables), state, images, keys, **settings)
