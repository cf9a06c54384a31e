"""What is timed: a training step, the encoder, a decoder step, the sampler.

Everything here runs with this tree's package and with that of any older revision, back
to `FIRST_VERSION`; where a revision differs, the difference is dealt with here and
nowhere else.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_map_with_path

from pix2seq_d import config as config_lib
from pix2seq_d.inference import image
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.training import optimizer as optimizers
from pix2seq_d.training import state as states
from pix2seq_d.training.step import train_step
from speed.timing import Work

# The first revision that trains and predicts (2026-11-22).
FIRST_VERSION = "d851ad8"

KINDS = ("train_step", "encode", "decoder_step", "sample")

# Fields of a config that the timed programs depend on.
_FIELDS = (
    *("model.", "diffusion.", "optimizer.", "sharding.", "train.batch_size"),
    *("train.dtype", "train.remat", "train.grad_accumulation"),
    "train.freeze_batch_norm",
)


def fields_of(config: Any) -> dict[str, Any]:
    """What a config of this tree says of the timed programs, for `config_of`.

    Returns:
      JSON: {'values': flat names and values, 'defaults': names at their default}.
    """
    default = config_lib.flatten(config_lib.Config())
    values = {
        name: value
        for name, value in config_lib.flatten(config).items()
        if name.startswith(_FIELDS)
    }
    at_default = [name for name, value in values.items() if value == default[name]]
    return {"values": values, "defaults": at_default}


def config_of(fields: Mapping[str, Any]) -> Any:
    """The config in the package at hand.

    Args:
      fields: of `fields_of`, of another revision.
    Raises:
      ValueError: it sets a field that this revision lacks.
    """
    known, nested = config_lib.default(), {}
    for name, value in fields["values"].items():
        *groups, last = name.split(".")
        group, place = known, nested
        for part in groups:
            group = group.get(part, {})
            place = place.setdefault(part, {})
        if last in group:
            place[last] = value
        elif name not in fields["defaults"]:
            raise ValueError(f"it has no config field {name}")
    # Sections of which this revision has no field.
    nested = {name: section for name, section in nested.items() if name in known}
    return config_lib.from_config_dict(_without_empty(nested))


def _without_empty(nested: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_empty(value) if isinstance(value, dict) else value
        for name, value in nested.items()
        if value != {}
    }


def make(kind: str, config: Any, *, batch: int = 1) -> Work:
    """The work of a config with random weights.

    Args:
      kind: one of `KINDS`.
      config: with num_classes set; the sampler's steps are `diffusion.num_steps`.
      batch: images of a call; a training step has `train.batch_size`.
    Raises:
      ValueError: this revision cannot do it.
    """
    if kind == "train_step":
        return _training(config)
    model = Pix2SeqD(config.model, dtype=jnp.dtype(config.train.dtype))
    variables = _filled(jax.eval_shape(model.init, jax.random.key(0)), _weight)
    images = jnp.asarray(_noise((batch, *config.model.image_size, 3)))
    encode = jax.jit(functools.partial(_encode, model=model))
    match kind:
        case "encode":
            return Work(encode, (variables, images), batch)
        case "decoder_step":
            bits = _noise((batch, *config.model.mask_size, config.model.num_bits))
            gamma = jnp.full((batch,), 0.5)
            features = _filled(jax.eval_shape(encode, variables, images), _feature)
            step = jax.jit(lambda *arguments: model.denoise(*arguments).x0)
            return Work(step, (variables, jnp.asarray(bits), gamma, features), batch)
        case "sample":
            sample = jax.jit(
                functools.partial(
                    image.predict, model=model, diffusion=config.diffusion
                )
            )
            keys = jax.random.split(jax.random.key(0), batch)
            return Work(sample, (variables, images, keys), batch)
    raise ValueError(f"no workload {kind!r}; choose one of {', '.join(KINDS)}")


def _encode(variables: Any, images: jax.Array, *, model: Pix2SeqD) -> Any:
    """All that an image gives its denoising steps, as far as it is computed once."""
    features = model.encode(variables, images)
    if hasattr(model, "prepare"):
        return model.prepare(variables, features)
    return features


def _training(config: Any) -> Work:
    try:
        from pix2seq_d.sharding import mesh as meshes
        from pix2seq_d.training import program as programs
    except ImportError:
        return _first_training(config)
    sharding = {"data": config.sharding.data, "fsdp": config.sharding.fsdp}
    program = programs.make(config, meshes.make_mesh(**sharding))
    key = jax.device_put(jax.random.key(2), program.key.sharding)
    arguments = (_filled(program.state, _state), _batch(program.batch), key)
    return Work(program.step, arguments, config.train.batch_size, takes_state=True)


def _first_training(config: Any) -> Work:
    """The step of revisions before `training.program`, as their loop jits it."""
    model = Pix2SeqD(config.model, dtype=jnp.dtype(config.train.dtype))
    optimizer = optimizers.make(config.optimizer, num_steps=config.train.num_steps)
    init = functools.partial(states.init, model=model, optimizer=optimizer)
    step = functools.partial(
        train_step,
        model=model,
        optimizer=optimizer,
        diffusion=config.diffusion,
        ema_decay=config.optimizer.ema_decay,
    )
    size, sizes = config.train.batch_size, config.model
    batch = {
        "image": jax.ShapeDtypeStruct((size, *sizes.image_size, 3), jnp.float32),
        "labels": jax.ShapeDtypeStruct((size, *sizes.mask_size, 2), jnp.int32),
    }
    state = _filled(jax.eval_shape(init, jax.random.key(0)), _state)
    arguments = (state, _batch(batch), jax.random.key(2))
    return Work(jax.jit(step, donate_argnums=0), arguments, size, takes_state=True)


def _batch(shapes: Mapping[str, Any]) -> dict[str, jax.Array]:
    """Noise for images; labels in runs, as the loss weights count pixels of ids."""

    def fill(name: str, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if leaf.dtype == jnp.float32:
            return _noise(leaf.shape)
        size, height, width, channels = leaf.shape
        ids = np.random.default_rng(1).integers(0, 8, (size, 8, 8, channels))
        rows, columns = (np.arange(side) * 8 // side for side in (height, width))
        return ids[:, rows][:, :, columns].astype(leaf.dtype)

    return _filled(dict(shapes), fill)


def _filled(shapes: Any, fill: Any) -> Any:
    """Arrays in the place of `ShapeDtypeStruct`s, by their names."""

    def make(path: Any, leaf: Any) -> jax.Array:
        value = fill(keystr(path, simple=True, separator="/"), leaf)
        return jax.device_put(value, leaf.sharding)

    return tree_map_with_path(make, shapes)


def _state(name: str, leaf: Any) -> np.ndarray:
    """Weights and their moving average at random; counters and moments 0."""
    if name.startswith(("variables/", "ema/")):
        return _weight(name, leaf)
    return np.zeros(leaf.shape, leaf.dtype)


def _weight(name: str, leaf: Any) -> np.ndarray:
    """Small random kernels: compiling a model's own `init` can take minutes."""
    if len(leaf.shape) > 1:
        return 0.02 * _noise(leaf.shape)
    ones = name.endswith(("scale", "var"))
    return np.full(leaf.shape, float(ones), leaf.dtype)


def _feature(_: str, leaf: Any) -> jax.Array:
    return jnp.asarray(_noise(leaf.shape), leaf.dtype)


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)
