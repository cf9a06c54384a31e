"""Peak arithmetic and memory of the accelerators that people train on."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """One device, as JAX counts devices.

    Attributes:
      name: as people say it.
      kinds: pattern of the `device_kind` that JAX reports.
      bf16_tflops: dense bfloat16 peak of the vendor's data sheet, 1e12 FLOP/s.
      hbm_gb: memory, 1e9 bytes.
    """

    name: str
    kinds: str
    bf16_tflops: float
    hbm_gb: float


# Data sheets of NVIDIA (figures "with sparsity" halved) and of Cloud TPU. The first
# pattern that matches counts: the variants stand before the plain names.
ACCELERATORS = (
    Accelerator("B200", r"B200", 2250, 180),
    Accelerator("H200", r"H200", 989, 141),
    Accelerator("H100 PCIe", r"H100 PCIe", 756, 80),
    Accelerator("H100", r"H100", 989, 80),
    Accelerator("A100 80GB", r"A100.*80GB", 312, 80),
    Accelerator("A100 40GB", r"A100", 312, 40),
    Accelerator("L40S", r"L40S", 362, 48),
    Accelerator("L4", r"L4\b", 121, 24),
    Accelerator("TPU v4", r"TPU v4$", 275, 32),
    Accelerator("TPU v5e", r"TPU v5 ?(lite|e)", 197, 16),
    Accelerator("TPU v5p", r"TPU v5p?$", 459, 95),
    Accelerator("TPU v6e", r"TPU v6 ?(lite|e)", 918, 32),
)


def named(name: str) -> Accelerator:
    """The accelerator of that name."""
    return next(one for one in ACCELERATORS if one.name == name)


def find(device_kind: str) -> Accelerator | None:
    """The accelerator that a `device_kind` of JAX means, None where not known."""
    for accelerator in ACCELERATORS:
        if re.search(accelerator.kinds, device_kind):
            return accelerator
    return None
