"""What a row costs: arithmetic, and hours of accelerators that are not here."""

import dataclasses

from pix2seq_d import accelerators
from pix2seq_d.accelerators import Accelerator
from pix2seq_d.dry_run import estimate, forward
from pix2seq_d.dry_run.prices import Prices
from pix2seq_d.reproduce import datasets
from pix2seq_d.reproduce.runs import Run

_SHOWN = ("H100", "H200", "TPU v5e", "TPU v5p", "TPU v6e")
DEVICES = tuple(map(accelerators.named, _SHOWN))


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one training or one evaluation.

    Attributes:
      amount: steps, or masks with their sampler steps, for people.
      flops: all of it; None where the number of masks is not known.
    """

    amount: str
    flops: float | None


def training(run: Run) -> Cost:
    """Of the steps of a training; its evaluations are not in it."""
    steps = run.config.train.num_steps
    flops = float(forward.step_flops(run.config)) * steps
    return Cost(f"{steps:,d} steps", flops)


def evaluation(run: Run) -> Cost:
    """Of the masks of an evaluation."""
    data, diffusion = datasets.of_row(run.row), run.config.diffusion
    masks = data.eval_masks
    if run.config.data.source.name == "shapes":
        masks = run.config.data.source.eval_images
    steps = f"{diffusion.num_steps} step{'s' if diffusion.num_steps > 1 else ''}"
    if masks is None:
        return Cost(f"masks of {steps}", None)
    flops = float(masks) * forward.mask_flops(run.config, diffusion.num_steps)
    amount = f"{masks:,d} masks of {steps}"
    if run.config.model.num_cond_frames:
        later, fewer = data.eval_masks_next, diffusion.num_steps_next
        flops += float(later) * forward.mask_flops(run.config, fewer)
        amount += f", {later:,d} later ones of {fewer}"
    return Cost(amount, flops)


def money(flops: float, device: Accelerator, prices: Prices) -> float | None:
    """What those hours cost; None where the file has no price of the device."""
    price = prices.of(device)
    return None if price is None else price * estimate.hours(flops, device)
