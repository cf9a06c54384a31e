"""The device mesh: batches are split over it, the state is everywhere."""

import dataclasses

import jax
import numpy as np
import pytest

from pix2seq_d.sharding import mesh as meshes


def test_the_mesh_takes_all_devices_or_those_given():
    assert meshes.make_mesh().size == len(jax.devices()) == 8
    mesh = meshes.make_mesh(jax.devices()[:2])
    assert mesh.axis_names == ("data", "fsdp")
    assert mesh.devices.tolist() == [[device] for device in jax.devices()[:2]]


def test_two_axes_use_up_the_devices():
    assert dict(meshes.make_mesh(fsdp=2).shape) == {"data": 4, "fsdp": 2}
    assert dict(meshes.make_mesh(data=1, fsdp=8).shape) == {"data": 1, "fsdp": 8}
    with pytest.raises(ValueError, match=r"sharding\.fsdp=3 does not divide the 8 dev"):
        meshes.make_mesh(fsdp=3)
    with pytest.raises(ValueError, match=r"fsdp=2 and sharding\.data=2 does not"):
        meshes.make_mesh(data=2, fsdp=2)


def test_batches_are_split_and_come_back_in_order():
    mesh = meshes.make_mesh(jax.devices()[::-1])
    batch = {"x": np.arange(32).reshape(16, 2), "y": np.arange(16) ** 2}
    placed = meshes.put_batch(batch, mesh)
    assert set(placed) == {"x", "y"}
    for name, value in batch.items():
        shards = placed[name].addressable_shards
        assert {shard.data.shape for shard in shards} == {(2, *value.shape[1:])}
        np.testing.assert_array_equal(meshes.local_rows(placed[name]), value)


def test_the_state_is_on_every_device():
    mesh = meshes.make_mesh()
    placed = jax.device_put(np.arange(8), meshes.replicated(mesh))
    assert [s.data.shape for s in placed.addressable_shards] == [(8,)] * 8


def test_uneven_batches_are_refused():
    mesh = meshes.make_mesh()
    meshes.check_batch_size(16, mesh, field="train.batch_size")
    with pytest.raises(ValueError, match=r"train\.batch_size=12 .* multiple of 8"):
        meshes.check_batch_size(12, mesh, field="train.batch_size")


@dataclasses.dataclass(frozen=True)
class Gpu:
    """What JAX says of a GPU of a node among several."""

    id: int
    slice_index: int
    platform: str = "gpu"
    device_kind: str = "NVIDIA H100"
    process_index: int = 0


def test_a_copy_of_the_state_stays_within_a_node_where_it_fits():
    """jax.make_mesh refuses several nodes of GPUs, and several slices of TPUs."""
    gpus = [Gpu(id=i, slice_index=i // 4) for i in range(8)]
    order = [gpus[i] for i in (5, 0, 3, 6, 1, 4, 7, 2)]

    def nodes(**sharding):
        mesh = meshes.make_mesh(order, **sharding)
        assert sorted(d.id for d in mesh.devices.flat) == list(range(8))
        return [[d.slice_index for d in row] for row in mesh.devices]

    assert nodes() == [[0]] * 4 + [[1]] * 4
    assert nodes(fsdp=2) == [[0, 0], [0, 0], [1, 1], [1, 1]]
    assert nodes(fsdp=4) == [[0] * 4, [1] * 4]
    assert nodes(fsdp=8) == [[0] * 4 + [1] * 4]
    six = [Gpu(id=i, slice_index=i // 2) for i in range(6)]
    with pytest.raises(ValueError, match=r"sharding\.fsdp=3: .* \[2, 2, 2\] devices"):
        meshes.make_mesh(six, fsdp=3)


def test_nodes_may_have_different_numbers_of_devices():
    gpus = [Gpu(id=i, slice_index=int(i > 3)) for i in (5, 0, 4, 3, 2, 1)]
    for fsdp, rows in ((1, 6), (2, 3)):
        mesh = meshes.make_mesh(gpus, fsdp=fsdp)
        assert [d.id for d in mesh.devices.flat] == list(range(6))
        assert mesh.devices.shape == (rows, fsdp)
    for fsdp in (3, 6):
        with pytest.raises(ValueError, match=r"\[2, 4\] devices; take a divisor of 2"):
            meshes.make_mesh(gpus, fsdp=fsdp)
