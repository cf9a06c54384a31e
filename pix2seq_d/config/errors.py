"""The error that a wrong config field raises."""


class ConfigError(ValueError):
    """A config field is wrong; the message names it and the cure in one line."""


def require(condition: bool, message: str) -> None:
    """Raises ConfigError('config field ' + message) unless the condition holds."""
    if not condition:
        raise ConfigError(f"config field {message}")
