"""A workdir belongs to one training; what may change is listed."""

import dataclasses
import json

import pytest

from pix2seq_d import config as config_lib
from pix2seq_d.config import Config, ConfigError
from pix2seq_d.training.workdir import FREE_FIELDS, claim


def changed(config, group, **fields):
    part = dataclasses.replace(getattr(config, group), **fields)
    return dataclasses.replace(config, **{group: part})


def claimed(workdir, config=None):
    """A workdir that has a checkpoint of this config."""
    claim(workdir, config or Config())
    (workdir / "checkpoints" / "10").mkdir(parents=True)


def test_the_config_is_written_and_reads_back(tmp_path):
    config = changed(Config(), "train", num_steps=7)
    claim(tmp_path / "new" / "work", config)
    text = json.loads((tmp_path / "new" / "work" / "config.json").read_text())
    assert config_lib.from_config_dict(text) == config


def test_free_fields_may_change_and_are_remembered(tmp_path):
    claimed(tmp_path)
    config = changed(Config(), "train", log_every=3, keep=9)
    config = changed(config, "diffusion", num_steps=4)
    config = changed(config, "evaluation", min_area=1)
    claim(tmp_path, config)
    text = json.loads((tmp_path / "config.json").read_text())
    assert config_lib.from_config_dict(text) == config


@pytest.mark.parametrize(
    ("group", "field", "value"),
    [
        ("optimizer", "peak_lr", 0.5),
        ("train", "num_steps", 8),
        ("train", "seed", 1),
        ("train", "batch_size", 8),
        # Batch-norm would see other batches.
        ("train", "grad_accumulation", 2),
        ("model", "bit_scale", 1.0),
        ("diffusion", "loss_weight_power", 0.0),
        ("data", "flip", 0.0),
    ],
)
def test_other_fields_may_not_change(tmp_path, group, field, value):
    claimed(tmp_path)
    with pytest.raises(ConfigError, match=f"{group}.{field}=.* not {value}"):
        claim(tmp_path, changed(Config(), group, **{field: value}))
    text = json.loads((tmp_path / "config.json").read_text())
    assert config_lib.from_config_dict(text) == Config()


def test_accumulation_may_change_where_batch_norm_is_frozen(tmp_path):
    config = changed(Config(), "train", freeze_batch_norm=True)
    claimed(tmp_path, config)
    claim(tmp_path, changed(config, "train", grad_accumulation=2))


def test_without_a_checkpoint_any_config_may_begin(tmp_path):
    claim(tmp_path, Config())
    config = changed(Config(), "optimizer", peak_lr=0.5)
    claim(tmp_path, config)
    text = json.loads((tmp_path / "config.json").read_text())
    assert config_lib.from_config_dict(text) == config


def test_an_unreadable_config_is_named(tmp_path):
    claimed(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        claim(tmp_path, Config())


def test_every_free_field_exists():
    fields = config_lib.flatten(Config())
    for free in FREE_FIELDS:
        assert any(field.startswith(free) for field in fields), free


@pytest.mark.parametrize("text", [None, "{"])
def test_without_its_config_file_that_of_the_checkpoint_counts(tmp_path, text):
    config = changed(Config(), "optimizer", peak_lr=0.5)
    for step, made in (("9", Config()), ("10", config)):
        item = tmp_path / "checkpoints" / step / "config"
        item.mkdir(parents=True)
        (item / "metadata").write_text(json.dumps(dataclasses.asdict(made)))
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"holds .* optimizer\.peak_lr=0\.5"):
        claim(tmp_path, Config())
    claim(tmp_path, config)
    written = json.loads((tmp_path / "config.json").read_text())
    assert config_lib.from_config_dict(written) == config


def test_a_workdir_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--output=\S+/file cannot be written \("):
        claim(tmp_path / "file", Config(), flag="output")
