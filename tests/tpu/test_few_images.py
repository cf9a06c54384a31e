"""What is done for chips with few images is worth it, by the TPU compiler.

Where a newer one makes it needless these fail: then it can go.
"""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from pix2seq_d.dry_run import hlo, memory, topology
from pix2seq_d.models.attention_kernel import Blocks, _by_blocks, attend
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


def test_heads_as_examples_take_less_than_one_example_a_chip(chips):
    place = meshes.over_batch(meshes.make_mesh(chips))
    query = jax.ShapeDtypeStruct((4, 2049, 8, 64), jnp.bfloat16, sharding=place)
    kernel = Blocks(4)
    size = kernel.queries(4, 2049, heads=8, keys=2049)
    assert size < 2049
    heads, examples = (
        cycles(attention, query, query, query)
        for attention in (
            functools.partial(attend, kernel=kernel),
            functools.partial(_by_blocks, size=size),
        )
    )
    assert heads < 0.7 * examples
