"""What a config compiles to: model, optimizer, and the jitted step."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from pix2seq_d.config import Config, ConfigError
from pix2seq_d.models import Pix2SeqD, variable_shapes
from pix2seq_d.models.attention_choice import model_on
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding import rules
from pix2seq_d.sharding.layout import Layout
from pix2seq_d.training import optimizer as optimizers
from pix2seq_d.training import state as states
from pix2seq_d.training.state import TrainState
from pix2seq_d.training.step import train_step


@dataclasses.dataclass(frozen=True)
class Program:
    """The functions of a training on a mesh; nothing is compiled before it is called.

    Attributes:
      mesh: the devices.
      model: the network.
      optimizer: of `optimizer.make`.
      state: `TrainState` of `ShapeDtypeStruct`s, with shardings.
      batch: {'image', 'labels', for clips 'past'} of `ShapeDtypeStruct`s, with
        shardings.
      init: key -> state.
      step: jitted, (state, batch, key[, goes_on]) -> (state, scalars); takes the
        state's buffers for its own.
    """

    mesh: Mesh
    model: Pix2SeqD
    optimizer: optax.GradientTransformation
    state: TrainState
    batch: dict[str, jax.ShapeDtypeStruct]
    init: Any
    step: Any

    @property
    def key(self) -> jax.ShapeDtypeStruct:
        """The training's root key as the step takes it."""
        shape = jax.eval_shape(lambda: jax.random.key(0))
        place = meshes.replicated(self.mesh)
        return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=place)


def make(config: Config, mesh: Mesh) -> Program:
    """The program of a config whose numbers of classes and steps are settled.

    Args:
      config: what to train.
      mesh: of `make_mesh`.
    Raises:
      ConfigError: it can be sampled from but not trained, or its batch does not
        split over the devices.
    """
    check_trainable(config)
    train = config.train
    parts = train.grad_accumulation
    meshes.check_batch_size(
        train.batch_size // parts,
        mesh,
        field="train.batch_size / train.grad_accumulation"
        if parts > 1
        else "train.batch_size",
    )
    model = dataclasses.replace(
        model_on(config.model, train.dtype, mesh.devices.flat),
        remat=train.remat,
        freeze_batch_norm=train.freeze_batch_norm,
    )
    optimizer = optimizers.make(config.optimizer, num_steps=train.num_steps)
    fresh = functools.partial(states.fresh, optimizer=optimizer)
    shapes = jax.eval_shape(fresh, variable_shapes(config.model))
    state = rules.abstract(shapes, mesh)
    places = jax.tree.map(lambda leaf: leaf.sharding, state)

    def init(key: jax.Array) -> TrainState:
        variables = model.init(key, places.variables)
        return jax.jit(fresh, out_shardings=places, donate_argnums=0)(variables)

    step = functools.partial(
        train_step,
        model=model,
        optimizer=optimizer,
        diffusion=config.diffusion,
        past_noise=config.data.past_noise,
        ids_by_place=config.data.ids.order == "place",
        ema_decay=optimizers.ema_decay(config.optimizer),
        parts=parts,
        layout=Layout(mesh),
    )
    return Program(
        mesh=mesh,
        model=model,
        optimizer=optimizer,
        state=state,
        batch=_batch(config, mesh),
        init=init,
        step=jax.jit(
            step,
            out_shardings=(places, meshes.replicated(mesh)),
            donate_argnums=0,
        ),
    )


def check_trainable(config: Config) -> None:
    """Refuses what can be sampled from but not trained.

    Raises:
      ConfigError: names the field.
    """
    model = config.model
    if model.prediction == "v":
        raise ConfigError(
            "config field model.prediction='v': the panoptic loss does not know it, "
            "only the sampler does (spec 2.3); choose another"
        )
    if model.num_cond_frames and config.data.ids.order == "place":
        raise ConfigError(
            "config field data.ids.order='place': an object of a clip keeps its id "
            "while it moves, and so cannot have that of its place; take 'random'"
        )
    parts = config.train.grad_accumulation
    examples = config.train.batch_size // parts * config.diffusion.noise_draws
    if model.self_conditioning != "none" and examples < 2:
        raise ConfigError(
            f"config field model.self_conditioning={model.self_conditioning!r}: half "
            "of a batch trains with an estimate, and this batch has one example; "
            "raise train.batch_size or diffusion.noise_draws"
        )


def _batch(config: Config, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    model = config.model
    parts: dict[str, tuple[tuple[int, ...], Any]] = {
        "image": ((*model.image_size, 3), jnp.float32),
        "labels": ((*model.mask_size, 2), jnp.int32),
    }
    if model.num_cond_frames:
        parts["past"] = (*model.mask_size, 2 * model.num_cond_frames), jnp.int32
    place, size = meshes.over_batch(mesh), config.train.batch_size
    return {
        name: jax.ShapeDtypeStruct((size, *shape), dtype, sharding=place)
        for name, (shape, dtype) in parts.items()
    }
