"""The device mesh: batches are split over it, the state is on every device."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def make_mesh(
    # jaxlib has no stubs: pyright takes the class for a variable.
    devices: Sequence[jax.Device] | None = None,  # pyright: ignore[reportInvalidTypeForm]
) -> Mesh:
    """One axis `data` over all devices of all processes, Auto-typed.

    Args:
      devices: devices to take; None takes `jax.devices()`.
    """
    devices = jax.devices() if devices is None else devices
    # jax.make_mesh would default to Explicit axes, under which plain matmuls
    # can raise ShardingTypeError.
    return jax.make_mesh(
        (len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding of the state: a full copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
    """Sharding of a batch: the leading axis split over all devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


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
