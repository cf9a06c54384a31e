"""What is done for TPUs alone is worth it, by the TPU compiler.

Where a newer one makes it needless these fail: then it can go.
"""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from pix2seq_d.dry_run import hlo, memory, topology
from pix2seq_d.models import attention_kernel
from pix2seq_d.models.attention_kernel import ByHead, attend
from pix2seq_d.models.decoder import ResidualBlock
from pix2seq_d.models.strips import cut, join
from pix2seq_d.sharding import mesh as meshes


@pytest.fixture(scope="module")
def chips():
    return topology.devices("v5e:2x2")


def cycles(function, *arrays):
    traced = jax.jit(function).trace(*arrays)
    return hlo.estimated_cycles(memory.compile_traced(traced).as_text())


def test_strips_of_one_image_take_less_than_the_image(chips):
    place = SingleDeviceSharding(chips[0])
    block = ResidualBlock(128, 0.0, jnp.bfloat16)

    def run(params, x, time, strips):
        y = block.apply(params, cut(x, strips), time, train=False)
        return join(y, strips)

    def shapes(*sizes, dtype=jnp.bfloat16):
        return jax.ShapeDtypeStruct(sizes, dtype, sharding=place)

    x, time = shapes(1, 128, 128, 256), shapes(1, 512, dtype=jnp.float32)
    params = jax.eval_shape(
        lambda x, time: block.init(jax.random.key(0), x, time, train=False), x, time
    )
    params = jax.tree.map(lambda p: shapes(*p.shape, dtype=p.dtype), params)
    whole, strips = (
        cycles(functools.partial(run, strips=number), params, x, time)
        for number in (1, 8)
    )
    assert strips < 0.7 * whole


@pytest.mark.parametrize("parts", [1, 2])
def test_a_head_after_another_takes_less_than_all_at_once(chips, monkeypatch, parts):
    """Of four chips with eight examples each, or with one of twice the length."""
    place = meshes.over_batch(meshes.make_mesh(chips))
    shape = (32, 1024, 8, 64) if parts == 1 else (4, 2048, 8, 64)
    if parts == 2:
        monkeypatch.setattr(attention_kernel, "_OF_ONE", 10e6)
    query = jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=place)
    assert ByHead(4).parts(*shape[:2], heads=8, keys=shape[1]) == parts

    def with_gradients(query, key, value, back, *, kernel):
        attention = functools.partial(attend, kernel=kernel)
        made, pull = jax.vjp(attention, query, key, value)
        return made, pull(back)

    by_head, at_once = (
        cycles(functools.partial(with_gradients, kernel=kernel), *4 * [query])
        for kernel in (ByHead(4), "xla")
    )
    assert by_head < 0.6 * at_once
