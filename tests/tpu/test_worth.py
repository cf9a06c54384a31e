"""What is done for TPUs alone is worth it, by the TPU compiler.

Where a newer one makes it needless these fail: then it can go.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from pix2seq_d.dry_run import hlo, memory, topology
from pix2seq_d.models import attention_kernel
from pix2seq_d.models.attention_kernel import ByHead, attend
from pix2seq_d.models.convolution import convolve
from pix2seq_d.models.decoder import ResidualBlock
from pix2seq_d.models.group_norm import group_norm
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


@pytest.mark.parametrize("parts", [(1, 1), (2, 4)])
def test_a_head_after_another_takes_less_than_all_at_once(chips, monkeypatch, parts):
    """Of four chips with eight examples each, or with one of twice the length."""
    place = meshes.over_batch(meshes.make_mesh(chips))
    shape = (32, 1024, 8, 64) if parts == (1, 1) else (4, 2048, 8, 64)
    if parts == (2, 4):
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


def test_norm_and_silu_as_one_function_take_less_than_the_parts(chips):
    """Between two convolutions, with gradients."""
    dtype, place = jnp.bfloat16, SingleDeviceSharding(chips[0])

    def one(x, scale, shift):
        return group_norm((x,), scale, shift, groups=32, silu=True, dtype=dtype)

    def parts(x, scale, shift):
        norm = nn.GroupNorm(32, epsilon=1e-5, dtype=jnp.float32)
        y = norm.apply({"params": {"scale": scale, "bias": shift}}, x)
        return nn.silu(y).astype(dtype)

    def with_gradients(x, kernel, scale, shift, back, *, norm):
        def run(x, kernel, scale, shift):
            for _ in range(2):
                x = norm(convolve(x, kernel, (1, 1), "SAME"), scale, shift)
            return x

        made, pull = jax.vjp(run, x, kernel, scale, shift)
        return made, pull(back)

    def shapes(*sizes, dtype=dtype):
        return jax.ShapeDtypeStruct(sizes, dtype, sharding=place)

    x, kernel = shapes(8, 128, 128, 128), shapes(3, 3, 128, 128)
    width = shapes(128, dtype=jnp.float32)
    together, apart = (
        cycles(functools.partial(with_gradients, norm=norm), x, kernel, width, width, x)
        for norm in (one, parts)
    )
    assert together < 0.95 * apart
