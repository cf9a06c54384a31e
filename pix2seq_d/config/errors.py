"""The error that a wrong config field raises."""


class ConfigError(ValueError):
    """A config field is wrong; the message names it and the cure in one line."""


def require_range(
    group: str,
    config: object,
    low: float,
    high: float,
    *fields: str,
    open_low: bool = False,
) -> None:
    """Raises ConfigError unless low <= field <= high for every field of a group.

    Args:
      group: the group's name in the config, e.g. `train`.
      config: its dataclass.
      low: smallest value; not allowed itself with `open_low`.
      high: largest value, may be infinite.
      fields: names of the fields.
      open_low: whether `low` itself is refused.
    """
    for field in fields:
        value = getattr(config, field)
        good = (low < value if open_low else low <= value) and value <= high
        least = f"> {low:g}" if open_low else f">= {low:g}"
        most = "" if high == float("inf") else f" and <= {high:g}"
        require(good, f"{group}.{field}={value!r}: take it {least}{most}")


def require_seed(group: str, seed: int) -> None:
    """Raises ConfigError unless a group's seed is in [0, 2**32).

    JAX would take a larger one modulo 2**32, and so that of another seed.
    """
    most = 2**32 - 1
    require(0 <= seed <= most, f"{group}.seed={seed!r}: take it >= 0 and <= {most}")


def require(condition: bool, message: str) -> None:
    """Raises ConfigError('config field ' + message) unless the condition holds."""
    if not condition:
        raise ConfigError(f"config field {message}")
