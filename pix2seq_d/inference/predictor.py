"""The compiled predict function of a config, over all devices."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.config import Config, DiffusionConfig
from pix2seq_d.config.errors import require_seed
from pix2seq_d.evaluation.runner import Settings
from pix2seq_d.inference import image
from pix2seq_d.models import Features, Pix2SeqD
from pix2seq_d.models.attention_choice import model_on
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding.layout import Layout


class Predictor:
    """Compiled once per batch shape; the images are split over the devices.

    The encoder and the sampler are compiled apart, so that features serve several
    samplers, with the same bits as each alone.

    Args:
      config: model, sampler and compute dtype.
      mesh: of `sharding.mesh.make_mesh`.
      seed: of the sampler's noise; image `index` gets its own stream.
    """

    def __init__(self, config: Config, mesh: jax.sharding.Mesh, *, seed: int) -> None:
        self.mesh, self._seed, self._diffusion = mesh, seed, config.diffusion
        model = model_on(config.model, config.train.dtype, mesh.devices.flat)
        layout, place = Layout(mesh), meshes.over_batch(mesh)
        encode = functools.partial(_encode, layout=layout, model=model)
        self._encode = jax.jit(encode, out_shardings=place)
        sample = functools.partial(_sample, layout=layout, model=model)
        static = ("diffusion", "return_states", "return_certainty")
        self._sample = jax.jit(sample, out_shardings=place, static_argnames=static)

    def encode(self, variables: Any, images: np.ndarray) -> Features:
        """Encodes images for `sample`; all processes have to call it.

        Args:
          variables: {'params', 'batch_stats'}, whole on every device or split over
            them as in training; no second copy outlives the call.
          images: [B, H, W, 3] float32 in [0, 1] or uint8, this process's share of a
            batch that splits over the mesh.
        Returns:
          Features of the whole batch, on the devices.
        """
        return self._encode(variables, meshes.put_batch(images, self.mesh))

    def sample(
        self,
        variables: Any,
        features: Features,
        index: np.ndarray,
        *,
        diffusion: DiffusionConfig | None = None,
        seed: int | None = None,
    ) -> np.ndarray:
        """Samples (semantic, instance) at mask size; all processes have to call it.

        Args:
          variables: as of `encode`.
          features: of a batch, as `encode` gives them.
          index: [B] int32, of this process's images; names each image's noise;
            negative for padding.
          diffusion: another sampler than the config's; each is compiled once.
          seed: another one than the predictor's; compiles nothing anew.
        Returns:
          [B, h, w, 2] int32, of this process's images.
        """
        return self._rows(variables, features, index, diffusion=diffusion, seed=seed)

    def labels(
        self, variables: Any, images: np.ndarray, index: np.ndarray, **settings: Any
    ) -> np.ndarray:
        """`encode` and `sample` of the same images, with settings of `sample`."""
        features = self.encode(variables, images)
        return self.sample(variables, features, index, **settings)

    def labels_and_certainty(
        self, variables: Any, images: np.ndarray, index: np.ndarray, **settings: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `labels`, and how sure each pixel is: float32 [B, h, w] in [0, 1]."""
        features = self.encode(variables, images)
        settings["return_certainty"] = True
        labels, certainty = self._rows(variables, features, index, **settings)
        return labels, certainty

    def denoising(
        self, variables: Any, images: np.ndarray, index: np.ndarray, **settings: Any
    ) -> np.ndarray:
        """As `labels`, after every step: [num_steps, B, h, w, 2] int32; B is any."""
        missing = -len(images) % self.mesh.size
        padded = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
        index = np.pad(index, (0, missing), constant_values=-1)
        features = self.encode(variables, padded)
        settings["return_states"] = True
        states = self._rows(variables, features, index, **settings)[1]
        return np.moveaxis(states[: len(images)], 1, 0)

    def _rows(
        self,
        variables: Any,
        features: Features,
        index: np.ndarray,
        *,
        diffusion: DiffusionConfig | None = None,
        seed: int | None = None,
        **returns: bool,
    ) -> Any:
        """What `_sample` makes of this process's images."""
        sampled = self._sample(
            variables,
            features,
            meshes.put_batch(index, self.mesh),
            root=_root(self._seed if seed is None else seed),
            diffusion=self._diffusion if diffusion is None else diffusion,
            **returns,
        )
        return jax.tree.map(meshes.local_rows, sampled)


def _root(seed: int) -> np.ndarray:
    """A seed as data of its key, which every process may hand to a job.

    Raises:
      ConfigError: it is not in [0, 2**32).
    """
    require_seed("evaluation", seed)
    return np.asarray(jax.random.key_data(jax.random.key(seed)))


def _encode(
    variables: Any, images: jax.Array, *, layout: Layout, model: Pix2SeqD
) -> Features:
    return model.encode(layout.gather(variables), images)


def _sample(
    variables: Any,
    features: Features,
    index: jax.Array,
    *,
    root: jax.Array,
    layout: Layout,
    **settings: Any,
) -> Any:
    """`image.sample`; every array begins with the images, states of steps too."""
    key = jax.random.wrap_key_data(root)
    # fold_in wants unsigned numbers; what padding gets does not matter.
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.maximum(index, 0))
    sampled = image.sample(layout.gather(variables), features, keys, **settings)
    if settings.get("return_states"):
        labels, states = sampled
        return labels, jnp.moveaxis(states, 0, 1)
    return sampled


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
        split_ids=config.evaluation.split_ids,
        by_region=config.evaluation.instances == "regions",
        video_as_shown=config.evaluation.video_as_shown,
    )
