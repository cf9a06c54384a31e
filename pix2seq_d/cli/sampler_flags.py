"""Flags that overrule the sampler of a checkpoint."""

from absl import flags

from pix2seq_d.diffusion.sampler import METHODS

NAMES = ("sampler", "time_difference", "start_time")


def define(values: flags.FlagValues) -> None:
    """Adds the flags; what they may be is the config's to say."""
    flags.DEFINE_enum(
        "sampler",
        None,
        list(METHODS),
        "The checkpoint's by default.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "time_difference",
        None,
        "Of the sampler's steps; the checkpoint's by default.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "start_time",
        None,
        "Highest time of the sampler; when below 1: docs/results/few_steps.md. The "
        "checkpoint's by default.",
        flag_values=values,
    )


def given(values: flags.FlagValues) -> dict[str, str | float | None]:
    """Fields of the config's `diffusion`; None where a flag was not given."""
    return {name: values[name].value for name in NAMES}
