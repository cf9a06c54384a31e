"""Time that devices take to sum arrays over all: TPU tori, nodes of GPUs (ours).

Arithmetic on data sheets, no measurement. A sum over N devices (all-reduce) makes each
send 2 (N - 1) / N of the array's bytes, however it is done; what it sends over is the
bandwidth of one direction of all its links. Links of a torus that do not close to rings
carry half of it. Latencies are orders of magnitude, and ours.
"""

import dataclasses
import math

HOP_SECONDS = 1e-6  # from chip to chip in a torus


@dataclasses.dataclass(frozen=True)
class Torus:
    """Chips of a TPU slice; more than a pod holds are slices on the network.

    Attributes:
      accelerator: name in `accelerators`.
      link_bytes: bytes a second that a chip sends over all its links together: half of
        the data sheet's bidirectional bandwidth of a chip.
      network_bytes: bytes a second of a chip's share of the data-center network.
      ring: an axis is a ring where its length is a multiple of this.
      slices: shapes, smallest first, of 1 to as many chips as one slice is used for.
      host_chips: chips of a host.
      host_cores: physical cores of a host, two vCPUs a core; None where no data sheet
        was read.
    """

    accelerator: str
    link_bytes: float
    network_bytes: float
    ring: int
    slices: tuple[tuple[int, ...], ...]
    host_chips: int
    host_cores: int | None

    def shape(self, chips: int) -> tuple[tuple[int, ...], int]:
        """Shape of the slice, and how many such slices make up the chips.

        Raises:
          ValueError: there is no such slice.
        """
        sizes = {math.prod(shape): shape for shape in self.slices}
        if chips in sizes:
            return sizes[chips], 1
        largest = max(sizes)
        if chips % largest:
            raise ValueError(
                f"{self.accelerator}: no slice of {chips} chips; take one of "
                f"{tuple(sizes)} or a multiple of {largest}"
            )
        return sizes[largest], chips // largest

    def sum_seconds(self, size: int, chips: int) -> float:
        """Seconds to sum an array of `size` bytes over the chips, latency left out."""
        shape, slices = self.shape(chips)
        inside = math.prod(shape)
        sides = [side for side in shape if side > 1]
        rings = all(side % self.ring == 0 for side in sides)
        links = self.link_bytes if rings else self.link_bytes / 2
        seconds = _sent(size, inside) / links
        # Between slices each chip sums its part of the array.
        return seconds + _sent(size / inside, slices) / self.network_bytes

    def wait_seconds(self, chips: int) -> float:
        """Seconds to sum a few numbers: there and back along every axis."""
        shape, slices = self.shape(chips)
        hops = sum(
            side // 2 if side % self.ring == 0 else side - 1
            for side in shape
            if side > 1
        )
        return 2 * hops * HOP_SECONDS + (NETWORK_SECONDS if slices > 1 else 0.0)


@dataclasses.dataclass(frozen=True)
class Nodes:
    """GPUs in nodes, each with a link to the network of its own.

    Attributes:
      accelerator: name in `accelerators`.
      link_bytes: bytes a second that a GPU sends within its node.
      network_bytes: bytes a second that a GPU sends to other nodes.
      host_chips: GPUs of a node.
      host_cores: physical cores of a node.
    """

    accelerator: str
    link_bytes: float
    network_bytes: float
    host_chips: int
    host_cores: int | None

    def sum_seconds(self, size: int, chips: int) -> float:
        """Seconds to sum an array of `size` bytes over the GPUs, latency left out.

        Each node sums parts, the nodes sum them over the network, the node gathers.
        """
        inside = min(chips, self.host_chips)
        return (
            _sent(size, inside) / self.link_bytes
            + _sent(size / inside, chips // inside) / self.network_bytes
        )

    def wait_seconds(self, chips: int) -> float:
        """Seconds to sum a few numbers."""
        if chips == 1:
            return 0.0
        return NODE_SECONDS + (NETWORK_SECONDS if chips > self.host_chips else 0.0)


Fabric = Torus | Nodes

NODE_SECONDS = 20e-6  # a small all-reduce within a node
NETWORK_SECONDS = 30e-6  # and over the network


def _sent(size: float, members: int) -> float:
    """Bytes that each member sends in a sum of `size` bytes."""
    return 2 * size * (members - 1) / members


_FLAT = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_CUBES = (
    *((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4), (4, 4, 4), (4, 4, 8)),
    *((4, 8, 8), (8, 8, 8)),
)
# Cloud TPU documentation, pages "TPU v5e", "TPU v6e", "TPU v5p" (read 2026-11-26):
# bidirectional ICI of a chip 400, 800, 1200 GB/s; data-center network 6.4 and 25.6
# Tbit/s a pod of 256, 50 Gbit/s a chip; VMs of 8 chips and 224 vCPUs (v5e), of 4 and
# 208 (v5p). Axes of 16 chips (v5e, v6e) and multiples of 4 (v5p) close to rings.
# NVIDIA DGX H100 and H200 data sheets: NVLink 900 GB/s a GPU in both directions, eight
# GPUs and eight 400 Gbit/s adapters a node, 112 cores.
FABRICS = (
    Torus("TPU v5e", 200e9, 3.125e9, 16, _FLAT, 8, 112),
    Torus("TPU v6e", 400e9, 12.5e9, 16, _FLAT, 8, None),
    Torus("TPU v5p", 600e9, 6.25e9, 4, _CUBES, 4, 104),
    Nodes("H100", 450e9, 50e9, 8, 112),
    Nodes("H200", 450e9, 50e9, 8, 112),
)


def find(accelerator: str) -> Fabric:
    """The fabric of an accelerator, by its name in `accelerators`."""
    return next(one for one in FABRICS if one.accelerator == accelerator)
