"""The device mesh: batches are split over both its axes, the state over `fsdp`."""

import collections
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

# Every device has examples of its own, whatever part of the state it holds.
BATCH_AXES = ("data", "fsdp")


def make_mesh(
    # jaxlib has no stubs: pyright takes the class for a variable.
    devices: Sequence[jax.Device] | None = None,  # pyright: ignore[reportInvalidTypeForm]
    *,
    data: int = -1,
    fsdp: int = 1,
) -> Mesh:
    """Mesh (data, fsdp) over all devices of all processes, Auto-typed.

    Devices of several slices (TPU), or of several nodes (GPU), which JAX calls slices,
    too, share a copy of the state within a slice where it has room for `fsdp`.

    Args:
      devices: devices to take; None takes `jax.devices()`.
      data: devices along `data`; -1: all that `fsdp` leaves.
      fsdp: devices that share one copy of the state.
    Raises:
      ValueError: the axes do not use up the devices, or neither does `fsdp` divide the
        devices of a slice nor these `fsdp`.
    """
    devices = jax.devices() if devices is None else devices
    count = len(devices)
    found = count // fsdp if data == -1 else data
    if found * fsdp != count or found < 1:
        given = "" if data == -1 else f" and sharding.data={data}"
        raise ValueError(
            f"config field sharding.fsdp={fsdp}{given} does not divide the {count} "
            f"devices; take data * fsdp = {count}"
        )
    # Explicit axes, jax.make_mesh's default, let plain matmuls raise ShardingTypeError;
    # it also refuses several slices, and axes that split one of a TPU's torus.
    types = (AxisType.Auto, AxisType.Auto)
    return Mesh(_arranged(devices, found, fsdp), BATCH_AXES, axis_types=types)


def _arranged(devices: Sequence[Any], data: int, fsdp: int) -> np.ndarray:
    """The devices as [data, fsdp]; along `fsdp` near ones, for it exchanges most."""
    sizes = collections.Counter(getattr(d, "slice_index", 0) for d in devices)
    if len(sizes) == 1:
        return mesh_utils.create_device_mesh(
            (data, fsdp), devices, allow_split_physical_axes=True
        )
    size, equal = math.gcd(*sizes.values()), len(set(sizes.values())) == 1
    if size % fsdp == 0 and not equal:  # JAX arranges equal ones only
        rows = sorted(devices, key=lambda d: (d.slice_index, d.id))
        return np.asarray(rows).reshape(data, fsdp)
    if size % fsdp == 0:
        within, across = (size // fsdp, fsdp), (len(sizes), 1)
    elif fsdp % size == 0 and equal:
        within, across = (1, size), (data, fsdp // size)
    else:
        raise ValueError(
            f"config field sharding.fsdp={fsdp}: slices (of GPUs: nodes) have "
            f"{sorted(sizes.values())} devices; take a divisor of {size}"
        )
    return mesh_utils.create_hybrid_device_mesh(
        within, across, devices, allow_split_physical_axes=True
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
    """Sharding of a batch: the leading axis split over all devices."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def put_batch(batch: Any, mesh: Mesh) -> Any:
    """Places this process's share of a batch as part of one global array.

    Args:
      batch: tree of arrays whose leading axis is this process's share.
      mesh: of `make_mesh`.
    """
    sharding = over_batch(mesh)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, x), batch
    )


def check_batch_size(batch_size: int, mesh: Mesh, *, field: str) -> None:
    """Raises ValueError if a global batch does not split evenly over the devices."""
    if batch_size % mesh.size:
        raise ValueError(
            f"{field}={batch_size} does not split over {mesh.size} devices; take a "
            f"multiple of {mesh.size}"
        )


def local_rows(array: Any) -> np.ndarray:
    """The rows of a batch-sharded array that this process holds, in order."""
    shards = sorted(array.addressable_shards, key=lambda s: s.index[0].start or 0)
    return np.concatenate([np.asarray(shard.data) for shard in shards])
