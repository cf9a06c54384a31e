"""What is timed: a training step, the encoder, a decoder step, the sampler.

Everything here runs with this tree's package and with that of any older revision, back
to `FIRST_VERSION`; where a revision differs, the difference is dealt with here and
nowhere else.
"""

import dataclasses
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
    """The work of a config with random weights and images.

    Args:
      kind: one of `KINDS`.
      config: with num_classes set; the sampler's steps are `diffusion.num_steps`.
      batch: images of a call; a training step has `train.batch_size`.
    Raises:
      ValueError: this revision cannot do it.
    """
    work = abstract(kind, config, batch=batch)
    return dataclasses.replace(work, arguments=_filled(work.arguments))


def random_variables(config: Any) -> Any:
    """The variables of a config's model, with small random kernels."""
    return _filled({"variables": _variables(Pix2SeqD(config.model))})["variables"]


def abstract(kind: str, config: Any, *, batch: int = 1, device: Any = None) -> Work:
    """As `make`, with `ShapeDtypeStruct`s as arguments: to trace or to compile.

    Args:
      kind: as of `make`.
      config: likewise.
      batch: likewise.
      device: that it is compiled for, but a training step, or a description of one;
        None: the first that is here.
    """
    if kind == "train_step":
        return _training(config)
    sizes = config.model
    model = _model(config, device or jax.local_devices()[0])
    variables = _variables(model)
    images = jax.ShapeDtypeStruct((batch, *sizes.image_size, 3), jnp.float32)
    encode = jax.jit(functools.partial(_encode, model=model))
    match kind:
        case "encode":
            return Work(encode, (variables, images), batch)
        case "decoder_step":
            shape = (batch, *sizes.mask_size, sizes.num_bits)
            bits = jax.ShapeDtypeStruct(shape, jnp.float32)
            gamma = jax.ShapeDtypeStruct((batch,), jnp.float32)
            features = jax.eval_shape(encode, variables, images)
            step = jax.jit(_estimate_of(model))
            return Work(step, (variables, bits, gamma, features), batch)
        case "sample":
            sample = jax.jit(
                functools.partial(
                    image.predict, model=model, diffusion=config.diffusion
                )
            )
            keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), batch))
            return Work(sample, (variables, images, keys), batch)
    raise ValueError(f"no workload {kind!r}; choose one of {', '.join(KINDS)}")


def _model(config: Any, device: Any) -> Pix2SeqD:
    """The network as prediction makes it for a device."""
    dtype = config.train.dtype
    try:
        from pix2seq_d.models.attention_choice import model_on
    except ImportError:  # revisions with XLA's attention only
        return Pix2SeqD(config.model, dtype=jnp.dtype(dtype))
    return model_on(config.model, dtype, [device])


def _estimate_of(model: Pix2SeqD) -> Any:
    """(variables, xt, gamma, features) -> x0, as the sampler's loop takes it."""
    if hasattr(model, "estimate"):
        return model.estimate
    return lambda *arguments: model.denoise(*arguments).x0


def _variables(model: Pix2SeqD) -> Any:
    try:
        from pix2seq_d.models import variable_shapes
    except ImportError:  # revisions whose `init` may be traced
        return jax.eval_shape(model.init, jax.random.key(0))
    return variable_shapes(model.config)


def _encode(variables: Any, images: jax.Array, *, model: Pix2SeqD) -> Any:
    """All that an image gives its denoising steps, as far as it is computed once."""
    features = model.encode(variables, images)
    if hasattr(model, "prepare"):
        return model.prepare(variables, features)
    return features


def _training(config: Any) -> Work:
    size = config.train.batch_size
    try:
        from pix2seq_d.sharding import mesh as meshes
        from pix2seq_d.training import program as programs
    except ImportError:
        step, arguments = _first_training(config)
    else:
        sharding = {"data": config.sharding.data, "fsdp": config.sharding.fsdp}
        program = programs.make(config, meshes.make_mesh(**sharding))
        step, arguments = program.step, (program.state, program.batch, program.key)
    return Work(step, arguments, size, takes_state=True)


def _first_training(config: Any) -> tuple[Any, tuple[Any, ...]]:
    """The step of revisions before `training.program`, as their loop jits it."""
    model = Pix2SeqD(config.model, dtype=jnp.dtype(config.train.dtype))
    optimizer = optimizers.make(config.optimizer, num_steps=config.train.num_steps)
    fresh = states.init  # pyright: ignore[reportAttributeAccessIssue]
    init = functools.partial(fresh, model=model, optimizer=optimizer)
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
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(init, key)
    return jax.jit(step, donate_argnums=0), (state, batch, key)


def _filled(shapes: Any) -> Any:
    """Arrays in the place of `ShapeDtypeStruct`s, on the devices that they name."""

    def make(path: Any, leaf: Any) -> jax.Array:
        value = _value(keystr(path, simple=True, separator="/"), leaf)
        return jax.device_put(value, leaf.sharding)

    return tree_map_with_path(make, shapes)


def _value(name: str, leaf: Any) -> Any:
    """What an argument with this name and shape is filled with.

    Weights are small, for revisions differ in how they draw them. Labels come in runs,
    as the loss weights count pixels of ids; counters and moments are 0.
    """
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        key = jax.random.key(2)
        return jax.random.split(key, leaf.shape[0]) if leaf.shape else key
    rng = np.random.default_rng(0)
    if name.endswith("labels"):
        size, height, width, channels = leaf.shape
        ids = rng.integers(0, 8, (size, 8, 8, channels))
        rows, columns = (np.arange(side) * 8 // side for side in (height, width))
        return ids[:, rows][:, :, columns].astype(leaf.dtype)
    if "opt_state" in name or jnp.issubdtype(leaf.dtype, jnp.integer):
        return np.zeros(leaf.shape, leaf.dtype)
    if len(leaf.shape) < 2:
        if "params" not in name and "batch_stats" not in name:
            return np.full(leaf.shape, 0.5, leaf.dtype)  # gamma
        ones = name.endswith(("scale", "var"))
        return np.full(leaf.shape, float(ones), leaf.dtype)
    noise = rng.standard_normal(leaf.shape, np.float32)
    return jnp.asarray(0.02 * noise if "params" in name else noise, leaf.dtype)
