"""A training step on any number of devices: computing, summing gradients, input (ours).

Weak scaling: each device keeps its images, so that the batch grows with the devices.
"""

import dataclasses

from pix2seq_d.scaling.interconnect import Fabric

# Of the step's computing, what comes after the first gradient is known.
BACKWARD = 2 / 3


@dataclasses.dataclass(frozen=True)
class Step:
    """What one device does in a step, whatever the number of devices.

    Attributes:
      seconds: of computing.
      images: that a device takes.
      gradient_bytes: that all devices sum once a step.
      waits: sums of a few numbers that nothing else can be done beside: batch-norm.
    """

    seconds: float
    images: float
    gradient_bytes: int
    waits: int


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A step on so many devices.

    Attributes:
      devices: number of them.
      sums: seconds in which gradients are summed, if nothing else is done.
      waits: seconds of the sums of a few numbers.
      apart: seconds of a step in which gradients are summed after all computing.
      beside: seconds of a step that sums them beside the backward pass, as far as it
        lasts.
    """

    devices: int
    sums: float
    waits: float
    apart: float
    beside: float


def scaled(step: Step, fabric: Fabric, devices: int) -> Scaled:
    """The step of one device on `devices` of them.

    Raises:
      ValueError: there is no slice of so many.
    """
    sums = fabric.sum_seconds(step.gradient_bytes, devices)
    waits = step.waits * fabric.wait_seconds(devices)
    hidden = min(sums, BACKWARD * step.seconds)
    apart = step.seconds + waits + sums
    return Scaled(devices, sums, waits, apart, apart - hidden)


def efficiency(step: Step, found: Scaled) -> tuple[float, float]:
    """Images a second of a device over those of a device alone: apart, beside."""
    return step.seconds / found.apart, step.seconds / found.beside


# Images a second that one core reads, decodes and augments, by (image side,
# data.resize): docs/results/input_pipeline.md, photos of 640 x 480, one core of the
# machine named there.
PIPELINE = {
    (256, "host"): 83.0,
    (256, "device"): 120.0,
    (1024, "host"): 64.0,
    (1024, "device"): 116.0,
}


def cores(images_per_second: float, *, side: int, resize: str) -> float:
    """Cores that have to prepare so many images a second.

    Args:
      images_per_second: that a device trains on.
      side: of the image, px; one of those measured.
      resize: host or device, as `data.resize`.
    """
    return images_per_second / PIPELINE[side, resize]
