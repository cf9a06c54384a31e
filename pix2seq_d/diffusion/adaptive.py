"""DDIM with as many steps as each example needs (ours; the authors' future work).

Every example has a budget of steps, chosen after its first estimate, and stops before
it is spent once its decoded map no longer changes. With one budget and no early stop
it is `sampler.sample`, bit for bit the same times.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.diffusion import process
from pix2seq_d.diffusion.sampler import ddim_step, time_grid
from pix2seq_d.diffusion.schedule import Schedule


def sample(
    denoise_fn: Callable[..., jax.Array],
    x_init: jax.Array,
    *,
    budgets: Sequence[int],
    choose: Callable[[jax.Array], jax.Array],
    decode: Callable[[jax.Array], jax.Array],
    stop_changed: float,
    time_difference: float,
    start_time: float = 1.0,
    schedule: Schedule,
    clip: float | None,
    self_cond: Literal[False, "x", "eps"] = False,
) -> tuple[jax.Array, jax.Array]:
    """Denoises x_init; one `lax.while_loop` that ends with the last example.

    Args:
      denoise_fn: as of `sampler.sample`.
      x_init: [B, h, w, K] float32, standard normal.
      budgets: numbers of steps that an example may get.
      choose: labels of the first estimate [B, h, w, C] -> [B] int, which budget each
        gets. The first step starts from `start_time` whatever the budget.
      decode: x0 [B, h, w, K] -> labels [B, h, w, C] int.
      stop_changed: an example stops when fewer than this share of its pixels decode
        otherwise than one step before; 0 spends the budget.
      time_difference: td of the sampler.
      start_time: of `sampler.time_grid`.
      schedule: gamma(t).
      clip: estimates are clipped to [-clip, clip]; None for no clipping.
      self_cond: as of `sampler.sample`.
    Returns:
      x0 [B, h, w, K], steps [B] int32 that each example took.
    Raises:
      ValueError: no budget, or a bad one.
    Source: spec 3; the stopping rule is ours.
    """
    if not budgets:
        raise ValueError("budgets: give at least one number of steps")
    longest = max(budgets)
    grids = np.zeros((len(budgets), longest, 2), np.float32)
    for row, num_steps in enumerate(budgets):
        grids[row, :num_steps] = time_grid(num_steps, time_difference, start_time)
    grid, limits = jnp.asarray(grids), jnp.asarray(budgets, jnp.int32)

    def estimate(xt: jax.Array, gamma: jax.Array, previous: jax.Array) -> jax.Array:
        x0 = denoise_fn(xt, gamma, previous) if self_cond else denoise_fn(xt, gamma)
        return x0 if clip is None else jnp.clip(x0, -clip, clip)

    def advance(
        xt: jax.Array, x0: jax.Array, times: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The next xt, and what self-conditioning passes on; times [B, 2]."""
        gamma, gamma_next = schedule(times[:, 0]), schedule(times[:, 1])
        fed = process.eps_from_x0(xt, x0, gamma=gamma) if self_cond == "eps" else x0
        return ddim_step(xt, x0, gamma=gamma, gamma_next=gamma_next), fed

    batch = x_init.shape[0]
    x0 = estimate(
        x_init,
        jnp.broadcast_to(schedule(jnp.float32(start_time)), (batch,)),
        jnp.zeros_like(x_init),
    )
    labels = decode(x0)
    budget = choose(labels)
    limit = limits[budget]
    xt, fed = advance(x_init, x0, grid[budget, 0])
    steps = jnp.ones(batch, jnp.int32)

    def goes_on(carry: tuple) -> jax.Array:
        return jnp.any(carry[-1])

    def step(carry: tuple) -> tuple:
        number, xt, fed, x0, labels, steps, active = carry
        times = grid[budget, jnp.minimum(number, longest - 1)]
        new_x0 = estimate(xt, schedule(times[:, 0]), fed)
        new_xt, new_fed = advance(xt, new_x0, times)
        new_labels = decode(new_x0)
        differs = jnp.any(new_labels != labels, axis=-1)
        changed = jnp.mean(differs.astype(jnp.float32), axis=(1, 2))

        def keep(new: jax.Array, old: jax.Array) -> jax.Array:
            shape = (batch,) + (1,) * (new.ndim - 1)
            return jnp.where(active.reshape(shape), new, old)

        steps = steps + active
        goes = active & (number + 1 < limit) & (changed >= stop_changed)
        return (
            number + 1,
            *map(keep, (new_xt, new_fed, new_x0, new_labels), (xt, fed, x0, labels)),
            steps,
            goes,
        )

    start = (jnp.int32(1), xt, fed, x0, labels, steps, limit > 1)
    _, _, _, x0, _, steps, _ = jax.lax.while_loop(goes_on, step, start)
    return x0, steps
