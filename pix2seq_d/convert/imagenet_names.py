"""How files of ImageNet ResNets name, lay out and prepare what they hold."""

import dataclasses
import re
import string
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from pix2seq_d.config import ResNetConfig
from pix2seq_d.convert.matching import leaves_of
from pix2seq_d.models.resnet import ResNet

ROOT = "encoder/resnet"  # the backbone's place in the model's variables
_ARRAYS = (
    ("params", "conv/kernel"),
    ("params", "norm/scale"),
    ("params", "norm/bias"),
    ("batch_stats", "norm/mean"),
    ("batch_stats", "norm/var"),
)


@dataclasses.dataclass(frozen=True)
class Origin:
    """One kind of file.

    Attributes:
      name: our layer (`stem`, `group1_block0/conv2`) and array -> the file's name.
      backbone: pattern of the names that need a place in the model; others, as the
        last group and the classifier, are left out.
      block: pattern of the names in a block; its groups are the group and the block.
      to_ours: the file's axes of a kernel in our order, HWIO.
      to_file: our axes in the file's order.
      stride_in_1x1: where a block has its stride.
      epsilon: of the batch-norms.
      mean: per channel of RGB in [0, 1], subtracted from the image.
      std: per channel, what the difference is divided by.
    """

    name: Callable[[str, str], str]
    backbone: str
    block: str
    to_ours: tuple[int, ...]
    to_file: tuple[int, ...]
    stride_in_1x1: bool
    epsilon: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Slot:
    """One array of our backbone and where it comes from."""

    target: str  # our path, `params/encoder/resnet/stem/conv/kernel`
    shape: tuple[int, ...]  # in the file's order of axes
    source: str  # the file's name of it


def slots_of(config: ResNetConfig, origin: Origin) -> list[Slot]:
    """The backbone's arrays in the order of the data flow, a layer's kernel first."""
    made = jax.eval_shape(
        lambda key: ResNet(config).init(key, jnp.zeros((1, 64, 64, 3)), train=False),
        jax.random.key(0),
    )
    shapes = {name: leaf.shape for name, leaf in leaves_of(nn.meta.unbox(made))}
    slots = []
    for layer in _layers(config):
        for kind, array in _ARRAYS:
            shape = shapes[f"{kind}/{layer}/{array}"]
            if array == "conv/kernel":
                shape = tuple(shape[axis] for axis in origin.to_file)
            name = origin.name(layer, array.split("/")[1])
            slots.append(Slot(f"{kind}/{ROOT}/{layer}/{array}", shape, name))
    return slots


def _layers(config: ResNetConfig) -> list[str]:
    layers = ["stem"]
    for group, blocks in enumerate(config.blocks, start=1):
        for block in range(blocks):
            parts = ["conv1", "conv2", "conv3"] + ["shortcut"] * (block == 0)
            layers += [f"group{group}_block{block}/{part}" for part in parts]
    return layers


def _keras_name(layer: str, array: str) -> str:
    if layer == "stem":
        return f"conv1/{array}"
    group, block, part = _parts(layer)
    branch = {"shortcut": "1", "conv1": "2a", "conv2": "2b", "conv3": "2c"}[part]
    return f"res{group + 1}{string.ascii_lowercase[block]}_branch{branch}/{array}"


def _torch_name(layer: str, array: str) -> str:
    kernel = array == "kernel"
    if layer == "stem":
        owner = "conv1" if kernel else "bn1"
    else:
        group, block, part = _parts(layer)
        if part == "shortcut":
            part = f"downsample.{0 if kernel else 1}"
        elif not kernel:
            part = part.replace("conv", "bn")
        owner = f"layer{group}.{block}.{part}"
    leaf = {"bias": "bias", "mean": "running_mean", "var": "running_var"}
    return f"{owner}.{leaf.get(array, 'weight')}"


def _parts(layer: str) -> tuple[int, int, str]:
    """(1, 0, 'conv2') of `group1_block0/conv2`."""
    block, part = layer.split("/")
    group, index = re.findall(r"\d+", block)
    return int(group), int(index), part


# By the kind of file. The normalisations: Keras subtracts means from 0..255 (its
# Caffe port has no division), torchvision and timm divide as well.
ORIGINS = {
    "npz": Origin(
        name=_keras_name,
        backbone=r"(conv1|res[2-4][a-z]_\w+)/",
        block=r"res([2-4])([a-z])_",
        to_ours=(0, 1, 2, 3),
        to_file=(0, 1, 2, 3),
        stride_in_1x1=True,
        epsilon=1e-3,
        mean=(123.68 / 255, 116.779 / 255, 103.939 / 255),
        std=(1 / 255, 1 / 255, 1 / 255),
    ),
    "safetensors": Origin(
        name=_torch_name,
        backbone=r"(?!.*\.num_batches_tracked$)(conv1|bn1|layer[1-3])\.",
        block=r"layer([1-3])\.(\d+)\.",
        to_ours=(2, 3, 1, 0),
        to_file=(3, 2, 0, 1),
        stride_in_1x1=False,
        epsilon=1e-5,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
}
