"""Noise schedules gamma(t): the signal share of x_t; gamma is DDPM's alpha-bar."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Schedule = Callable[[jax.Array], jax.Array]

NAMES = ("cosine", "sigmoid", "linear")

_FLOOR = 1e-9  # the smallest gamma of the clipped schedules (spec 2.2)


def make(
    name: str = "cosine",
    *,
    start: float | None = None,
    end: float | None = None,
    tau: float = 1.0,
) -> Schedule:
    """Makes gamma(t), t in [0, 1] (1 = noise) -> gamma in (0, 1], decreasing.

    cosine without start and end: cos^2(((t + 2e-4) / (1 + 2.5e-4)) pi / 2).
    cosine with either: cos(u pi/2)^(2 tau) between u = start (0) and end (0.5),
    scaled to [0, 1]. sigmoid: logistic(u / tau) between start (-3) and end (3),
    scaled likewise. linear: 1 - t. All but the first are clipped to [1e-9, 1].

    Args:
      name: `cosine`, `sigmoid` or `linear`.
      start: u at t = 0; None for the schedule's default.
      end: u at t = 1; None for the schedule's default.
      tau: temperature; larger means less curved for sigmoid, sharper for cosine.
    Returns:
      A function float32 [...] -> float32 [...].
    Raises:
      ValueError: unknown name, start equal to end, one that the schedule does not
        reach, or an argument that it does not have.
    Source: spec 2.2.
    """
    plain = start is None and end is None
    match name:
        case "cosine" if plain and tau == 1:
            return _simple_cosine
        case "cosine" if plain:
            raise ValueError(f"tau={tau}: cosine has it with start or end; give one")
        case "cosine":
            s, e = _range(start, 0.0, end, 0.5)
            if not (0 <= s <= 1 and 0 <= e <= 1):
                raise ValueError(f"start={s}, end={e}: cosine takes both in 0 ... 1")
            return _rescaled(lambda u: _cosine_power(u, 2 * tau), s, e)
        case "sigmoid":
            s, e = _range(start, -3.0, end, 3.0)
            return _rescaled(lambda u: jax.nn.sigmoid(u / tau), s, e)
        case "linear" if not (plain and tau == 1):
            raise ValueError("linear has no start, end and tau; leave them out")
        case "linear":
            return lambda t: jnp.clip(1.0 - _float32(t), _FLOOR, 1.0)
        case _:
            raise ValueError(f"unknown schedule {name!r}; choose one of {NAMES}")


def _simple_cosine(t: jax.Array) -> jax.Array:
    return jnp.cos((_float32(t) + 2e-4) / (1 + 2.5e-4) * jnp.pi / 2) ** 2


def _cosine_power(u: jax.Array, power: float) -> jax.Array:
    """cos(u pi/2)^power; in float32 the cosine of u = 1 is a little below 0."""
    return jnp.maximum(jnp.cos(u * jnp.pi / 2), 0.0) ** power


def _rescaled(curve: Schedule, start: float, end: float) -> Schedule:
    """gamma(t) = (y(u) - y(end)) / (y(start) - y(end)), u from start to end."""

    def gamma(t: jax.Array) -> jax.Array:
        high, low = curve(jnp.float32(start)), curve(jnp.float32(end))
        y = curve(_float32(t) * (end - start) + start)
        return jnp.clip((y - low) / (high - low), _FLOOR, 1.0)

    return gamma


def _float32(t: jax.Array) -> jax.Array:
    return jnp.asarray(t, jnp.float32)


def _range(
    start: float | None, first: float, end: float | None, last: float
) -> tuple[float, float]:
    """Start and end with their defaults `first` and `last`."""
    start = first if start is None else start
    end = last if end is None else end
    if start == end:
        raise ValueError(f"end={end} is the start too; take another")
    return start, end
