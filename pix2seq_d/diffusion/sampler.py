"""DDIM, DDPM and DPM-Solver++(2M) as one `lax.scan` over the steps (spec 3)."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.diffusion import process
from pix2seq_d.diffusion import schedule as schedules
from pix2seq_d.diffusion.schedule import Schedule

METHODS = ("ddim", "ddpm", "ddpm_small", "dpmpp_2m")

_COSINE = schedules.make("cosine")


def time_grid(
    num_steps: int, time_difference: float, start_time: float = 1.0
) -> np.ndarray:
    """The (t, t') of every step: t = 1 - i/N, t' = max(1 - (i + 1 + td)/N, 0).

    Args:
      num_steps: N.
      time_difference: td >= 0; shifts only the target time t'.
      start_time: in (0, 1]; no time is above it, so that the first noise is taken for
        that of this time.
    Returns:
      [N, 2] float32, t from start_time down to 1/N.
    Raises:
      ValueError: num_steps < 1, time_difference < 0 or a start time not in (0, 1].
    Source: spec 3.1, 3.2; start times below 1 are ours.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, not {num_steps}")
    if time_difference < 0:
        raise ValueError(f"time_difference must be >= 0, not {time_difference}")
    if not 0 < start_time <= 1:
        raise ValueError(f"start_time must be > 0 and <= 1, not {start_time}")
    i = np.arange(num_steps)
    t = 1 - i / num_steps
    t_next = np.maximum(1 - (i + 1 + time_difference) / num_steps, 0)
    return np.minimum(np.stack([t, t_next], -1), start_time).astype(np.float32)


def ddim_step(
    xt: jax.Array, x0: jax.Array, *, gamma: jax.Array, gamma_next: jax.Array
) -> jax.Array:
    """sqrt(gamma') x0 + sqrt(1 - gamma') eps, eps that of (xt, x0).

    Args:
      xt: [B, h, w, K] float32 at level gamma.
      x0: [B, h, w, K] float32, the clipped estimate.
      gamma: [B] float32 in [0, 1).
      gamma_next: [B] float32, the level of the result.
    Returns:
      [B, h, w, K] float32 at level gamma_next.
    Source: spec 3.1.
    """
    eps = process.eps_from_x0(xt, x0, gamma=gamma)
    return process.q_sample(x0, eps, gamma=gamma_next)


def multistep_carry(gamma: jax.Array, gamma_next: jax.Array) -> jax.Array:
    """How far DPM-Solver++(2M) carries each estimate on: h / (2 h_last), at most 1.

    With D = x0 + carry (x0 - the estimate before) in the place of x0, `ddim_step` is
    the second-order multistep. h is the way in log(sqrt(gamma / (1 - gamma))) from a
    step's level to its target, h_last that between the last two estimates. A time
    difference makes h long, at t' = 0 endless: therefore at most 1, which is ours.

    Args:
      gamma: [N] float32 in (0, 1), the levels of the steps, not falling.
      gamma_next: [N] float32 in (0, 1], their targets.
    Returns:
      [N] float32; 0 for the first step, and where two levels are the same.
    Source: arXiv 2211.01095, algorithm 2.
    """
    now, target = (0.5 * (jnp.log(g) - jnp.log1p(-g)) for g in (gamma, gamma_next))
    last = jnp.diff(now, prepend=now[:1])
    moves = last > 0
    return jnp.where(
        moves, jnp.minimum((target - now) / jnp.where(moves, 2 * last, 1), 1), 0
    )


def ddpm_step(
    key: jax.Array,
    xt: jax.Array,
    x0: jax.Array,
    *,
    gamma: jax.Array,
    gamma_next: jax.Array,
    small_variance: bool = False,
) -> jax.Array:
    """mean + sqrt(variance) z with alpha = gamma / gamma'.

    mean = (xt - (1 - alpha) / sqrt(1 - gamma) eps) / sqrt(alpha); variance
    1 - alpha, or (1 - alpha) (1 - gamma') / (1 - gamma) with `small_variance`.
    Noise is added at every step, the last included. `key` is one key, or one per
    example [B]; the other arrays are as those of `ddim_step`.

    Source: spec 3.1.
    """
    eps = process.eps_from_x0(xt, x0, gamma=gamma)
    gamma = process.broadcast_gamma(gamma, xt.ndim)
    gamma_next = process.broadcast_gamma(gamma_next, xt.ndim)
    alpha = jnp.clip(jnp.exp(jnp.log(gamma) - jnp.log(gamma_next)), 0.0, 1.0)
    mean = (xt - (1 - alpha) / jnp.sqrt(1 - gamma) * eps) / jnp.sqrt(alpha)
    variance = 1 - alpha
    if small_variance:
        variance *= (1 - gamma_next) / (1 - gamma)
    return mean + jnp.sqrt(variance) * _normal(key, xt)


def _normal(key: jax.Array, like: jax.Array) -> jax.Array:
    if key.ndim:
        return jax.vmap(_normal)(key, like)
    return jax.random.normal(key, like.shape, like.dtype)


def _fold_in(key: jax.Array, step: jax.Array) -> jax.Array:
    if key.ndim:
        return jax.vmap(_fold_in, in_axes=(0, None))(key, step)
    return jax.random.fold_in(key, step)


def sample(
    denoise_fn: Callable[..., jax.Array],
    x_init: jax.Array,
    num_steps: int = 20,
    time_difference: float = 2.0,
    schedule: Schedule = _COSINE,
    method: str = "ddim",
    key: jax.Array | None = None,
    clip: float | None = 0.1,
    self_cond: bool | Literal["x", "eps"] = False,
    return_states: bool = False,
    *,
    start_time: float = 1.0,
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Denoises x_init in `num_steps` steps and returns the last x0 estimate.

    Args:
      denoise_fn: (xt [B, h, w, K], gamma [B]) -> x0 estimate [B, h, w, K];
        with `self_cond` (xt, gamma, previous estimate, zeros at first).
      x_init: [B, h, w, K] float32, standard normal.
      num_steps: number of calls of `denoise_fn`.
      time_difference: asymmetric time difference td (spec 3.2).
      schedule: gamma(t) of `schedule.make`.
      method: `ddim`, `ddpm` (variance 1 - alpha), `ddpm_small` or `dpmpp_2m`
        (second order; what is carried on is clipped likewise).
      key: for the noise of the DDPM methods, one for all or one per example [B]:
        then an example's noise does not depend on the others.
      clip: estimates are clipped to [-clip, clip]; None for no clipping.
      self_cond: whether `denoise_fn` takes the previous estimate: True or `x` for
        the clipped x0, `eps` for the noise that belongs to it (spec 2.7).
      return_states: also return the estimate of every step.
      start_time: of `time_grid`.
    Returns:
      x0 [B, h, w, K], or (x0, states [num_steps, B, h, w, K]).
    Raises:
      ValueError: unknown method or `self_cond`, a DDPM method without key, bad
        step settings.
    Source: spec 3.
    """
    if method not in METHODS:
        raise ValueError(f"unknown sampler {method!r}; choose one of {METHODS}")
    if method in ("ddpm", "ddpm_small") and key is None:
        raise ValueError(f"sampler {method!r} draws noise: pass key=")
    if self_cond not in (False, True, "x", "eps"):
        raise ValueError(f"self_cond={self_cond!r}: choose False, True, 'x' or 'eps'")
    times = jnp.asarray(time_grid(num_steps, time_difference, start_time))
    batch = x_init.shape[:1]
    key = jax.random.key(0) if key is None else key
    keys = jax.vmap(lambda i: _fold_in(key, i))(jnp.arange(num_steps))
    carries = jnp.zeros(num_steps)
    if method == "dpmpp_2m":
        carries = multistep_carry(*schedule(times.T))

    def clipped(x0: jax.Array) -> jax.Array:
        return x0 if clip is None else jnp.clip(x0, -clip, clip)

    def step(carry: tuple, inputs: tuple) -> tuple:
        xt, last_x0, previous = carry
        (t, t_next), step_key, ahead = inputs
        gamma = jnp.broadcast_to(schedule(t), batch)
        gamma_next = jnp.broadcast_to(schedule(t_next), batch)
        if self_cond:
            x0 = denoise_fn(xt, gamma, previous)
        else:
            x0 = denoise_fn(xt, gamma)
        x0 = clipped(x0)
        if method == "ddim":
            x_next = ddim_step(xt, x0, gamma=gamma, gamma_next=gamma_next)
        elif method == "dpmpp_2m":
            carried = clipped(x0 + ahead * (x0 - last_x0))
            x_next = ddim_step(xt, carried, gamma=gamma, gamma_next=gamma_next)
        else:
            x_next = ddpm_step(
                step_key,
                xt,
                x0,
                gamma=gamma,
                gamma_next=gamma_next,
                small_variance=method == "ddpm_small",
            )
        estimate = x0
        if self_cond == "eps":
            estimate = process.eps_from_x0(xt, x0, gamma=gamma)
        return (x_next, x0, estimate), (x0 if return_states else None)

    nothing = jnp.zeros_like(x_init)
    (_, x0, _), states = jax.lax.scan(
        step, (x_init, nothing, nothing), (times, keys, carries)
    )
    return (x0, states) if return_states else x0
