"""Looks for a setting of remat and FSDP with which a step fits in memory."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pix2seq_d.config import Config
from pix2seq_d.config.training import REMAT
from pix2seq_d.dry_run import measure, shards
from pix2seq_d.dry_run.measure import Measured
from pix2seq_d.dry_run.memory import DoesNotFit


def search(
    config: Config,
    devices: Sequence[Any],
    failed: DoesNotFit,
    *,
    say: Callable[[str], None],
) -> Measured | None:
    """The first setting that fits, cheapest first; None where none of them does.

    First `train.remat`, which costs arithmetic; then `sharding.fsdp` with it, which
    costs traffic. FSDP settings that cannot save enough are left out uncompiled.

    Args:
      config: that did not fit.
      devices: to compile for.
      failed: how it did not fit.
      say: is told what is tried and what came of it.
    """
    for tried in candidates(config, len(devices)):
        settings = text(tried)
        same_remat = tried.train.remat == config.train.remat
        if not same_remat or _saving(config, tried, devices) >= (
            failed.needed - failed.limit
        ):
            say(f"trying {settings} ...")
            try:
                return measure.measure(tried, devices)
            except DoesNotFit as error:
                config, failed = tried, error
                say(f"{settings} does not fit either{excess(error)}")
    return None


def candidates(config: Config, num_devices: int) -> Iterator[Config]:
    """Settings that need less memory than the config's, in the order to try them."""
    train, sharding = config.train, config.sharding
    stronger = REMAT[REMAT.index(train.remat) + 1 :]
    for remat in stronger:
        yield dataclasses.replace(config, train=dataclasses.replace(train, remat=remat))
    strongest = dataclasses.replace(train, remat=REMAT[-1])
    fsdp = 2 * sharding.fsdp
    while num_devices % fsdp == 0:
        split = dataclasses.replace(sharding, data=-1, fsdp=fsdp)
        yield dataclasses.replace(config, train=strongest, sharding=split)
        fsdp *= 2


def text(config: Config) -> str:
    """The flags that say it."""
    flags = f"--config.train.remat={config.train.remat}"
    if config.sharding.fsdp > 1:
        flags += f" --config.sharding.fsdp={config.sharding.fsdp}"
    return flags


def excess(error: DoesNotFit) -> str:
    """': needs 17.2 of 15.75 GiB, 1.45 GiB too much', or nothing if not known."""
    if not error.needed:
        return ""
    needed, limit = error.needed / 2**30, error.limit / 2**30
    return (
        f": needs {needed:,.2f} of {limit:,.2f} GiB, {needed - limit:,.2f} GiB too much"
    )


def _saving(before: Config, after: Config, devices: Sequence[Any]) -> int:
    """Bytes a device that FSDP saves on the state and its gradients, at most."""
    held = [
        shards.device_bytes(program.state)
        + shards.device_bytes(program.state.variables["params"])
        for program in (
            measure.program_of(before, devices),
            measure.program_of(after, devices),
        )
    ]
    return held[0] - held[1]
