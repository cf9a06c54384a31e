"""`train --dry_run` and `--topology`: what a training will cost, without data."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import jax

from pix2seq_d import accelerators
from pix2seq_d.config import Config
from pix2seq_d.data import sources
from pix2seq_d.dry_run import fitting, measure, prices, report, sampling, topology
from pix2seq_d.dry_run.memory import DoesNotFit
from pix2seq_d.training import length


def run(config: Config, *, slice_name: str | None, prices_file: str | None) -> int:
    """Compiles the training step and prints what it costs; reads no data.

    Args:
      config: of the training.
      slice_name: TPU slice to compile for, e.g. v5e:4x4; None: the devices at hand.
      prices_file: of `prices.read`; None: no money is printed.
    Returns:
      Exit status: 0, or 1 where the step does not fit in memory.
    """
    known_prices = None if prices_file is None else prices.read(prices_file)
    config, assumed = settle(config)
    for line in assumed:
        print(f"assumed      {line}")
    devices = topology.devices(slice_name) if slice_name else jax.devices()
    program = measure.program_of(config, devices)
    print(report.model(config, program))
    print(report.sampling(sampling.mask_flops(config)), flush=True)
    _say("compiling the training step; a large model takes minutes ...")
    status = _compile(config, devices, slice_name=slice_name)
    print(f"\n{report.outlook(config, known_prices)}")
    return status


def _compile(config: Config, devices: Sequence[Any], *, slice_name: str | None) -> int:
    """Prints what the compiler says; 1 where the step does not fit."""
    try:
        found = measure.measure(config, devices)
    except DoesNotFit as error:
        print(f"\ndoes not fit in memory{fitting.excess(error)}", flush=True)
        fitted = fitting.search(config, devices, error, say=_say)
        if fitted is None:
            print(
                "no setting of train.remat and sharding.fsdp fits: take more devices "
                "or a smaller train.batch_size, or raise train.grad_accumulation"
            )
            return 1
        print(f"it fits with {fitting.text(fitted.config)}:\n")
        print(report.measured(fitted))
        return 1
    print(report.measured(found))
    if slice_name:
        print(f"\n{_fits(found, devices[0].device_kind)}")
    return 0


def settle(config: Config) -> tuple[Config, list[str]]:
    """A config that names all sizes, and what was assumed for lack of the data."""
    assumed, model = [], config.model
    if model.num_classes == 0:
        classes = 2**model.bits_per_channel
        model = dataclasses.replace(model, num_classes=classes)
        config = dataclasses.replace(config, model=model)
        assumed.append(
            f"model.num_classes={classes}, all that the bits hold: the data would say "
            "it; no layer depends on it"
        )
    if config.train.num_epochs or config.optimizer.warmup_epochs:
        source = config.data.source
        if source.name == "shapes":
            images = len(sources.make_source(source, train=True, size=model.image_size))
        else:
            images = COCO_IMAGES
            assumed.append(
                f"{images:,d} training images, as COCO has: lengths are in epochs"
            )
        config = length.with_lengths(config, images)
    return config, assumed


COCO_IMAGES = 118_287  # train2017


def _fits(found: measure.Measured, device_kind: str) -> str:
    known = accelerators.find(device_kind)
    if known is None:
        return "fits in the device's memory"
    needed = found.memory.total / 1e9
    return (
        f"fits: {needed:,.2f} of {known.hbm_gb:,.0f} GB, {known.hbm_gb - needed:,.2f} "
        "GB to spare"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
