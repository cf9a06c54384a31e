"""AdamW as the paper uses it, or LAMB: warm-up, decay, clipping, EMA (spec 5.1)."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from pix2seq_d.config import OptimizerConfig
from pix2seq_d.training import encoder_rate


def learning_rate(
    config: OptimizerConfig, *, num_steps: int
) -> Callable[[ArrayLike], jax.Array]:
    """peak step / warmup up to `warmup_steps`, then linear to peak * end_lr_factor.

    Args:
      config: peak, end factor and warm-up.
      num_steps: length of the training; steps count from 0.
    Returns:
      step [] int32 -> learning rate [] float32.
    Source: spec 5.1.
    """
    peak, warmup = config.peak_lr, config.warmup_steps
    decay_steps = max(num_steps - warmup, 1)

    def schedule(step: ArrayLike) -> jax.Array:
        step = jnp.asarray(step, jnp.float32)
        share = jnp.clip((step - warmup) / decay_steps, 0.0, 1.0)
        decayed = peak * (1 - share * (1 - config.end_lr_factor))
        return jnp.where(step < warmup, peak * step / max(warmup, 1), decayed)

    return schedule


def decays(params: Any) -> Any:
    """Tree of bool: whether weight decay acts on a leaf; on kernels only.

    Biases, scales and offsets of norms are not decayed (spec 5.1).
    """

    def is_kernel(path: Any, _: Any) -> bool:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return re.fullmatch(r"(.*/)?(\w+_)?kernel", name) is not None

    return jax.tree_util.tree_map_with_path(is_kernel, params)


def ema_decay(config: OptimizerConfig) -> float | Callable[[jax.Array], jax.Array]:
    """Decay of the moving average; with `ema_warmup` a function of the steps done.

    The average of a short training would else be mostly its first weights.

    Returns:
      ema_decay, or k [] int32 -> min(ema_decay, (1 + k) / (10 + k)) [] float32.
    Source: spec 5.1; the warm-up ours, as in TensorFlow's ExponentialMovingAverage.
    """
    if not config.ema_warmup:
        return config.ema_decay

    def decay(step: jax.Array) -> jax.Array:
        return jnp.minimum(config.ema_decay, (1.0 + step) / (10.0 + step))

    return decay


def make(config: OptimizerConfig, *, num_steps: int) -> optax.GradientTransformation:
    """Global-norm clipping, then AdamW or LAMB with decoupled decay on kernels.

    Args:
      config: which one, and its numbers.
      num_steps: length of the training.
    """
    optimizer = optax.lamb if config.name == "lamb" else optax.adamw
    parts = [
        optax.clip_by_global_norm(config.clip_norm),
        optimizer(
            learning_rate(config, num_steps=num_steps),
            b1=config.b1,
            b2=config.b2,
            eps=config.eps,
            weight_decay=config.weight_decay,
            mask=decays,
        ),
    ]
    factor, layer_decay = config.encoder_lr_factor, config.encoder_layer_decay
    if (factor, layer_decay) != (1, 1):
        parts.append(encoder_rate.scale(factor, layer_decay=layer_decay))
    return optax.chain(*parts)
