"""From what the compiler says about a step to images a second and chip-hours (ours)."""

import dataclasses

from pix2seq_d import accelerators
from pix2seq_d.dry_run import estimate
from pix2seq_d.scaling import interconnect, model
from pix2seq_d.scaling.cases import Case
from pix2seq_d.scaling.compiled import Record
from pix2seq_d.scaling.model import Scaled, Step

_SUMMED = ("gradients", "parameters")
_SUMMED_ONCE = ("all-gather", "reduce-scatter")  # half of what an all-reduce sends


@dataclasses.dataclass(frozen=True)
class Predicted:
    """A recipe on some devices: an estimate, nothing was run.

    Attributes:
      step: of one device.
      scaled: the same on all of them.
      images_per_second: of all of them, gradients summed beside the backward pass.
      mfu: model FLOPs over the bfloat16 peak, of the same.
      hours: of the whole recipe.
      device_hours: of all devices.
    """

    step: Step
    scaled: Scaled
    images_per_second: float
    mfu: float
    hours: float
    device_hours: float


def step_of(record: Record, *, chips: int, accelerator: str) -> Step:
    """One chip's step of a compiled training.

    Args:
      record: of `compiled.record`, one with cycles.
      chips: that the batch is split over.
      accelerator: name, one with a known clock.
    """
    return Step(
        seconds=record["cycles"] / (estimate.CLOCK_GHZ[accelerator] * 1e9),
        images=record["batch"] / chips,
        gradient_bytes=sum(
            row["bytes"] // (2 if row["op"] in _SUMMED_ONCE else 1)
            for row in record["traffic"]
            if row["purpose"] in _SUMMED
        ),
        waits=waits(record),
    )


def waits(record: Record) -> int:
    """Sums of a few numbers in a step, see `Step`."""
    rows = (row for row in record["traffic"] if row["purpose"] not in _SUMMED)
    return round(sum(row["operations"] for row in rows))


def of_case(case: Case, record: Record) -> Predicted:
    """A training that was compiled to the end, on its slice."""
    step = step_of(record, chips=case.chips, accelerator=case.accelerator)
    return _predicted(step, record, case.accelerator, case.chips)


def of_gpus(recipe: Record, name: str, devices: int, *, waits: int) -> Predicted:
    """A recipe on GPUs, computing at `estimate.UTILIZATION` of their peak.

    Args:
      recipe: of `compiled.facts`.
      name: of the accelerator.
      devices: that the batch is split over.
      waits: as of `Step`.
    """
    images = recipe["batch"] / devices
    speed = accelerators.named(name).bf16_tflops * 1e12 * estimate.UTILIZATION
    step = Step(
        seconds=images * recipe["image_flops"] / speed,
        images=images,
        gradient_bytes=4 * recipe["parameters"],  # float32, the most it can be
        waits=waits,
    )
    return _predicted(step, recipe, name, devices)


def _predicted(step: Step, recipe: Record, name: str, devices: int) -> Predicted:
    scaled = model.scaled(step, interconnect.find(name), devices)
    images_per_second = recipe["batch"] / scaled.beside
    peak = accelerators.named(name).bf16_tflops * 1e12 * devices
    hours = recipe["num_steps"] * scaled.beside / 3600
    return Predicted(
        step=step,
        scaled=scaled,
        images_per_second=images_per_second,
        mfu=images_per_second * recipe["image_flops"] / peak,
        hours=hours,
        device_hours=hours * devices,
    )
