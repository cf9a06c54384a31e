"""The configuration: round trips, type checks, and messages that name the field."""

import dataclasses
import json
import re

import ml_collections
import pytest

from pix2seq_d import config as config_lib
from pix2seq_d.config import (
    Config,
    ConfigError,
    from_config_dict,
    from_saved,
    to_config_dict,
)
from pix2seq_d.instance_ids import IdRule


def nested(path, value):
    """{'a': {'b': value}} for 'a.b'."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def test_defaults_round_trip():
    made = config_lib.default()
    assert isinstance(made, ml_collections.ConfigDict)
    assert from_config_dict(made) == Config()


def test_changed_fields_round_trip():
    made = config_lib.default()
    made.model.image_size = (64, 128)
    made.model.mask_size = (32, 64)
    made.model.conditioning = ("concat",)
    made.model.decoder.channel_multipliers = (1, 2)
    made.model.decoder.num_res_blocks = (2, 1)
    made.diffusion.sample_schedule.start = 0.2
    made.diffusion.noise_draws = 3
    made.train.dtype = "bfloat16"
    config = from_config_dict(made)
    assert config.model.image_size == (64, 128)
    assert config.model.decoder.num_res_blocks == (2, 1)
    assert config.diffusion.sample_schedule.start == 0.2
    assert config.diffusion.train_schedule.start is None
    assert from_config_dict(to_config_dict(config)) == config


def test_json_turns_lists_into_tuples_and_hashes():
    text = to_config_dict(Config()).to_json()
    config = from_config_dict(json.loads(text))
    assert config == Config()
    assert config.model.mask_size == (128, 128)
    # Frozen and hashable: a static argument of jitted functions.
    assert hash(config) == hash(Config())
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.model.bit_scale = 1.0


def test_missing_fields_keep_their_defaults():
    # A checkpoint of an earlier version lacks the fields that came later.
    config = from_config_dict({"train": {"seed": 3}})
    assert config.train.seed == 3
    assert config.model == Config().model


def test_integers_are_taken_for_floats_but_not_the_reverse():
    config = from_config_dict({"optimizer": {"peak_lr": 1}})
    assert isinstance(config.optimizer.peak_lr, float)
    with pytest.raises(ConfigError, match=r"train\.num_steps must be int, not 2\.5"):
        from_config_dict({"train": {"num_steps": 2.5}})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.imagesize", (64, 64)),
        ("model.decoder.width", 4),
        ("optimiser", {}),
        ("data.source.url", "x"),
    ],
)
def test_unknown_fields_are_refused(path, value):
    with pytest.raises(ConfigError, match=f"unknown config field '{path}'; .* has "):
        from_config_dict(nested(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.num_classes", "8"),
        ("model.num_classes", True),
        ("model.image_size", 256),
        ("model.image_size", (256, 256, 3)),
        ("model.image_size", (256.0, 256)),
        ("model.conditioning", "concat"),
        ("model.resnet", 50),
        ("train.seed", None),
        ("train.tensorboard", 1),
        ("train.dtype", 32),
        ("optimizer.peak_lr", "1e-4"),
        ("optimizer.peak_lr", False),
        ("optimizer.peak_lr", float("nan")),
        ("diffusion.train_schedule.start", "0"),
        ("data.scale_jitter", [1.0]),
    ],
)
def test_wrong_types_are_refused(path, value):
    with pytest.raises(ConfigError, match=rf"^config field {path} must be "):
        from_config_dict(nested(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.resnet.depth", 34),
        ("model.resnet.variant", "dc5"),
        ("model.resnet.stem_stride", 1),
        ("model.encoder.num_heads", 7),
        ("model.encoder.num_heads", 0),
        ("model.encoder.dim", 0),
        ("model.decoder.dim", 7),
        ("model.decoder.transformer_dim", 6),
        ("model.decoder.head_dim", 48),
        ("model.decoder.head_dim", 0),
        ("model.decoder.in_strides", 0),
        ("model.decoder.channel_multipliers", ()),
        ("model.decoder.channel_multipliers", (1, 1, 0, 2)),
        ("model.decoder.num_res_blocks", (1, 1)),
        ("model.decoder.num_res_blocks", (-1, 1, 1, 1)),
        ("model.resnet.width", 0.01),
        ("model.bits_per_channel", 31),
        ("model.prediction", "w"),
        ("model.self_conditioning", "x0"),
        ("model.conditioning", ("cat",)),
        ("model.softmax_groups", 0),
        ("model.softmax_groups", 3),
        ("model.num_classes", 257),
        ("model.max_instances", 257),
        ("model.max_instances", 1),
        ("model.bit_scale", 0.0),
        ("model.image_size", (256, 250)),
        ("model.image_size", (0, 256)),
        ("model.mask_size", (128, 132)),
        ("train.seed", 2**32),
        ("evaluation.seed", -1),
        ("diffusion.sampler", "euler"),
        ("diffusion.train_schedule.name", "cos"),
        ("diffusion.sample_schedule.name", "cos"),
        ("diffusion.num_steps", 0),
        ("diffusion.time_difference", -1.0),
        ("diffusion.start_time", 0.0),
        ("diffusion.start_time", 1.5),
        ("diffusion.noise_draws", 0),
        ("data.max_skipped", -1),
        ("data.read_timeout_s", 0.0),
        ("data.read_timeout_s", 1e12),
        ("train.dtype", "float16"),
        ("train.batch_size", 0),
        ("train.num_steps", 0),
        ("train.checkpoint_every", 0),
        ("train.keep", 0),
        ("train.log_every", 0),
        ("data.source.name", "coco"),
        ("data.loader", "torch"),
        ("data.resize", "gpu"),
        ("data.decoded_size", (640, 0)),
        ("data.scale_jitter", (2.0, 1.0)),
        ("data.scale_jitter", (0.0, 1.0)),
    ],
)
def test_refused_values_are_named_with_their_field(path, value):
    with pytest.raises(ConfigError, match=rf"^config field {path}=") as caught:
        from_config_dict(nested(path, value))
    assert "\n" not in str(caught.value)


def test_id_rules_are_checked_and_named():
    for name, value in (("crowd", "ignore"), ("order", "area")):
        with pytest.raises(ConfigError, match=rf"field data\.ids\.{name}='{value}':"):
            from_config_dict({"data": {"ids": {name: value}}})
    rule = from_config_dict({"data": {"ids": {"stuff": False}}}).data.ids
    assert rule == IdRule(stuff=False)


def test_sizes_must_fit_the_strides():
    # Stem stride 2 halves the encoder's stride, in_strides doubles the decoder's.
    sizes = {"image_size": (24, 24), "mask_size": (24, 24)}
    from_config_dict({"model": {**sizes, "resnet": {"stem_stride": 2}}})
    with pytest.raises(ConfigError, match=r"model\.image_size=.*multiples of 16"):
        from_config_dict({"model": sizes})
    with pytest.raises(ConfigError, match=r"model\.mask_size=.*multiples of 16"):
        from_config_dict(
            {
                "model": {
                    **sizes,
                    "resnet": {"stem_stride": 2},
                    "decoder": {"in_strides": 2},
                }
            }
        )


def test_flatten_names_every_field_once():
    flat = config_lib.flatten(Config())
    assert flat["model.decoder.dim"] == 128
    assert flat["train.batch_size"] == 16
    assert flat["diffusion.train_schedule.start"] is None
    assert not any(dataclasses.is_dataclass(value) for value in flat.values())
    changed = dataclasses.replace(
        Config(), train=dataclasses.replace(Config().train, seed=9)
    )
    other = config_lib.flatten(changed)
    assert {k for k in flat if flat[k] != other[k]} == {"train.seed"}


def test_derived_numbers_of_the_representation():
    model = Config().model
    assert (model.num_bits, model.num_codes) == (16, 256)
    groups = dataclasses.replace(model, softmax_groups=16)
    assert groups.num_codes == 2
    assert model.resnet.blocks == (3, 4, 6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("evaluation.batch_size", 0),
        ("evaluation.min_area", -5),
        ("evaluation.seed", -1),
        ("optimizer.peak_lr", -1.0),
        ("optimizer.clip_norm", 0.0),
        ("optimizer.ema_decay", 2.0),
        ("optimizer.warmup_steps", -5),
        ("optimizer.b2", 1.0),
        ("train.eval_every", -1),
        ("train.eval_images", -3),
        ("train.seed", -1),
        ("data.flip", 3.0),
        ("data.color_jitter", -1.0),
        ("model.num_classes", -3),
        ("model.num_cond_frames", -1),
        ("model.encoder.num_layers", -1),
        ("model.encoder.dropout", 1.5),
        ("model.resnet.width", 0.0),
        ("model.pyramid.dim", 0),
        ("model.decoder.mlp_ratio", 0),
        ("model.mask_size", (48, 48)),
        ("diffusion.loss_weight_power", -2.0),
        ("diffusion.noise_draws", 0),
        ("data.max_skipped", -1),
        ("diffusion.train_schedule.tau", 0.0),
    ],
)
def test_values_out_of_range_are_named(field, value):
    with pytest.raises(ConfigError, match=re.escape(f"{field}=")):
        from_config_dict(nested(field, value))


def test_seeds_that_were_taken_once_are_read_as_jax_took_them():
    saved = {"train": {"seed": 2**32 + 5}, "evaluation": {"seed": 3}}
    config = from_saved(saved)
    assert (config.train.seed, config.evaluation.seed) == (5, 3)
    assert saved["train"]["seed"] == 2**32 + 5


@pytest.mark.parametrize("content", [None, [], [1], 3, "x", {"train": {"seed": -1}}])
def test_what_is_saved_is_checked(content):
    with pytest.raises(ConfigError):
        from_saved(content)
