"""Layers: initial scales, positional codes, norms, drop-path, reshapes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, with_decoder

from pix2seq_d.config import EncoderConfig, PyramidConfig
from pix2seq_d.models import Pix2SeqD, embeddings, initialisers, layers
from pix2seq_d.models.group_norm import GroupNorm
from pix2seq_d.models.pyramid import FeaturePyramid


def test_golden_sinusoid():
    made = embeddings.sinusoid(jnp.array([3.0]), 8)
    expected = [0.141120, 0.295520, 0.029996, 0.003]
    expected += [-0.989992, 0.955336, 0.999550, 0.999996]
    assert made.shape == (1, 8)
    np.testing.assert_allclose(made[0], expected, atol=1e-6)


def test_golden_grid_codes():
    made = embeddings.grid_codes(16, 16, 512)
    assert made.shape == (256, 512)
    assert made.dtype == np.float32
    channels = [0, 1, 128, 129, 256, 257, 384, 385]
    expected = [0.40673664, 0.38000074, 0.91354546, 0.92498618]
    expected += [0.74314482, 0.70299087, 0.66913062, 0.71119887]
    np.testing.assert_allclose(made[1 * 16 + 2, channels], expected, atol=1e-6)


def test_grid_codes_are_row_major_with_rows_first():
    codes = embeddings.grid_codes(2, 4, 8).reshape(2, 4, 8)
    assert (codes[:, :, :4] == codes[:, :1, :4]).all()
    assert (codes[:, :, 4:] == codes[:1, :, 4:]).all()
    # Coordinate 0 is sin 0 = 0, cos 0 = 1; the last one a full turn.
    np.testing.assert_array_equal(codes[0, 0], [0, 0, 1, 1, 0, 0, 1, 1])
    np.testing.assert_allclose(codes[1, 3, [0, 2, 4, 6]], [0, 1, 0, 1], atol=1e-6)


@pytest.mark.parametrize("size", [(1, 5), (5, 1)])
def test_a_line_uses_the_one_dimensional_code(size):
    made = embeddings.grid_codes(*size, 8)
    u = jnp.linspace(0, 6.2831852, 5)
    np.testing.assert_allclose(made, embeddings.sinusoid(u, 8), atol=1e-5)


def test_odd_widths_have_no_code():
    with pytest.raises(ValueError, match="even width, not 7"):
        embeddings.sinusoid(jnp.zeros(1), 7)


@pytest.mark.parametrize(
    ("heads", "head_dim", "projection", "output"),
    [(16, 32, 0.015625, 0.026256), (8, 64, 0.012758, 0.036084)],
)
def test_attention_starts_with_the_limits_of_the_reference(
    heads, head_dim, projection, output
):
    attention = layers.Attention(heads, head_dim)
    key = jax.random.key(0)
    boxed = jax.eval_shape(attention.init, key, jnp.zeros((1, 2, 512)))
    params = initialisers.draw(boxed["params"], key)
    assert params["query_kernel"].shape == (512, heads, head_dim)
    assert params["out_kernel"].shape == (heads, head_dim, 512)
    assert not params["query_bias"].any()
    limits = {f"{name}_kernel": projection for name in ("query", "key", "value")}
    for name, limit in {**limits, "out_kernel": output}.items():
        kernel = np.asarray(params[name])
        # A uniform distribution has the deviation limit / sqrt(3).
        assert np.std(kernel) == pytest.approx(limit / np.sqrt(3), rel=0.01)
        assert np.abs(kernel).max() == pytest.approx(limit, rel=1e-3)


def test_attention_averages_the_values_of_its_memory():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    memory = rng.normal(size=(2, 5, 6)).astype(np.float32)
    shapes = {"query": (4, 2, 3), "key": (6, 2, 3), "value": (6, 2, 3)}
    shapes["out"] = (2, 3, 4)
    p = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    params = {f"{n}_kernel": kernel for n, kernel in p.items()}
    params |= {f"{n}_bias": np.full((2, 3), 0.1, np.float32) for n in shapes}
    params["out_bias"] = np.full(4, 0.3, np.float32)
    made = layers.Attention(2, 3).apply({"params": params}, x, memory)
    expected = np.full((2, 3, 4), 0.3)
    for head in range(2):
        q = x @ p["query"][:, head] + 0.1
        k = memory @ p["key"][:, head] + 0.1
        v = memory @ p["value"][:, head] + 0.1
        share = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(3))
        share /= share.sum(-1, keepdims=True)
        expected += share @ v @ p["out"][head]
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


def test_tiny_kernels_are_glorot_times_1e_5():
    kernel = initialisers.tiny.draw(np.random.default_rng(0), (3, 3, 64, 64))
    limit = 1e-5 * np.sqrt(6 / (9 * 128))
    assert np.std(kernel) == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert np.abs(kernel).max() <= limit


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(512, 32), (128, 32), (64, 16), (8, 2), (2, 1), (36, 9), (132, 4)],
)
def test_group_norm_has_a_quarter_of_the_channels_as_groups(channels, groups):
    x = jax.random.normal(jax.random.key(0), (2, 3, 5, channels))
    made, variables = GroupNorm().init_with_output(jax.random.key(1), x)
    norm = nn.GroupNorm(groups, epsilon=1e-5)
    np.testing.assert_allclose(made, norm.apply(variables, x), rtol=1e-5, atol=1e-6)


def test_feed_forward_uses_the_exact_gelu():
    identity = {"kernel": jnp.eye(3), "bias": jnp.zeros(3)}
    mlp = layers.FeedForward(3, 0.0)
    x = jnp.array([[[-1.0, 0.5, 2.0]]])
    made = mlp.apply({"params": {"in": identity, "out": identity}}, x, train=False)
    # The tanh approximation differs by up to 5e-4.
    np.testing.assert_allclose(
        made[0, 0], [-0.15865525, 0.34573123, 1.9544997], atol=1e-6
    )


def test_depth_to_space_orders_channels_as_row_column_channel():
    made = layers.depth_to_space(jnp.arange(12.0).reshape(1, 1, 1, 12), 2)
    expected = [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    np.testing.assert_array_equal(made[0], expected)


def test_the_encoder_defaults_are_those_of_the_paper():
    assert EncoderConfig() == EncoderConfig(12, 512, 2048, 16, 0.1, 0.1)


@pytest.mark.parametrize(
    ("mask", "blocks", "channels"),
    [
        ((16, 32), {"block0", "block1", "block2"}, 4),
        ((8, 16), {"block1", "block2"}, 8),  # C2 has the size of the mask
        ((4, 8), {"block2"}, 12),  # C2 is larger and passed over
    ],
)
def test_the_pyramid_ends_at_the_size_of_the_mask(mask, blocks, channels):
    maps = [
        jax.ShapeDtypeStruct((2, 8, 16, 8), jnp.float32),
        jax.ShapeDtypeStruct((2, 4, 8, 12), jnp.float32),
        jax.ShapeDtypeStruct((2, 2, 4, 16), jnp.float32),
    ]
    pyramid = FeaturePyramid(PyramidConfig(dim=4), mask)
    fused, variables = jax.eval_shape(pyramid.init_with_output, jax.random.key(0), maps)
    assert fused.shape == (2, *mask, channels)
    assert set(variables["params"]) == blocks


def test_a_mask_that_no_integer_factor_reaches_is_refused():
    maps = [jnp.zeros((1, 4, 8, 8)), jnp.zeros((1, 2, 4, 8))]
    pyramid = FeaturePyramid(PyramidConfig(dim=4), (10, 20))
    with pytest.raises(ValueError, match=r"4x8 cannot be upsampled to 10x20"):
        jax.eval_shape(pyramid.init, jax.random.key(0), maps)


def test_groups_of_the_decoders_norms():
    """Those of the reference where the widths differ (its transunet.py)."""
    config = with_decoder(
        TINY, dim=32, channel_multipliers=(2, 3), transformer_dim=64, head_dim=8
    )
    groups = {}

    def record(call, args, kwargs, context):
        norm = context.module
        if isinstance(norm, GroupNorm) and context.method_name == "__call__":
            channels = sum(part.shape[-1] for part in args)
            groups["/".join(norm.path)] = norm.groups(channels)
        return call(*args, **kwargs)

    with nn.intercept_methods(record):
        # Not those of `variable_shapes`, which traces once for each config.
        boxed = jax.eval_shape(Pix2SeqD(config).boxed_init, jax.random.key(0))
        params = nn.meta.unbox(boxed)["params"]
    decoder = params["decoder"]
    assert decoder["input"]["kernel"].shape[-1] == 64  # the first level's width
    assert groups["input_norm"] == 16
    assert decoder["output_norm"]["scale"].shape == (64,)
    assert groups["output_norm"] == 8  # of dim, 32
    assert decoder["middle"]["input_norm"]["scale"].shape == (96,)
    assert groups["middle/input_norm"] == 16  # of the transformer's width, 64
    assert groups["middle/output_norm"] == 16
    assert groups["down1_block0/norm1"] == 16
    assert groups["down1_block0/norm2"] == 24
