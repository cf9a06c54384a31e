"""ImageNet ResNets from files in torchvision's, timm's and Keras' names."""

import dataclasses

import jax
import ml_dtypes
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from tiny_model import TINY, quick_jit, random_variables

from configs import shapes
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, convert
from pix2seq_d.config import ModelConfig, ResNetConfig
from pix2seq_d.convert import imagenet_resnet
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.models.resnet import ResNet
from pix2seq_d.training import checkpoint

SMALL = dataclasses.replace(TINY, resnet=ResNetConfig(depth=26, width=0.0625))
KERAS_NPZ = "resnet50_imagenet_keras_v1_c4.npz"
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
KERAS_MEAN = np.array([123.68, 116.779, 103.939], np.float32)


def replaced(**fields):
    return dataclasses.replace(
        SMALL, resnet=dataclasses.replace(SMALL.resnet, **fields)
    )


def drawn(config):
    """The backbone's variables, as a network on normalised images has them."""
    variables = random_variables(Pix2SeqD(config))
    own = {kind: tree["encoder"]["resnet"] for kind, tree in variables.items()}
    return jax.tree.map(np.array, own)


def layers(variables, blocks):
    """(group, block, part, convolution and norm of it); the stem is group 0."""
    params, stats = variables["params"], variables["batch_stats"]
    yield 0, 0, "stem", params["stem"], stats["stem"]["norm"]
    for group, count in enumerate(blocks, start=1):
        for block in range(count):
            name = f"group{group}_block{block}"
            for part, own in params[name].items():
                yield group, block, part, own, stats[name][part]["norm"]


def torch_state(variables, config):
    """The arrays as torchvision and timm save them, classifier and all."""
    state = {"fc.weight": np.ones((5, 7), np.float32), "fc.bias": np.ones(5)}
    state["layer4.0.conv1.weight"] = np.ones((4, 4, 1, 1), np.float32)
    for group, block, part, own, stats in layers(variables, config.resnet.blocks):
        conv, norm = "conv1", "bn1"
        if part == "shortcut":
            conv = f"layer{group}.{block}.downsample.0"
            norm = f"layer{group}.{block}.downsample.1"
        elif part != "stem":
            conv = f"layer{group}.{block}.{part}"
            norm = f"layer{group}.{block}.bn{part[-1]}"
        kernel = own["conv"]["kernel"].transpose(3, 2, 0, 1)
        state[f"{conv}.weight"] = np.ascontiguousarray(kernel)
        state[f"{norm}.weight"] = own["norm"]["scale"]
        state[f"{norm}.bias"] = own["norm"]["bias"]
        state[f"{norm}.running_mean"] = stats["mean"]
        state[f"{norm}.running_var"] = stats["var"]
        state[f"{norm}.num_batches_tracked"] = np.array(7)
    return state


def keras_arrays(variables, config):
    """The arrays in the names of Keras' npz, with the last group's."""
    arrays = {"res5a_branch2a/kernel": np.ones((1, 1, 4, 4), np.float32)}
    branches = {"conv1": "2a", "conv2": "2b", "conv3": "2c", "shortcut": "1"}
    for group, block, part, own, stats in layers(variables, config.resnet.blocks):
        name = "conv1"
        if part != "stem":
            letter = "abcdefghijklmnopqrstuvw"[block]
            name = f"res{group + 1}{letter}_branch{branches[part]}"
        for array in (own["conv"], own["norm"], stats):
            arrays |= {f"{name}/{leaf}": value for leaf, value in array.items()}
    return arrays


def resnet_of(loaded):
    return {kind: tree["encoder"]["resnet"] for kind, tree in loaded.variables.items()}


@pytest.fixture(scope="module")
def variables():
    return drawn(SMALL)


@pytest.fixture
def state(variables):
    return torch_state(variables, SMALL)


@pytest.fixture
def torch_file(tmp_path, state):
    save_file(state, tmp_path / "resnet.safetensors")
    return tmp_path / "resnet.safetensors"


@pytest.fixture
def keras_file(tmp_path, variables):
    np.savez(tmp_path / "resnet.npz", **keras_arrays(variables, SMALL))
    return tmp_path / "resnet.npz"


def refusal(path, config=SMALL, error=ValueError):
    """The one line of the refusal, which begins with the file."""
    with pytest.raises(error) as raised:
        imagenet_resnet.load(path, config)
    message = str(raised.value)
    assert "\n" not in message and message.startswith(str(path))
    return message


def test_every_array_comes_from_its_name(tmp_path):
    config = replaced(depth=101)  # with blocks up to w and 22
    variables = drawn(config)
    state = torch_state(variables, config)
    save_file(state, tmp_path / "torchvision.safetensors")
    # timm's names are the same; its models without classifier have no fc.
    state = {name: array for name, array in state.items() if name[:2] != "fc"}
    save_file(state, tmp_path / "timm.safetensors")
    np.savez(tmp_path / "keras.npz", **keras_arrays(variables, config))
    read = {
        file.stem: resnet_of(imagenet_resnet.load(file, config))
        for file in tmp_path.iterdir()
    }
    jax.tree.map(np.testing.assert_array_equal, read["torchvision"], read["timm"])
    for name, epsilon in (("torchvision", 0.0), ("keras", 1e-3 - 1e-5)):
        made = read[name]
        assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(made))
        expected = jax.tree_util.tree_map_with_path(
            lambda path, leaf, e=epsilon: leaf + e if path[-1].key == "var" else leaf,
            variables,
        )
        # The normalisation is in these two; the next test looks at them.
        for tree in (made, expected):
            tree["params"]["stem"].pop("conv")
            tree["batch_stats"]["stem"]["norm"].pop("mean")
        assert jax.tree.structure(made) == jax.tree.structure(expected)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), made, expected
        )


@pytest.mark.parametrize("kind", ["torch", "keras"])
def test_the_stem_takes_plain_images_and_differs_at_the_border_only(
    kind, request, variables
):
    made = resnet_of(
        imagenet_resnet.load(request.getfixturevalue(f"{kind}_file"), SMALL)
    )
    image = np.random.default_rng(1).random((1, 32, 48, 3), np.float32)
    normalised, epsilon = (image - MEAN) / STD, 1e-5
    if kind == "keras":
        normalised, epsilon = 255 * image - KERAS_MEAN, 1e-3
    before = stem(variables, normalised, epsilon=epsilon)
    after = stem(made, image, epsilon=1e-5)
    difference = np.abs(before - after).max((0, 3)) / np.abs(before).max()
    # Outputs 2 i see inputs 2 i - 3 to 2 i + 3.
    border = np.ones(difference.shape, bool)
    border[2:-1, 2:-1] = False
    assert difference[~border].max() < 1e-5
    assert difference[border].min() > 1e-3


def stem(variables, images, *, epsilon):
    """The stem's convolution and norm, before the ReLU."""
    params = variables["params"]["stem"]
    stats = variables["batch_stats"]["stem"]["norm"]
    y = jax.lax.conv_general_dilated(
        images,
        params["conv"]["kernel"],
        window_strides=(2, 2),
        padding=((3, 3), (3, 3)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    y = (np.asarray(y) - stats["mean"]) / np.sqrt(stats["var"] + epsilon)
    return y * params["norm"]["scale"] + params["norm"]["bias"]


def test_half_precision_is_read_as_float32(tmp_path, variables):
    half = jax.tree.map(lambda x: x.astype(np.float16), variables)
    whole = jax.tree.map(lambda x: x.astype(np.float32), half)
    for name, tree in (("half", half), ("whole", whole)):
        save_file(torch_state(tree, SMALL), tmp_path / f"{name}.safetensors")
        np.savez(tmp_path / f"{name}.npz", **keras_arrays(tree, SMALL))
    for suffix in ("safetensors", "npz"):
        a, b = (
            imagenet_resnet.load(tmp_path / f"{name}.{suffix}", SMALL).variables
            for name in ("half", "whole")
        )
        jax.tree.map(np.testing.assert_array_equal, a, b)


def test_c4_of_the_keras_application(shared):
    """conv4_block6_out of keras.applications.ResNet50 with the same arrays.

    The stem's padding differs: zeros are the mean colour there and black here. It
    reaches 10 cells of C4 from above and left, 9 from below and right: of the stem's
    outputs 2 and 1 see it, after the max-pool 2 and 1, and every 3x3 of stride 1 adds
    one, a stride halves: group 1 (three 3x3) 5 and 4, group 2 (stride, then four)
    7 and 6, group 3 (stride, then six) 10 and 9.
    """
    keras = pytest.importorskip("keras")
    folder = shared / "data"
    photo = Image.open(
        folder / "coco_panoptic_sample/sample_data/input_images/000000439180.jpg"
    )
    pixels = np.asarray(photo.convert("RGB"), np.float32)[None, :352, :352]
    config = ModelConfig(resnet=ResNetConfig(stride_in_1x1=True, stem_pool="symmetric"))
    loaded = imagenet_resnet.load(folder / KERAS_NPZ, config)
    c4 = quick_jit(
        lambda own, images: ResNet(config.resnet).apply(own, images, train=False)[2]
    )(resnet_of(loaded), pixels / 255)
    network = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=pixels.shape[1:]
    )
    with np.load(folder / KERAS_NPZ) as arrays:
        set_weights(network, arrays)
    output = network.get_layer("conv4_block6_out").output
    expected = np.asarray(
        keras.Model(network.input, output)(pixels - KERAS_MEAN, training=False)
    )
    assert c4.shape == expected.shape == (1, 22, 22, 1024)
    difference = np.abs(np.asarray(c4) - expected).max((0, 3)) / expected.max()
    print(f"Keras: {difference[10:-9, 10:-9].max():.2e} of the largest value")
    assert difference[10:-9, 10:-9].max() < 1e-4
    assert difference.max() > 1e-2


def set_weights(network, arrays):
    """Fills the layers of the Keras application up to conv4 from the npz."""
    branches = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}
    for layer in network.layers:
        if not layer.weights or layer.name.startswith("conv5"):
            continue
        stage, *rest = layer.name.split("_")
        name = "conv1"
        if rest[0].startswith("block"):
            block = "abcdef"[int(rest[0].removeprefix("block")) - 1]
            name = f"res{stage[-1]}{block}_branch{branches[rest[1]]}"
        if rest[-1] == "conv":
            kernel = arrays[f"{name}/kernel"].astype(np.float32)
            # The npz has the convolution's bias in the norm's mean.
            layer.set_weights([kernel, np.zeros(kernel.shape[-1], np.float32)])
        else:
            # The npz is for epsilon 1e-3, the application has 1.001e-5 today.
            var = arrays[f"{name}/var"] + (1e-3 - layer.epsilon)
            leaves = [arrays[f"{name}/{leaf}"] for leaf in ("scale", "bias", "mean")]
            layer.set_weights([*leaves, var])


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("torch", {}, ["on its 3x3", "in the file and in the model", "2 px"]),
        ("torch", {"stride_in_1x1": True}, ["model.resnet.stride_in_1x1=False"]),
        ("keras", {}, ["first 1x1 (ResNet v1) in", "model.resnet.stride_in_1x1=True"]),
        ("keras", {"stem_pool": "symmetric"}, ["pads every side in the file and in"]),
        ("keras", {"stem_stride": 2}, ["left out", "model.resnet.stem_stride=2"]),
    ],
)
def test_the_notes_tell_the_conventions(kind, fields, said, request):
    config = replaced(**fields)
    file = request.getfixturevalue(f"{kind}_file")
    notes = imagenet_resnet.load(file, config).notes
    assert not any("\n" in note for note in notes)
    for words in (*said, "exact but for the border"):
        assert any(words in note for note in notes)


def rename(state, before, after):
    for name in list(state):
        if name.startswith(before):
            state[after + name.removeprefix(before)] = state.pop(name)


def drop(state, part):
    for name in [name for name in state if part in name]:
        del state[name]


def widen(state):
    for name in list(state):
        if name.startswith("layer1.0.conv2"):
            state[name] = np.concatenate([state[name]] * 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: s.pop("layer2.0.downsample.1.running_var"),
            ["no layer2.0.downsample.1.running_var", "(32,)", "group2_block0/shortcut"],
        ),
        (
            lambda s: rename(s, "conv1.", "conv1.0."),
            ["no conv1.weight", "stem/conv/kernel", "ResNet-D"],
        ),
        (lambda s: rename(s, "", "resnet."), ["no conv1.weight", "other names"]),
        (lambda s: drop(s, "conv3"), ["no layer1.0.conv3.weight", "ResNet-18 and 34"]),
        (
            lambda s: s.update({"layer1.0.se.fc1.bias": np.ones(3, np.float32)}),
            ["no place for its layer1.0.se.fc1.bias", "plain"],
        ),
        (widen, ["layer1.0.conv2.weight", "(8, 4, 3, 3)", "(4, 4, 3, 3)", "no model"]),
        (
            lambda s: s.update({"bn1.bias": np.ones(4, np.int32)}),
            ["bn1.bias has type I32", "float32"],
        ),
        (
            lambda s: s.update({"bn1.bias": np.ones(4, ml_dtypes.bfloat16)}),
            ["bn1.bias has type BF16", "float32"],
        ),
        (
            lambda s: s.update({"bn1.bias": np.full(4, np.inf, np.float32)}),
            ["bn1.bias", "not finite"],
        ),
    ],
)
def test_another_network_is_refused(change, said, state, tmp_path):
    change(state)
    save_file(state, tmp_path / "resnet.safetensors")
    message = refusal(tmp_path / "resnet.safetensors")
    assert all(words in message for words in said)


@pytest.mark.parametrize(
    ("fields", "torch_said", "keras_said"),
    [
        (
            {"depth": 14},
            ["no place for its layer1.1.bn1.bias", "set model.resnet.depth=26"],
            ["no place for its res2b_branch2a/var", "set model.resnet.depth=26"],
        ),
        (
            {"depth": 50},
            ["no layer1.2.conv1.weight", "set model.resnet.depth=26"],
            ["no res2c_branch2a/kernel", "set model.resnet.depth=26"],
        ),
        (
            {"width": 0.125},
            ["conv1.weight", "(4, 3, 7, 7)", "(8, 3, 7, 7)", "width=0.0625"],
            ["conv1/kernel", "(7, 7, 3, 4)", "(7, 7, 3, 8)", "width=0.0625"],
        ),
    ],
)
def test_another_size_names_array_shapes_and_field(
    fields, torch_said, keras_said, torch_file, keras_file
):
    for file, said in ((torch_file, torch_said), (keras_file, keras_said)):
        message = refusal(file, replaced(**fields))
        assert all(words in message for words in said)


def test_a_depth_that_no_config_has(state, tmp_path):
    drop(state, "layer3.1.")
    save_file(state, tmp_path / "resnet.safetensors")
    message = refusal(tmp_path / "resnet.safetensors")
    assert "no layer3.1.conv1.weight" in message
    assert "the file (2, 2, 1): no depth fits" in message


def test_truncated_and_damaged_files(torch_file, keras_file):
    for file in (torch_file, keras_file):
        content = file.read_bytes()
        for size in (0, 5, len(content) // 2, len(content) - 30):
            file.write_bytes(content[:size])
            assert "is truncated or not a" in refusal(file)
    middle = len(content) // 2
    flipped = bytes(255 - b for b in content[middle : middle + 2000])
    file.write_bytes(content[:middle] + flipped + content[middle + 2000 :])
    assert "is damaged" in refusal(file)


def test_files_of_another_kind(tmp_path):
    missing = tmp_path / "resnet50.npz"
    assert "does not exist" in refusal(missing, error=FileNotFoundError)
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(missing)
    assert "not an npz file" in refusal(missing)
    for name, said in (
        ("resnet50.pth", "safetensors.torch.save_file"),
        ("resnet50.bin", "'resnet50.safetensors'"),
        ("resnet50.h5", "res2a_branch2a"),
        ("resnet50", "give an .npz or a .safetensors file"),
    ):
        (tmp_path / name).write_bytes(b"x")
        assert said in refusal(tmp_path / name)


def test_a_model_without_image_encoder(torch_file):
    config = dataclasses.replace(SMALL, conditioning=())
    assert "set model.conditioning" in refusal(torch_file, config)


def test_the_command_makes_a_checkpoint_of_it(tmp_path, micro, capsys):
    config = config_lib.from_config_dict(shapes.get_config("tiny"))
    config = app.override(config, micro, allowed=("",))
    file, output = tmp_path / "resnet.safetensors", tmp_path / "work"
    save_file(torch_state(drawn(config.model), config.model), file)
    argv = ["--config=shapes:tiny", *micro, f"--from={file}", f"--output={output}"]
    assert app.run(convert.main, "convert", argv) == 0
    report = capsys.readouterr().out
    assert "stride is on its 3x3 (the paper, torchvision) in the file" in report
    assert "copied   encoder: " in report and "new      encoder/layer*" in report
    assert "new      decoder" in report
    expected = imagenet_resnet.load(file, config.model).variables
    for weights in ("online", "ema"):
        made = checkpoint.load(output, weights=weights).variables
        made = {kind: tree["encoder"]["resnet"] for kind, tree in made.items()}
        expected_resnet = {k: t["encoder"]["resnet"] for k, t in expected.items()}
        jax.tree.map(np.testing.assert_array_equal, made, expected_resnet)
