"""Small models and official checkpoints of them, written by TensorFlow itself."""

import jax
import numpy as np

from pix2seq_d.config import (
    DecoderConfig,
    EncoderConfig,
    PyramidConfig,
    ResNetConfig,
)
from pix2seq_d.convert import official_names
from pix2seq_d.models import ModelConfig, variable_shapes

MICRO = ModelConfig(
    image_size=(32, 32),
    mask_size=(16, 16),
    resnet=ResNetConfig(depth=26, width=0.125),
    encoder=EncoderConfig(num_layers=2, dim=16, mlp_dim=32, num_heads=2),
    pyramid=PyramidConfig(dim=8),
    decoder=DecoderConfig(
        dim=8,
        channel_multipliers=(1, 2),
        num_res_blocks=(1, 2),
        transformer_dim=16,
        transformer_layers=1,
        head_dim=8,
    ),
)


def abstract(config):
    return variable_shapes(config)


def drawn(config):
    """Variables of which no two arrays are equal."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: rng.standard_normal(x.shape).astype(np.float32), abstract(config)
    )


def official(variables, suffix=""):
    """{official name: array}."""
    arrays = {}
    for module, (name, rules) in official_names.MODULES.items():
        for kind in variables:
            tree = variables[kind].get(module, {})
            for path, array in jax.tree_util.tree_leaves_with_path(tree):
                ours = jax.tree_util.keystr(path, simple=True, separator="/")
                (theirs,) = (r for rule in rules if (r := rule.rename(ours)))
                key = f"model/{name}{suffix}/{theirs}"
                assert key not in arrays
                arrays[key] = array
    return arrays


def write(prefix, arrays):
    """Saves arrays under their names as an object-based checkpoint."""
    import tensorflow as tf

    root = tf.train.Checkpoint()
    for name, array in arrays.items():
        *parents, leaf = name.split("/")
        node = root
        for part in parents:
            if not hasattr(node, part):
                setattr(node, part, tf.train.Checkpoint())
            node = getattr(node, part)
        setattr(node, leaf, tf.Variable(array))
    root.write(str(prefix))
