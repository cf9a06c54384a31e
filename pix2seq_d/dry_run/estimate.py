"""What a training would take on accelerators that are not here: an estimate."""

from pix2seq_d.accelerators import ACCELERATORS, Accelerator
from pix2seq_d.config import Config
from pix2seq_d.training.throughput import image_flops

# Share of the bfloat16 peak that a step is assumed to reach: convolutions and large
# products reach more, norms and small maps less.
UTILIZATION = 0.4

# US dollars an hour for one device, on demand. GPUs: AWS, us-east-1, as read in 2026
# (p5en in August; p5, p4de and p4d in November), one of 8 of an instance. TPU v5e:
# Google Cloud, us-west4, as the catalogue of SkyPilot had it. The others: not known.
DOLLARS = {
    "H200": 7.91,
    "H100": 6.88,
    "A100 80GB": 3.43,
    "A100 40GB": 2.74,
    "TPU v5e": 1.20,
}

# Clock of the TPU compiler's cycles: peak / FLOPs of a cycle, which are 4 units of
# 128 x 128 multiply-adds (v5e), 8 (v4, v5p), or 4 of 256 x 256 (v6e). Ours.
CLOCK_GHZ = {"TPU v4": 1.05, "TPU v5e": 1.5, "TPU v5p": 1.75, "TPU v6e": 1.75}


def device_days(config: Config, accelerator: Accelerator) -> float:
    """Days of one device for all steps, at `UTILIZATION` of its peak."""
    flops = image_flops(config.model, config.diffusion) * config.train.batch_size
    seconds = flops / (accelerator.bf16_tflops * 1e12 * UTILIZATION)
    return seconds * config.train.num_steps / 86400


def number(value: float) -> str:
    """Days for people: two decimals, or two digits where it is less than one."""
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"


def table(config: Config) -> str:
    """Text for people: time and cost on every accelerator that is known."""
    lines = [
        f"  {'':12s}{'peak TFLOP/s':>13s}{'memory GB':>11s}{'days on 1':>11s}"
        f"{'on 8':>9s}{'USD an hour':>13s}{'USD':>11s}"
    ]
    for accelerator in ACCELERATORS:
        days = device_days(config, accelerator)
        dollars = DOLLARS.get(accelerator.name)
        price = f"{dollars:.2f}" if dollars else "not known"
        cost = f"{days * 24 * dollars:,.0f}" if dollars else "-"
        lines.append(
            f"  {accelerator.name:12s}{accelerator.bf16_tflops:13,.0f}"
            f"{accelerator.hbm_gb:11,.0f}{number(days):>11s}{number(days / 8):>9s}"
            f"{price:>13s}{cost:>11s}"
        )
    return "\n".join(lines)
