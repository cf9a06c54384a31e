"""ImageNet ResNets -> variables of the backbone, to start a training from.

Two kinds of file, told apart by the suffix:

* `.npz` of Keras' ResNets: `conv1/kernel` HWIO, `conv1/scale`, `bias`, `mean`, `var`,
  then `res2a_branch2a/kernel`, ...: groups 2, 3, 4, blocks a, b, c, ..., branches 2a,
  2b, 2c and 1, the shortcut; the convolutions' biases folded into `mean`. ResNet v1:
  a block's stride is on its first 1x1 convolution.
* `.safetensors` in the names that torchvision and timm share: `conv1.weight` OIHW,
  `bn1.weight`, `bias`, `running_mean`, `running_var`, `layer1.0.conv1.weight`, ...,
  `layer1.0.downsample.0.weight`. The stride is on the 3x3, as in the paper's network.
  Variants without arrays of their own, as timm's `resnetblur50`, cannot be told from
  the plain network.

Both were trained on normalised images with a max-pool that pads every side
(`stem_pool="symmetric"`). The normalisation (x - m) / s goes into the stem, so that
images stay in [0, 1]: the kernel is W / s, the norm's mean is raised by sum(W m / s).
That is exact but for the border: around a normalised image zeros are the mean colour,
around a plain one black. The epsilon of the file's batch-norms goes into their
variances.
"""

import collections
import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax.numpy as jnp
import numpy as np

from pix2seq_d.config import ModelConfig, ResNetConfig
from pix2seq_d.config.model import RESNET_BLOCKS
from pix2seq_d.convert import weight_files
from pix2seq_d.convert.imagenet_names import ORIGINS, ROOT, Origin, Slot, slots_of
from pix2seq_d.models.resnet import BATCH_NORM_EPSILON

Arrays = dict[str, np.ndarray]

_PLAIN = "give a whole, plain ResNet-50 or 101 in this naming"
_STEM_KERNEL = f"params/{ROOT}/stem/conv/kernel"
_STEM_MEAN = f"batch_stats/{ROOT}/stem/norm/mean"


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A backbone from a file.

    Attributes:
      variables: {'params': {'encoder': {'resnet'}}, 'batch_stats': the same}, every
        array from the file, float32; for images in [0, 1].
      notes: one sentence each: where the stride of a block is, how the max-pool
        pads, in the file and in the model, and what the normalisation costs.
    """

    variables: dict[str, Any]
    notes: tuple[str, ...]


def load(path: str | os.PathLike[str], config: ModelConfig) -> Loaded:
    """Reads an ImageNet ResNet.

    Args:
      path: the `.npz` or `.safetensors` file.
      config: depth and width as the file's; stem stride, where a block has its stride
        and the max-pool's padding are free and told in the notes.
    Raises:
      FileNotFoundError: no such file.
      ValueError: a damaged file or one of another kind, or another network than the
        config's: the message names the first array that differs and the field to
        change.
    Source: ours; the network of spec 4.2.
    """
    path = Path(path)
    if not config.conditioning:
        raise ValueError(
            f"{path}: the model has no image encoder to read into; set "
            "model.conditioning to ('concat', 'cross_attention')"
        )
    origin = ORIGINS[weight_files.kind_of(path)]
    read = weight_files.read(path, lambda name: bool(re.match(origin.backbone, name)))
    slots = slots_of(config.resnet, origin)
    problem = _part_problem(set(read), slots, config.resnet, origin)
    problem = problem or _shape_problem(read, slots, config.resnet, origin)
    if problem:
        raise ValueError(f"{path} does not fit the config: {problem}")
    arrays = {slot.target: read[slot.source] for slot in slots}
    return Loaded(_variables(arrays, origin), _notes(config.resnet, origin))


def _variables(arrays: Arrays, origin: Origin) -> dict[str, Any]:
    """Turns kernels, folds normalisation and epsilon in, and makes the tree."""
    leaves: Arrays = {}
    for name, array in arrays.items():
        if name.endswith("/kernel"):
            array = array.transpose(origin.to_ours)
        elif name.endswith("/var"):
            array = array + (origin.epsilon - BATCH_NORM_EPSILON)
        leaves[name] = array
    mean, std = np.array(origin.mean), np.array(origin.std)
    kernel = leaves[_STEM_KERNEL] / std[:, None]
    leaves[_STEM_KERNEL] = kernel
    # The sum is what the stem gives for an image of the mean colour.
    leaves[_STEM_MEAN] = leaves[_STEM_MEAN] + (kernel * mean[:, None]).sum((0, 1, 2))
    made = {name: jnp.asarray(leaf, jnp.float32) for name, leaf in leaves.items()}
    return flax.traverse_util.unflatten_dict(made, sep="/")


def _notes(config: ResNetConfig, origin: Origin) -> tuple[str, ...]:
    places = {True: "first 1x1 (ResNet v1)", False: "3x3 (the paper, torchvision)"}
    stride = f"a block's stride is on its {places[origin.stride_in_1x1]} in the file "
    if config.stride_in_1x1 == origin.stride_in_1x1:
        stride += "and in the model"
    else:
        stride += (
            f"and on its {places[config.stride_in_1x1]} in the model: the weights fit, "
            "the features are the file's only with "
            f"model.resnet.stride_in_1x1={origin.stride_in_1x1}"
        )
    pool = "the max-pool pads every side in the file "
    if config.stem_stride == 2:
        pool += "and is left out in the model (model.resnet.stem_stride=2)"
    elif config.stem_pool == "symmetric":
        pool += "and in the model"
    else:
        pool += (
            "and below and right only in the model: features belong to places 2 px "
            "lower and further right than with model.resnet.stem_pool='symmetric'"
        )
    border = (
        "the normalisation of images is folded into the stem, which is exact but for "
        "the border"
    )
    return stride, pool, border


def _part_problem(
    names: set[str], slots: list[Slot], config: ResNetConfig, origin: Origin
) -> str | None:
    """An array that only the model or only the file has, and what to do about it."""
    lacking = [slot for slot in slots if slot.source not in names]
    beyond = names - {slot.source for slot in slots}
    if lacking:
        slot = lacking[0]
        what = f"it has no {slot.source}, for {slot.target} of shape {slot.shape}"
    elif beyond:
        # Shorter names first: layer3.6 before layer3.10.
        first = min(beyond, key=lambda name: (len(name), name))
        what = f"the model has no place for its {first}"
    else:
        return None
    return f"{what}; {_part_cure(names, config.depth, origin)}"


def _part_cure(names: set[str], depth: int, origin: Origin) -> str:
    if origin.name("stem", "kernel") not in names:
        return f"it has another stem (as ResNet-D) or other names; {_PLAIN}"
    if origin.name("group1_block0/conv3", "kernel") not in names:
        return f"ResNet-18 and 34 have no bottlenecks; {_PLAIN}"
    found = {m.groups() for name in names if (m := re.match(origin.block, name))}
    counts = collections.Counter(group for group, _ in found)
    blocks = tuple(counts[group] for group in sorted(counts))
    if blocks == RESNET_BLOCKS[depth]:
        return _PLAIN
    depths = [other for other in RESNET_BLOCKS if RESNET_BLOCKS[other] == blocks]
    cure = f"no depth fits; {_PLAIN}"
    if depths:
        cure = f"set model.resnet.depth={depths[0]}"
    return (
        f"model.resnet.depth={depth} has {RESNET_BLOCKS[depth]} blocks in its groups, "
        f"the file {blocks}: {cure}"
    )


def _shape_problem(
    arrays: Arrays, slots: list[Slot], config: ResNetConfig, origin: Origin
) -> str | None:
    """The first array of another shape, and what to do about it."""
    slot = _first_misfit(arrays, slots)
    if slot is None:
        return None
    width = arrays[origin.name("stem", "scale")].size / 64
    other = slots_of(dataclasses.replace(config, width=width), origin)
    if _first_misfit(arrays, other) is None:
        cure = f"set model.resnet.width={width:g}"
    else:
        cure = f"no model.resnet.width gives it all its shapes; {_PLAIN}"
    return (
        f"{slot.source} has shape {arrays[slot.source].shape}, {slot.target} needs "
        f"{slot.shape}; {cure}"
    )


def _first_misfit(arrays: Arrays, slots: list[Slot]) -> Slot | None:
    differ = (slot for slot in slots if arrays[slot.source].shape != slot.shape)
    return next(differ, None)
