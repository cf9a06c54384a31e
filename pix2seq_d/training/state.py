"""The training state and its exponential moving average."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that a training step changes.

    Attributes:
      step: [] int32, optimizer steps done.
      variables: {'params', 'batch_stats'}, float32.
      ema: moving average of all `variables`, batch-norm statistics included.
      opt_state: of the optimizer.
    """

    step: jax.Array
    variables: Any
    ema: Any
    opt_state: Any


def fresh(variables: Any, *, optimizer: optax.GradientTransformation) -> TrainState:
    """State at step 0; the average starts at the weights (spec 5.1)."""
    # A copy: donating a state that holds one buffer twice fails.
    return of(variables, jax.tree.map(jnp.copy, variables), optimizer=optimizer)


def of(
    variables: Any, ema: Any, *, optimizer: optax.GradientTransformation
) -> TrainState:
    """State at step 0 with given weights; `ema` must not share their buffers."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        ema=ema,
        opt_state=jax.jit(optimizer.init)(variables["params"]),
    )


def update_ema(ema: Any, variables: Any, *, decay: ArrayLike) -> Any:
    """Decay * ema + (1 - decay) * variables, leaf by leaf (spec 5.1)."""
    return optax.incremental_update(variables, ema, step_size=1.0 - decay)
