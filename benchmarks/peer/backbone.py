"""Puts the ImageNet weights of a file into the ResNet of `transformers`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pix2seq_d.convert import weight_files

if TYPE_CHECKING:
    from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)  # of stages 2 to 5
LOADED_STAGES = 3  # the file ends there
_BRANCHES = {"2a": "layer.0", "2b": "layer.1", "2c": "layer.2", "1": "shortcut"}
_PIXEL_MEAN = (123.68, 116.779, 103.939)  # RGB, of the ResNet's file
_BATCH_NORM_EPSILON = 1e-3  # likewise


def backbone_of(model: Any) -> Any:
    """The ResNet in the model."""
    return model.model.pixel_level_module.encoder


def places() -> dict[str, str]:
    """Name of each convolution of the file -> that of its layer in `transformers`."""
    found = {"conv1": "embedder.embedder"}
    for stage, blocks in enumerate(BLOCKS[:LOADED_STAGES]):
        for block in range(blocks):
            for branch, part in _BRANCHES.items():
                if part != "shortcut" or block == 0:
                    name = f"res{stage + 2}{'abcdef'[block]}_branch{branch}"
                    found[name] = f"encoder.stages.{stage}.layers.{block}.{part}"
    return found


def load_resnet(backbone: Any, path: Path) -> "list[nn.Module]":
    """Loads the stem and stages 2 to 4.

    Args:
      backbone: a `transformers` ResNet; changed.
      path: .npz with kernel, scale, bias, mean and var of every convolution.
    Returns:
      The batch-norms that have values of the file.
    """
    import torch

    known = places()
    arrays = weight_files.read(path, lambda name: name.rpartition("/")[0] in known)
    norms = []
    for name, place in known.items():
        layer = backbone.get_submodule(place)
        norm = layer.normalization
        targets = {
            "kernel": layer.convolution.weight,
            "scale": norm.weight,
            "bias": norm.bias,
            "mean": norm.running_mean,
            "var": norm.running_var,
        }
        for key, target in targets.items():
            if f"{name}/{key}" not in arrays:
                raise ValueError(f"{path}: has no {name}/{key}; give a ResNet-50 v1")
            array = arrays[f"{name}/{key}"]
            array = array.transpose(3, 2, 0, 1) if key == "kernel" else array
            if array.shape != tuple(target.shape):
                raise ValueError(f"{path}: {name}/{key} has shape {array.shape}")
            target.data.copy_(torch.from_numpy(array.copy()))
        norm.eps = _BATCH_NORM_EPSILON
        norm.requires_grad_(False)
        norms.append(norm)
    return norms


def normalized(image: "Tensor") -> "Tensor":
    """[B, 3, H, W] in [0, 1] -> what the ResNet of the file expects."""
    import torch

    mean = torch.tensor(_PIXEL_MEAN, device=image.device)
    return 255 * image - mean[:, None, None]
