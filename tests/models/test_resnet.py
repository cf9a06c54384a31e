"""Where a block has its stride and how the stem's max-pool pads."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, random_variables

from pix2seq_d.config import ConfigError, from_config_dict
from pix2seq_d.models import Pix2SeqD, variable_shapes
from pix2seq_d.models.resnet import Bottleneck, ResNet


def stages(variables, images, **fields):
    """C2, C3 and C4 of TINY's backbone with other fields, without the batch axis."""
    resnet = ResNet(dataclasses.replace(TINY.resnet, **fields))
    own = {kind: tree["encoder"]["resnet"] for kind, tree in variables.items()}
    return [np.asarray(s[0]) for s in resnet.apply(own, images, train=False)]


def test_the_first_1x1_of_a_v1_block_takes_every_second_pixel():
    x = jax.random.normal(jax.random.key(0), (2, 8, 12, 6))
    block = Bottleneck(3, 2, project=True)
    variables = nn.meta.unbox(block.init(jax.random.key(1), x, train=False))
    scale = variables["params"]["conv3"]["norm"]["scale"]
    variables["params"]["conv3"]["norm"]["scale"] = jnp.ones_like(scale)
    v1 = block.clone(stride_in_1x1=True).apply(variables, x, train=False)
    dense = block.clone(stride=1).apply(variables, x[:, ::2, ::2], train=False)
    np.testing.assert_allclose(v1, dense, atol=1e-6)
    paper = block.apply(variables, x, train=False)
    assert paper.shape == v1.shape and np.abs(paper - v1).max() > 0.1


def test_the_fields_change_no_variable():
    changed = dataclasses.replace(
        TINY.resnet, stride_in_1x1=True, stem_pool="symmetric"
    )
    config = dataclasses.replace(TINY, resnet=changed)
    shapes = [variable_shapes(c) for c in (TINY, config)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("stride_in_1x1", [False, True])
def test_the_same_pool_sees_the_image_two_pixels_further_on(stride_in_1x1):
    variables = random_variables(Pix2SeqD(TINY))
    scene = np.random.default_rng(0).random((1, 130, 130, 3), np.float32)
    options = dict(stride_in_1x1=stride_in_1x1)
    same = stages(variables, scene[:, :128, :128], **options)
    moved = stages(variables, scene[:, 2:, 2:], stem_pool="symmetric", **options)
    unmoved = stages(variables, scene[:, :128, :128], stem_pool="symmetric", **options)
    # With one block a group what lies beyond the border reaches 3 cells of each stage.
    for a, b, c in zip(same, moved, unmoved, strict=True):
        inner = (slice(3, -3),) * 2
        largest = np.abs(a).max()
        assert np.abs(a[inner] - b[inner]).max() < 1e-5 * largest
        assert np.abs(a[inner] - c[inner]).max() > 1e-2 * largest


def test_an_unknown_pool_is_refused():
    with pytest.raises(
        ConfigError, match=r"^config field model\.resnet\.stem_pool='x'"
    ):
        from_config_dict({"model": {"resnet": {"stem_pool": "x"}}})
