"""The samplers that `few_steps.py` tries, as three numbers for each step."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from pix2seq_d.diffusion.sampler import multistep_carry, time_grid
from pix2seq_d.diffusion.schedule import Schedule


@dataclasses.dataclass(frozen=True)
class Setting:
    """A sampler; its text is its name.

    Attributes:
      td: time difference, in steps of the grid.
      grid: how the times t are laid, see `times`.
      value: its number.
      carry: `2m` for DPM-Solver++(2M), or how much of the last change of the estimate
        is added to it; below 0 the two are averaged.
    """

    td: float
    grid: str = "uniform"
    value: float = 1.0
    carry: str | float = 0.0

    def __str__(self) -> str:
        name = "2m" if self.carry == "2m" else "ddim"
        grid = "" if self.grid == "uniform" else f" {self.grid}={self.value:g}"
        carry = f" carry={self.carry:g}" if isinstance(self.carry, float) else ""
        return f"{name} td={self.td:g}{grid}{carry if self.carry else ''}"


def tried() -> list[Setting]:
    """All; those that come to the same at some number of steps are run once."""
    made = [Setting(td) for td in (0.0, 1.0, 2.0, 3.0, 5.0)]
    made += [Setting(td, carry="2m") for td in (0.0, 1.0, 2.0, 3.0)]
    made += [Setting(3.0, carry=c) for c in (-0.5, 0.5)]
    made += [Setting(3.0, "power", p) for p in (0.7, 2.0)]
    made += [Setting(3.0, "end", e) for e in (0.3, 0.6)]
    made += [Setting(3.0, "log_snr", 2.0), Setting(3.0, "log_snr", 2.0, "2m")]
    made += [Setting(3.0, "scale", s) for s in (0.9, 0.8, 0.7)]
    made += [Setting(3.0, "scale", 0.8, "2m")]
    made += [Setting(3.0, "start", s) for s in (0.8, 0.7)]
    made += [Setting(3.0, "start", 0.8, "2m")]
    return made


def coefficients(setting: Setting, n: int, schedule: Schedule) -> np.ndarray:
    """(gamma, gamma', carry) of every step, [n, 3] float32."""
    t = times(setting, n, schedule)
    # As the grid's own target, where the grid is uniform; else between its times.
    target = np.interp(np.arange(n) + 1 + setting.td, np.arange(n + 1), np.append(t, 0))
    gamma, gamma_next = (schedule(jnp.asarray(s, jnp.float32)) for s in (t, target))
    if setting.carry == "2m":
        carry = np.asarray(multistep_carry(gamma, gamma_next))
    else:
        carry = np.where(np.arange(n) > 0, setting.carry, 0)
    return np.stack([gamma, gamma_next, carry], -1).astype(np.float32)


def times(setting: Setting, n: int, schedule: Schedule) -> np.ndarray:
    """The times that the decoder is told, [n], not rising."""
    value = setting.value
    uniform = time_grid(n, 0)[:, 0]
    match setting.grid:
        case "uniform":
            return uniform
        case "start":  # `diffusion.start_time`
            return time_grid(n, 0, value)[:, 0]
        case "scale":  # likewise, with the other times drawn down in proportion
            return value * uniform
        case "power":  # above 1 the last steps are the dense ones
            return uniform**value
        case "end":  # the last estimate is made at t = value, not 1 / n
            return np.linspace(1, value, n)
        case "log_snr":  # even in half the log of it, from -value to that of t = 1 / n
            t = np.linspace(1, 0, 10_001)
            gamma = np.clip(schedule(jnp.asarray(t)), 1e-9, 1 - 1e-7)
            known = 0.5 * np.log(gamma / (1 - gamma))
            last = np.interp(1 - 1 / n, 1 - t, known)
            return np.append(1, np.interp(np.linspace(-value, last, n), known, t)[1:])
    raise ValueError(f"unknown grid {setting.grid!r}")
