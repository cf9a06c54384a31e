"""Weights of every kind, read and carried over to a model."""

import dataclasses

import jax
import numpy as np
import pytest
from official_files import MICRO, drawn, official, write

from pix2seq_d.convert import weights
from pix2seq_d.convert.transfer import transfer


@pytest.fixture(scope="module")
def variables():
    return drawn(MICRO)


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory, variables):
    prefix = tmp_path_factory.mktemp("panoptic") / "ckpt-3"
    ema = jax.tree.map(lambda x: 2 * x, variables)
    write(prefix, official(variables) | official(ema, "_ema"))
    return prefix


@pytest.fixture(scope="module")
def detection(tmp_path_factory, variables):
    prefix = tmp_path_factory.mktemp("detection") / "ckpt-4"
    arrays = {k: v for k, v in official(variables).items() if "/encoder/" in k}
    write(prefix, arrays | {"model/proj_ln/gamma": np.ones(3, np.float32)})
    return prefix


def assert_equal(made, expected):
    jax.tree.map(np.testing.assert_array_equal, made, expected)


def test_official_weights_come_with_their_average(panoptic, variables):
    assert weights.recognise(panoptic) == "official"
    source = weights.read(panoptic, MICRO)
    assert source.parts == ("encoder", "pyramid", "decoder")
    assert "time_scale 1000, bit_scale 0.1" in source.notes[0]
    made = transfer(source, MICRO)
    assert_equal(made.variables, variables)
    assert_equal(made.ema, jax.tree.map(lambda x: 2 * x, variables))
    # Straight on to another stage.
    video = dataclasses.replace(MICRO, num_cond_frames=2)
    (widened,) = transfer(source, video).report.widened
    assert widened[1:] == ((1, 1, 24, 8), (1, 1, 56, 8))


@pytest.mark.parametrize(
    ("wanted", "channels"),
    [
        ({"num_cond_frames": 2}, 56),
        ({"self_conditioning": "x"}, 40),
        ({"num_cond_frames": 1, "self_conditioning": "auto"}, 56),
    ],
)
def test_official_weights_for_a_wider_input(panoptic, variables, wanted, channels):
    target = dataclasses.replace(MICRO, **wanted)
    source = weights.read(panoptic, target)
    assert source.config == MICRO
    assert_equal(source.variables, variables)
    (widened,) = transfer(source, target).report.widened
    assert widened == (
        "params/decoder/input/kernel",
        (1, 1, 24, 8),
        (1, 1, channels, 8),
    )


def test_official_weights_of_a_video_model(tmp_path):
    video = dataclasses.replace(MICRO, num_cond_frames=2)
    variables = drawn(video)
    write(tmp_path / "ckpt-1", official(variables))
    assert_equal(weights.read(tmp_path, video).variables, variables)
    more = weights.read(tmp_path, dataclasses.replace(MICRO, num_cond_frames=3))
    assert more.config == video
    with pytest.raises(ValueError, match=r"56.*24.*; change model\.num_cond_frames"):
        weights.read(tmp_path, MICRO)


def test_official_weights_of_masks_alone(tmp_path, detection):
    alone = dataclasses.replace(MICRO, conditioning=())
    variables = drawn(alone)
    write(tmp_path / "ckpt-1", official(variables))
    decoder = weights.read(tmp_path, MICRO)
    assert decoder.config == alone and decoder.parts == ("decoder",)
    encoder = weights.read(detection, MICRO)
    made = transfer([encoder, decoder], MICRO)
    new = {path.split("/")[3] for path, _ in made.report.new if "/decoder/" in path}
    assert new == {"layer0"}
    assert all("/cross_" in path or "/pyramid/" in path for path, _ in made.report.new)
    assert_equal(
        made.variables["params"]["decoder"]["output"],
        variables["params"]["decoder"]["output"],
    )


def test_official_weights_of_an_unconditional_training(tmp_path, detection, variables):
    """It saves encoder and pyramid too, but its decoder has no cross-attention."""
    arrays = {k: v for k, v in official(variables).items() if "/cross_" not in k}
    write(tmp_path / "ckpt-1", arrays)
    source = weights.read(tmp_path, MICRO)
    assert source.config == dataclasses.replace(MICRO, conditioning=("concat",))
    assert "give a trained encoder too" in source.notes[1]
    encoder = weights.read(detection, MICRO)
    report = transfer([encoder, source], MICRO).report
    assert report.new and all("/cross_" in path for path, _ in report.new)
    alone = dataclasses.replace(MICRO, conditioning=())
    made = transfer(weights.read(tmp_path, alone), alone).variables
    assert set(made["params"]) == {"decoder"}


def test_the_window_of_a_kernel_is_named_first(panoptic):
    patches = dataclasses.replace(
        MICRO,
        bits_per_channel=4,
        max_instances=16,
        num_classes=16,
        decoder=dataclasses.replace(MICRO.decoder, in_strides=2),
    )
    with pytest.raises(ValueError, match=r"change model\.decoder\.in_strides"):
        weights.read(panoptic, patches)
    bits = dataclasses.replace(
        MICRO, bits_per_channel=4, max_instances=16, num_classes=16
    )
    with pytest.raises(ValueError, match=r"conv_in.*model\.bits_per_channel"):
        weights.read(panoptic, bits)


def test_without_an_average_it_starts_at_the_weights(tmp_path, variables):
    write(tmp_path / "ckpt-0", official(variables))
    source = weights.read(tmp_path, MICRO)
    assert "no moving average" in source.notes[1]
    assert_equal(source.ema, variables)


@pytest.mark.parametrize("kind", ["panoptic", "detection"])
def test_the_encoder_of_a_checkpoint(request, variables, kind):
    path = request.getfixturevalue(kind)
    source = weights.read(path, MICRO, encoder_only=True)
    assert source.parts == ("encoder",)
    assert_equal(source.variables["params"]["encoder"], variables["params"]["encoder"])
    ignored = "1 others ignored (model/proj_ln)" if kind == "detection" else "others"
    assert ignored in source.notes[0]
    made = transfer(source, MICRO)
    assert {path.split("/")[1] for path, _ in made.report.copied} == {"encoder"}
    assert {path.split("/")[1] for path, _ in made.report.new} == {"pyramid", "decoder"}
    assert weights.recognise(path) == ("official" if kind == "panoptic" else kind)


def test_what_is_no_weights(tmp_path, detection):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; give a work"):
        weights.read(tmp_path / "nowhere", MICRO)
    with pytest.raises(FileNotFoundError, match="neither a checkpoint of this project"):
        weights.read(tmp_path, MICRO)
    with pytest.raises(ValueError, match="kind='torch': choose one of"):
        weights.read(tmp_path, MICRO, kind="torch")
    with pytest.raises(ValueError, match=r"set model\.conditioning"):
        weights.read(detection, dataclasses.replace(MICRO, conditioning=()))
    with pytest.raises(ValueError, match="safetensors"):
        weights.read(tmp_path / "resnet50.pth", MICRO)
