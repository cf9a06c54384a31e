"""How well a training uses its devices."""

import functools

import jax

from pix2seq_d import accelerators
from pix2seq_d.config import Config, DiffusionConfig, ModelConfig
from pix2seq_d.models.summary import summarize
from pix2seq_d.training import matmul_peak


@functools.lru_cache(maxsize=8)
def image_flops(model: ModelConfig, diffusion: DiffusionConfig) -> int:
    """Arithmetic that one image of a batch needs in a training step.

    Convolutions and matrix products, forward once and backward twice: twice the
    multiply-accumulates, times 3. The decoder runs for every noise draw, and without
    its backward pass for the estimates that half of them train with. What `remat`
    computes again is no progress, and is not counted.

    Source: ours; the convention of model FLOPs utilisation (arXiv 2204.02311, app. B).
    """
    parts = summarize(model)
    decoder = sum(part.macs for part in parts if part.module == "decoder")
    others = sum(part.macs for part in parts) - decoder
    estimates = 0 if model.self_conditioning == "none" else decoder // 2
    return 2 * (3 * others + diffusion.noise_draws * (3 * decoder + estimates))


def utilization(config: Config, *, images_per_second: float) -> dict[str, float]:
    """{'mfu', 'matmul_share'}: arithmetic of the steps as a share of two peaks.

    The vendor's bfloat16 peak, and what a matrix product in the training's dtype
    reaches on this device, measured once a process where the memory suffices. {} on
    CPUs and unknown devices.

    Args:
      config: of the training.
      images_per_second: over all devices of all processes.
    """
    device = jax.local_devices()[0]
    known = accelerators.find(device.device_kind)
    if known is None:
        return {}
    flops = images_per_second * image_flops(config.model, config.diffusion)
    each = flops / jax.device_count() / 1e12
    found = {"mfu": each / known.bf16_tflops}
    product = matmul_peak.tflops(device, dtype=config.train.dtype)
    if product is not None:
        found["matmul_share"] = each / product
    return found


def memory() -> dict[str, float]:
    """{'memory_gb', 'peak_memory_gb'} of this process's fullest device.

    In 1e9 bytes; {} on devices that do not say, as CPUs.
    """
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    names = {"memory_gb": "bytes_in_use", "peak_memory_gb": "peak_bytes_in_use"}
    return {
        name: max(device[key] for device in stats) / 1e9
        for name, key in names.items()
        if all(key in device for device in stats)
    }
