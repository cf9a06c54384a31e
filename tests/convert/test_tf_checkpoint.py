"""The converter on checkpoints that TensorFlow writes here, whole and broken."""

import dataclasses
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from official_files import MICRO, abstract, drawn, official, write

from pix2seq_d.convert import tf_checkpoint
from pix2seq_d.models import ModelConfig


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


@pytest.fixture
def copied(panoptic, tmp_path):
    """A copy of the panoptic checkpoint to break."""
    for file in panoptic.parent.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / panoptic.name


def data_file(prefix):
    return prefix.with_name(prefix.name + ".data-00000-of-00001")


def index_file(prefix):
    return prefix.with_name(prefix.name + ".index")


def assert_equal(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def refusal(error, *args, call=tf_checkpoint.load, **kwargs):
    """The one line of the refusal."""
    with pytest.raises(error) as raised:
        call(*args, **kwargs)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_online_and_ema_weights_fill_every_array(panoptic, variables):
    online = tf_checkpoint.load(panoptic, MICRO, weights="online")
    assert_equal(online, variables)
    assert all(x.dtype == np.float32 for x in jax.tree.leaves(online))
    ema = tf_checkpoint.load(panoptic, MICRO)
    assert_equal(ema, jax.tree.map(lambda x: 2 * x, variables))


def test_the_paper_model_has_a_name_for_every_array():
    # `official` fails at an array with no name, with two, or with another's.
    shapes = abstract(ModelConfig())
    assert len(official(shapes)) == len(jax.tree.leaves(shapes))


def test_a_checkpoint_is_found_by_folder_prefix_and_file(panoptic, copied, variables):
    for path in (panoptic.parent, index_file(panoptic), data_file(panoptic)):
        assert_equal(tf_checkpoint.load(path, MICRO, weights="online"), variables)
    # Of several, the trainer's note names one, perhaps by another machine's path.
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{copied}{suffix}", copied.with_name(f"ckpt-9{suffix}"))
    assert "several" in refusal(ValueError, copied.parent, MICRO)
    note = 'model_checkpoint_path: "/elsewhere/ckpt-3"\nall_model_checkpoint_paths: "x"'
    (copied.parent / "checkpoint").write_text(note)
    index_file(copied.with_name("ckpt-9")).write_bytes(b"")
    loaded = tf_checkpoint.load(copied.parent, MICRO, weights="online")
    assert_equal(loaded, variables)


def test_the_encoder_alone(detection, variables):
    fresh = jax.tree.map(np.zeros_like, variables)
    loaded = tf_checkpoint.load_encoder(detection, fresh)
    assert_equal(loaded["params"]["encoder"], variables["params"]["encoder"])
    assert_equal(loaded["batch_stats"], variables["batch_stats"])
    for module in ("pyramid", "decoder"):
        assert loaded["params"][module] == fresh["params"][module]
    assert not any(x.any() for x in jax.tree.leaves(fresh))


def test_the_report_names_used_ignored_and_missing(detection, variables):
    report = tf_checkpoint.encoder_report(detection, variables)
    encoder = (variables["params"]["encoder"], variables["batch_stats"])
    assert len(report.used) == len(jax.tree.leaves(encoder))
    assert report.ignored == ("model/proj_ln/gamma",)
    assert "params/decoder/input/kernel" in report.missing
    total = len(report.used) + len(report.missing)
    assert total == len(jax.tree.leaves(variables))


def replaced(part, **fields):
    changed = dataclasses.replace(getattr(MICRO, part), **fields)
    return dataclasses.replace(MICRO, **{part: changed})


@pytest.mark.parametrize(
    ("config", "field", "names"),
    [
        (
            replaced("resnet", width=0.25),
            "model.resnet.width",
            ["(7, 7, 3, 8)", "(7, 7, 3, 16)", "resnet/stem/conv/kernel"],
        ),
        (
            replaced("resnet", depth=14),
            "model.resnet.depth",
            ["no place", "block_groups/0/layers/1"],
        ),
        (replaced("resnet", depth=50), "model.resnet.depth", ["has no", "layers/2"]),
        (
            replaced("encoder", dim=32),
            "model.encoder.dim",
            ["stem_projection/kernel", "(128, 16)", "(128, 32)"],
        ),
        (
            replaced("encoder", num_heads=4),
            "model.encoder.num_heads",
            ["(16, 2, 8)", "(16, 4, 4)"],
        ),
        (replaced("encoder", mlp_dim=64), "model.encoder.mlp_dim", ["dense1/kernel"]),
        (replaced("encoder", num_layers=3), "model.encoder.num_layers", ["layers/2"]),
        (replaced("encoder", num_layers=1), "model.encoder.num_layers", ["layers/1"]),
        (replaced("pyramid", dim=16), "model.pyramid.dim", ["upsample_blocks/0"]),
        (
            dataclasses.replace(MICRO, mask_size=(8, 8)),
            "model.mask_size",
            ["upsample_blocks/0"],
        ),
        (
            dataclasses.replace(MICRO, num_cond_frames=2),
            "model.num_cond_frames",
            ["conv_in/kernel", "(1, 1, 24, 8)", "(1, 1, 56, 8)"],
        ),
        (
            dataclasses.replace(MICRO, softmax_groups=16),
            "model.softmax_groups",
            ["conv_out/kernel", "(1, 1, 8, 512)", "(1, 1, 8, 32)"],
        ),
        (
            dataclasses.replace(MICRO, conditioning=("concat",)),
            "model.conditioning",
            ["cross_"],
        ),
        (replaced("decoder", dim=16), "model.decoder.dim", ["time_emb/dense_0"]),
        (
            replaced("decoder", channel_multipliers=(1, 1)),
            "model.decoder.channel_multipliers",
            ["dn_units/1"],
        ),
        (
            replaced(
                "decoder", channel_multipliers=(1, 2, 2), num_res_blocks=(1, 2, 1)
            ),
            "model.decoder.channel_multipliers",
            ["has no", "dn_units/2"],
        ),
        (
            replaced("decoder", num_res_blocks=(1, 1)),
            "model.decoder.num_res_blocks",
            ["resnet_blocks/"],
        ),
        (
            replaced("decoder", transformer_dim=32),
            "model.decoder.transformer_dim",
            ["trans_conv_in/kernel"],
        ),
        (
            replaced("decoder", transformer_layers=2),
            "model.decoder.transformer_layers",
            ["dec_layers/1"],
        ),
        (replaced("decoder", head_dim=4), "model.decoder.head_dim", ["self_mha"]),
        (replaced("decoder", mlp_ratio=2), "model.decoder.mlp_ratio", ["dense1"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_sizes_name_the_field_to_change(panoptic, config, field, names):
    message = refusal(ValueError, panoptic, config)
    assert f"change {field}" in message
    for name in names:
        assert name in message


def test_the_encoder_of_other_sizes_is_refused(detection):
    model = drawn(replaced("encoder", num_layers=3))
    load_encoder = tf_checkpoint.load_encoder
    message = refusal(ValueError, detection, model, call=load_encoder)
    assert "change model.encoder.num_layers" in message
    unconditional = drawn(dataclasses.replace(MICRO, conditioning=()))
    message = refusal(ValueError, detection, unconditional, call=load_encoder)
    assert "model.conditioning" in message


def test_parts_without_a_config_field_are_named(tmp_path, variables):
    extra = {"model/denoiser/surprise/kernel": np.ones(3, np.float32)}
    write(tmp_path / "ckpt-0", official(variables) | extra)
    message = refusal(ValueError, tmp_path, MICRO, weights="online")
    assert "model/denoiser/surprise/kernel" in message
    assert "no config field" in message


def test_a_checkpoint_of_another_kind(tmp_path, detection, variables):
    assert "load_encoder" in refusal(ValueError, detection, MICRO)
    write(tmp_path / "ckpt-0", official(variables))
    assert "weights='online'" in refusal(ValueError, tmp_path, MICRO)
    assert "'ema' or 'online'" in refusal(ValueError, tmp_path, MICRO, weights="both")


def test_a_truncated_or_changed_data_file(copied):
    file = data_file(copied)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    message = refusal(ValueError, copied, MICRO)
    assert "truncated or damaged" in message and file.name[:10] in message
    middle = len(content) // 2
    flipped = bytes(255 - b for b in content[middle : middle + 20_000])
    file.write_bytes(content[:middle] + flipped + content[middle + 20_000 :])
    assert "truncated or damaged" in refusal(ValueError, copied, MICRO)


def test_missing_files(copied):
    index, data = index_file(copied), data_file(copied)
    os.rename(index, copied.parent / "kept")
    for path in (copied, copied.parent):
        assert f"{index} is missing" in refusal(FileNotFoundError, path, MICRO)
    os.rename(copied.parent / "kept", index)
    second = data.with_name(data.name.replace("00000-of-00001", "00001-of-00002"))
    os.rename(data, second)
    first = second.name.replace("00001-of", "00000-of")
    assert f"{first} is missing" in refusal(FileNotFoundError, copied, MICRO)
    second.unlink()
    assert f"{data} is missing" in refusal(FileNotFoundError, copied, MICRO)


def test_a_damaged_index(copied):
    index = index_file(copied)
    index.write_bytes(index.read_bytes()[:-100])
    assert f"{index} is damaged" in refusal(ValueError, copied, MICRO)


def test_a_wrong_path(tmp_path):
    missing = tmp_path / "ckpt-1"
    assert f"{missing} does not exist" in refusal(FileNotFoundError, missing, MICRO)
    assert "holds no TensorFlow" in refusal(FileNotFoundError, tmp_path, MICRO)
    (tmp_path / "notes.txt").write_text("x")
    message = refusal(ValueError, tmp_path / "notes.txt", MICRO)
    assert "not part of a TensorFlow checkpoint" in message


def test_importing_does_not_import_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from pix2seq_d.convert import tf_checkpoint"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
