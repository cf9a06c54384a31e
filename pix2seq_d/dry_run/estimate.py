"""What a training would take on accelerators that are not here: an estimate."""

from pix2seq_d.accelerators import ACCELERATORS, Accelerator
from pix2seq_d.config import Config
from pix2seq_d.dry_run.prices import Prices
from pix2seq_d.training.throughput import image_flops

# Share of the bfloat16 peak that a step is assumed to reach: convolutions and large
# products reach more, norms and small maps less.
UTILIZATION = 0.4
# Beside every time that is made of it.
MEASURED = "One H200 reached 21% (docs/performance.md): count on twice the time."

# Clock of the TPU compiler's cycles: peak / FLOPs of a cycle, which are 4 units of
# 128 x 128 multiply-adds (v5e), 8 (v4, v5p), or 4 of 256 x 256 (v6e). Ours.
CLOCK_GHZ = {"TPU v4": 1.05, "TPU v5e": 1.5, "TPU v5p": 1.75, "TPU v6e": 1.75}


def device_hours(config: Config, accelerator: Accelerator) -> float:
    """Hours of one device for all steps, at `UTILIZATION` of its peak."""
    flops = image_flops(config.model, config.diffusion) * config.train.batch_size
    return hours(flops * config.train.num_steps, accelerator)


def hours(flops: float, accelerator: Accelerator) -> float:
    """Hours of one device for some arithmetic, at `UTILIZATION` of its peak."""
    return flops / (accelerator.bf16_tflops * 1e12 * UTILIZATION) / 3600


def number(value: float) -> str:
    """For people: two decimals, or two digits where it is less than one."""
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"


def table(config: Config, prices: Prices | None) -> str:
    """Text for people: time on every accelerator that is known, money if prices are.

    Args:
      config: of the training.
      prices: the user's, or None.
    """
    head = (
        f"  {'':12s}{'peak TFLOP/s':>13s}{'memory GB':>11s}{'device-hours':>14s}"
        f"{'days on 1':>11s}{'on 8':>9s}"
    )
    if prices:
        head += f"{prices.currency + ' an hour':>13s}{prices.currency:>11s}"
    lines = [head]
    for accelerator in ACCELERATORS:
        hours = device_hours(config, accelerator)
        line = (
            f"  {accelerator.name:12s}{accelerator.bf16_tflops:13,.0f}"
            f"{accelerator.hbm_gb:11,.0f}{number(hours):>14s}{number(hours / 24):>11s}"
            f"{number(hours / 24 / 8):>9s}"
        )
        price = prices.of(accelerator) if prices else None
        if price is not None:
            line += f"{price:13,.2f}{hours * price:11,.0f}"
        lines.append(line)
    if prices:
        lines.append(f"prices of {prices.date}: {prices.source}")
    return "\n".join(lines)
