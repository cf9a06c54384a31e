"""A state goes onto other devices, and into no other model."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from small_state import abstract_state, assert_equal, save, state_at

from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training.checkpoint_format import CheckpointError
from pix2seq_d.training.store import CheckpointStore


def layouts():
    devices = jax.devices()
    return {
        "1 device": meshes.make_mesh(devices[:1]),
        "8 devices": meshes.make_mesh(),
        "4 x fsdp 2": meshes.make_mesh(fsdp=2),
        "fsdp 8": meshes.make_mesh(fsdp=8),
    }


@pytest.mark.parametrize("before", ["1 device", "8 devices", "fsdp 8"])
def test_a_state_is_restored_onto_any_devices(tmp_path, before):
    with CheckpointStore(tmp_path, keep=1) as store:
        save(store, 5, layouts()[before])
        store.wait()
        for mesh in layouts().values():
            abstract = abstract_state(mesh)
            found = store.restore(abstract, step=5)
            assert_equal(found, state_at(5))
            places = jax.tree.map(lambda leaf: leaf.sharding, found)
            assert places == jax.tree.map(lambda leaf: leaf.sharding, abstract)
    kernel = found.ema["params"]["kernel"]  # of the last layout, fsdp 8
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(32, 8)}


def without_bias(state):
    params = {k: v for k, v in state.ema["params"].items() if k != "bias"}
    return dataclasses.replace(state, ema=state.ema | {"params": params})


def with_scale(state):
    scale = state.variables["params"]["bias"]
    params = state.variables["params"] | {"scale": scale}
    return dataclasses.replace(state, variables=state.variables | {"params": params})


def wider(_):
    return abstract_state(width=72)


def in_half_precision(state):
    def half(leaf):
        return jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16, sharding=leaf.sharding)

    return dataclasses.replace(
        state, variables=jax.tree.map(half, state.variables), ema=state.ema
    )


MISFITS = {
    without_bias: "has ema/params/bias, which the model has not; train",
    with_scale: "lacks variables/params/scale; train",
    wider: r"has variables/batch_stats/mean as float32\[64\], the model as "
    r"float32\[72\] \(and \d+ more\)",
    in_half_precision: r"has variables/batch_stats/mean as float32\[64\], the model as "
    r"bfloat16\[64\]",
}


@pytest.mark.parametrize("change", MISFITS)
def test_arrays_that_do_not_fit_are_named_and_not_skipped(tmp_path, change):
    with CheckpointStore(tmp_path, keep=9) as store:
        save(store, 5)
        store.wait()
        # It is no damage: the one before would fit as little.
        with pytest.raises(CheckpointError, match=MISFITS[change]) as caught:
            store.resume(change(abstract_state()))
        assert f"--config.init.from={tmp_path}" in str(caught.value)
        assert store.steps() == [5]
