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
from pix2seq_d.sharding.layout import Layout


class Predictor:
    """Compiled once per batch shape; the images are split over the devices.

    Args:
      config: model, sampler and compute dtype.
      mesh: of `sharding.mesh.make_mesh`.
      seed: of the sampler's noise; image `index` gets its own stream.
    """

    def __init__(self, config: Config, mesh: jax.sharding.Mesh, *, seed: int) -> None:
        self.mesh, self._seed = mesh, seed
        predict = functools.partial(
            _predict,
            layout=Layout(mesh),
            model=Pix2SeqD(config.model, dtype=jnp.dtype(config.train.dtype)),
            diffusion=config.diffusion,
        )
        place = meshes.over_batch(mesh)
        self._predict = jax.jit(predict, out_shardings=place)
        certain = functools.partial(predict, return_certainty=True)
        self._certain = jax.jit(certain, out_shardings=place)
        self._denoising = jax.jit(functools.partial(predict, return_states=True))

    def labels(
        self,
        variables: Any,
        images: np.ndarray,
        index: np.ndarray,
        *,
        seed: int | None = None,
    ) -> np.ndarray:
        """Predicts (semantic, instance) at mask size; all processes have to call it.

        Args:
          variables: {'params', 'batch_stats'}, whole on every device or split over
            them as in training; no second copy outlives the call.
          images: [B, H, W, 3] float32 in [0, 1] or uint8, this process's share of a
            batch that splits over the mesh.
          index: [B] int32, names each image's noise; negative for padding.
          seed: another one than the predictor's; compiles nothing anew.
        Returns:
          [B, h, w, 2] int32, of this process's images.
        """
        seed = self._seed if seed is None else seed
        batch = meshes.put_batch({"images": images, "index": index}, self.mesh)
        return meshes.local_rows(self._predict(variables, **batch, root=_root(seed)))

    def labels_and_certainty(
        self, variables: Any, images: np.ndarray, index: np.ndarray, *, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `labels`, and how sure each pixel is: float32 [B, h, w] in [0, 1]."""
        batch = meshes.put_batch({"images": images, "index": index}, self.mesh)
        found = self._certain(variables, **batch, root=_root(seed))
        labels, certainty = map(meshes.local_rows, found)
        return labels, certainty

    def denoising(
        self,
        variables: Any,
        images: np.ndarray,
        index: np.ndarray,
        *,
        seed: int | None = None,
    ) -> np.ndarray:
        """The decoded estimate after every step: [num_steps, B, h, w, 2] int32."""
        root = _root(self._seed if seed is None else seed)
        return np.asarray(self._denoising(variables, images, index, root=root)[1])


def _root(seed: int) -> np.ndarray:
    """A seed of any size as data of its key, which every process may hand to a job."""
    return np.asarray(jax.random.key_data(jax.random.key(seed)))


def _predict(
    variables: Any,
    images: jax.Array,
    index: jax.Array,
    *,
    root: jax.Array,
    layout: Layout,
    **settings: Any,
) -> Any:
    key = jax.random.wrap_key_data(root)
    # fold_in wants unsigned numbers; what padding gets does not matter.
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.maximum(index, 0))
    return image.predict(layout.gather(variables), images, keys, **settings)


def eval_settings(config: Config, mesh: jax.sharding.Mesh) -> Settings:
    """The evaluation settings of a config.

    Args:
      config: of the training.
      mesh: the batch size is rounded up to a multiple of its devices. No result
        depends on it, so an evaluation need not be refused for it.
    """
    return Settings(
        image_size=config.model.image_size,
        mask_size=config.model.mask_size,
        max_instances=config.model.max_instances,
        batch_size=-(-config.evaluation.batch_size // mesh.size) * mesh.size,
        min_area=config.evaluation.min_area,
        merge_stuff=config.evaluation.merge_stuff,
        rule=config.data.ids,
    )
