"""How the paper's model starts: every layer by the rule of its kind, loss ln 256."""

import dataclasses
import functools
import itertools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_batch

from pix2seq_d.config import (
    DecoderConfig,
    DiffusionConfig,
    EncoderConfig,
    ResNetConfig,
)
from pix2seq_d.models import ModelConfig, Pix2SeqD, initialisers, variable_shapes
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding import rules
from pix2seq_d.training import step as steps

# What a kind of array starts with: (pattern of its path, rule), the first counts.
RULES = (
    (r".*/resnet/.*/conv3/norm/scale", "zeros"),
    (r".*/(scale|var)", "ones"),
    (r".*/(bias|\w+_bias|mean)", "zeros"),
    (r".*/resnet/.*/conv/kernel", "fan_in normal"),
    (r"params/decoder/(up|down)\d+_block\d+/conv2/kernel", "tiny"),
    (r"params/decoder/output/kernel", "tiny"),
    (r".*attention/\w+_kernel", "glorot of three axes"),
    (r".*/kernel", "glorot"),
)


def rule_of(path):
    return next(rule for pattern, rule in RULES if re.fullmatch(pattern, path))


def limit_of(rule, shape):
    """The limit of the uniform distribution, by the fans as the spec has them."""
    if rule == "glorot of three axes":
        # Keras takes the leading axis for the window of a convolution (spec 4.3).
        fans = shape[0] * shape[1] + shape[0] * shape[2]
    else:
        window = np.prod(shape[:-2])
        fans = window * (shape[-2] + shape[-1])
    scale = 1e-10 if rule == "tiny" else 1.0
    return np.sqrt(6 * scale / fans)


@pytest.fixture(scope="module")
def leaves():
    """(path, array) of the paper's widths, freshly drawn; one layer of each kind."""
    config = ModelConfig(
        resnet=ResNetConfig(depth=14),
        encoder=EncoderConfig(num_layers=1),
        decoder=DecoderConfig(transformer_layers=1),
    )
    variables = Pix2SeqD(config).init(jax.random.key(0))
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), np.asarray(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
    ]


def test_every_layer_starts_as_its_kind_should(leaves):
    seen = set()
    for path, array in leaves:
        rule = rule_of(path)
        seen.add(rule)
        if rule in ("zeros", "ones"):
            assert (array == (rule == "ones")).all(), path
            continue
        n = array.size
        if rule == "fan_in normal":
            deviation = np.sqrt(1 / np.prod(array.shape[:-1]))
            # Cut at two deviations of the normal that was drawn from, which is wider.
            limit = 2 * deviation / 0.87962566
        else:
            limit = limit_of(rule, array.shape)
            deviation = limit / np.sqrt(3)
        # At least five standard errors: no kernel is out by chance.
        assert abs(array.mean()) < 5 * deviation / np.sqrt(n), path
        assert array.std() == pytest.approx(deviation, rel=3.5 / np.sqrt(n)), path
        assert 0.95 * limit < np.abs(array).max() <= limit * (1 + 1e-5), path
    assert seen == {rule for _, rule in RULES}


@pytest.mark.parametrize(
    ("path", "limit"),
    [  # Spec 4.3, box.
        ("params/encoder/layer0/attention/query_kernel", 0.015625),
        ("params/encoder/layer0/attention/out_kernel", 0.026256),
        ("params/decoder/middle/layer0/cross_attention/key_kernel", 0.012758),
        ("params/decoder/middle/layer0/self_attention/out_kernel", 0.036084),
    ],
)
def test_the_limits_of_attention(leaves, path, limit):
    array = dict(leaves)[path]
    assert limit_of(rule_of(path), array.shape) == pytest.approx(limit, rel=1e-4)
    assert np.abs(array).max() == pytest.approx(limit, rel=1e-3)


def test_the_loss_starts_at_the_logarithm_of_the_codes():
    config = dataclasses.replace(
        TINY, bits_per_channel=8, num_classes=134, max_instances=101
    )
    model = Pix2SeqD(config)
    variables = model.init(jax.random.key(0))
    loss, _ = quick_jit(
        functools.partial(steps.batch_loss, model=model, diffusion=DiffusionConfig())
    )(
        variables["params"],
        variables["batch_stats"],
        {name: jnp.asarray(value) for name, value in random_batch(2).items()},
        jax.random.key(1),
    )
    assert float(loss) == pytest.approx(np.log(256), rel=0.01)


def test_a_draw_is_that_of_its_path_and_key_alone():
    drawn = Pix2SeqD(TINY).init(jax.random.key(1))
    more = dataclasses.replace(TINY.encoder, num_layers=2)
    other = Pix2SeqD(dataclasses.replace(TINY, encoder=more)).init(jax.random.key(1))
    again = Pix2SeqD(TINY).init(jax.random.key(2))
    one, two, third = (tree["params"]["encoder"] for tree in (drawn, other, again))
    jax.tree.map(np.testing.assert_array_equal, one["layer0"], two["layer0"])
    kernels = [
        tree[name]["attention"]["query_kernel"]
        for tree, name in ((two, "layer0"), (two, "layer1"), (third, "layer0"))
    ]
    for a, b in itertools.combinations(kernels, 2):
        assert np.isclose(a, b).mean() < 0.1


def test_the_draws_of_a_seed_stay():
    drawn = Pix2SeqD(TINY).init(jax.random.key(0))["params"]
    uniform = drawn["encoder"]["layer0"]["attention"]["query_kernel"]
    normal = drawn["encoder"]["resnet"]["stem"]["conv"]["kernel"]
    found = [*uniform.ravel()[:2], *normal.ravel()[:2]]
    expected = [-0.1292505, -0.1733294, 0.00357338, -0.001574989]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_cannot_be_drawn_is_named():
    with pytest.raises(ValueError, match=r"keys of shape \(2,\): give one"):
        Pix2SeqD(TINY).init(jax.random.split(jax.random.key(0)))
    made = jax.eval_shape(nn.Dense(3).init, jax.random.key(0), jnp.ones((1, 2)))
    with pytest.raises(ValueError, match=r"params/bias: its initialiser is none of"):
        initialisers.draw(made, jax.random.key(0))


def test_devices_share_what_is_drawn():
    mesh = meshes.make_mesh(fsdp=8)
    model = Pix2SeqD(TINY)
    places = jax.tree.map(
        lambda leaf: leaf.sharding, rules.abstract(variable_shapes(TINY), mesh)
    )
    whole = model.init(jax.random.key(0))
    shared = model.init(jax.random.key(0), places)
    jax.tree.map(np.testing.assert_array_equal, whole, shared)
    assert jax.tree.map(lambda leaf: leaf.sharding, shared) == places
    assert any(not place.is_fully_replicated for place in jax.tree.leaves(places))


def test_a_traced_key_is_refused():
    model = Pix2SeqD(TINY)
    for traced in (jax.jit(model.init), lambda key: jax.eval_shape(model.init, key)):
        with pytest.raises(ValueError, match=r"outside of jit and .*variable_shapes"):
            traced(jax.random.key(0))
