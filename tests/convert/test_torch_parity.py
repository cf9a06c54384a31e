"""Features of torchvision's and timm's own ResNets from their safetensors files.

Skipped where torch, torchvision or timm is not installed (they are no dependency):
`pip install torch torchvision timm`.
"""

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_model import quick_jit

from pix2seq_d.config import ModelConfig, ResNetConfig
from pix2seq_d.convert import imagenet_resnet
from pix2seq_d.models.resnet import ResNet

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def torchvision_model(name):
    return getattr(pytest.importorskip("torchvision").models, name)()


def timm_model(name):
    return pytest.importorskip("timm").create_model(name)


@pytest.mark.parametrize(
    ("make", "name", "depth", "size", "border"),
    [
        (torchvision_model, "resnet50", 50, 352, 10),
        (torchvision_model, "resnet101", 101, 960, 27),
        (timm_model, "resnet26", 26, 352, 10),
        (timm_model, "resnet50", 50, 352, 10),
    ],
)
def test_c4_of_the_library(tmp_path, make, name, depth, size, border):
    """`border`: cells of C4 that see the stem's padding, mean colour there, black here.

    Four of it come with the stride of group 3, one with each of its 3x3.
    """
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = make(name).eval()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.normal_(part.bias, 0.0, 0.1)
            torch.nn.init.normal_(part.running_mean, 0.0, 0.1)
            torch.nn.init.uniform_(part.running_var, 0.5, 1.5)
    state = {name: array.numpy() for name, array in network.state_dict().items()}
    save_file(state, tmp_path / "resnet.safetensors")

    image = np.random.default_rng(0).random((1, size, size, 3), np.float32)
    seen = {}
    network.layer3.register_forward_hook(
        lambda module, given, made: seen.update(c4=made)
    )
    normalised = np.ascontiguousarray(((image - MEAN) / STD).transpose(0, 3, 1, 2))
    with torch.no_grad():
        network(torch.from_numpy(normalised))
    expected = seen["c4"].numpy().transpose(0, 2, 3, 1)

    config = ModelConfig(resnet=ResNetConfig(depth=depth, stem_pool="symmetric"))
    loaded = imagenet_resnet.load(tmp_path / "resnet.safetensors", config)
    own = {kind: tree["encoder"]["resnet"] for kind, tree in loaded.variables.items()}
    c4 = np.asarray(
        quick_jit(
            lambda own, image: ResNet(config.resnet).apply(own, image, train=False)[2]
        )(own, jax.numpy.asarray(image))
    )
    assert c4.shape == expected.shape == (1, size // 16, size // 16, 1024)
    difference = np.abs(c4 - expected).max((0, 3)) / np.abs(expected).max()
    inner = difference[border:-border, border:-border].max()
    print(f"{name}: {inner:.2e} of the largest value")
    assert inner < 1e-5
    assert difference.max() > 1e-2
