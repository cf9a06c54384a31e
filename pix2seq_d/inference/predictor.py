"""The compiled predict function of a config, over all devices."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.config import Config
from pix2seq_d.evaluation.runner import Settings
from pix2seq_d.inference import image
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.sharding import mesh as meshes


class Predictor:
    """Compiled once per batch shape; the images are split over the devices.

    Args:
      config: model, sampler and compute dtype.
      mesh: of `sharding.mesh.make_mesh`.
      seed: of the sampler's noise; image `index` gets its own stream.
    """

    def __init__(self, config: Config, mesh: jax.sharding.Mesh, *, seed: int) -> None:
        self._mesh, self._seed = mesh, seed
        model = Pix2SeqD(config.model, dtype=jnp.dtype(config.train.dtype))
        predict = functools.partial(
            image.predict, model=model, diffusion=config.diffusion
        )
        self._predict = jax.jit(predict, out_shardings=meshes.over_batch(mesh))
        self._denoising = jax.jit(functools.partial(predict, return_states=True))

    def labels(
        self, variables: Any, images: np.ndarray, index: np.ndarray
    ) -> np.ndarray:
        """Predicts (semantic, instance) at mask size.

        Args:
          variables: {'params', 'batch_stats'}.
          images: [B, H, W, 3] float32 in [0, 1] or uint8; B splits over the mesh.
          index: [B] int32, names each image's noise; negative for padding.
        Returns:
          [B, h, w, 2] int32.
        """
        placed = meshes.put_batch({"image": images}, self._mesh)["image"]
        labels = self._predict(variables, placed, self._keys(index))
        return meshes.local_rows(labels)

    def denoising(
        self, variables: Any, images: np.ndarray, index: np.ndarray
    ) -> np.ndarray:
        """The decoded estimate after every step: [num_steps, B, h, w, 2] int32."""
        keys = self._keys(index)
        return np.asarray(self._denoising(variables, jnp.asarray(images), keys)[1])

    def _keys(self, index: np.ndarray) -> jax.Array:
        root = jax.random.key(self._seed)
        # fold_in wants unsigned numbers; what padding gets does not matter.
        return jax.vmap(lambda i: jax.random.fold_in(root, i))(np.maximum(index, 0))


def eval_settings(config: Config) -> Settings:
    """The evaluation settings of a config."""
    return Settings(
        image_size=config.model.image_size,
        mask_size=config.model.mask_size,
        max_instances=config.model.max_instances,
        batch_size=config.evaluation.batch_size,
        min_area=config.evaluation.min_area,
        merge_stuff=config.evaluation.merge_stuff,
        rule=config.data.ids,
    )
