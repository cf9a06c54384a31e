"""Lengths in epochs become steps."""

import dataclasses

import pytest

from pix2seq_d.config import Config, ConfigError, OptimizerConfig, TrainConfig
from pix2seq_d.training import length


def lengths(num_images, *, batch, **fields):
    epochs = fields.pop("num_epochs", 0.0)
    config = Config(
        train=TrainConfig(batch_size=batch, num_steps=77, num_epochs=epochs),
        optimizer=OptimizerConfig(**fields),
    )
    made = length.with_lengths(config, num_images)
    assert made.train.num_epochs == made.optimizer.warmup_epochs == 0
    return made.train.num_steps, made.optimizer.warmup_steps


@pytest.mark.parametrize(
    ("num_epochs", "warmup_epochs", "expected"),
    [
        (800, 0, (739294, 0)),  # COCO as in the paper: floor(118287 800 / 128) + 1
        (0, 2, (77, 1848)),
        (0.001, 0.001, (1, 0)),
        (2, 0.5, (1849, 462)),
    ],
)
def test_epochs_are_counted_in_steps(num_epochs, warmup_epochs, expected):
    made = lengths(
        118287, batch=128, num_epochs=num_epochs, warmup_epochs=warmup_epochs
    )
    assert made == expected


def test_steps_stay_as_they_are():
    assert lengths(100, batch=10, warmup_steps=5) == (77, 5)


def test_a_length_that_is_settled_stays():
    config = dataclasses.replace(
        Config(), train=TrainConfig(batch_size=10, num_epochs=3)
    )
    once = length.with_lengths(config, 100)
    assert once.train.num_steps == 31
    assert length.with_lengths(once, 999) == once


def test_a_warm_up_is_given_once():
    with pytest.raises(ConfigError, match=r"optimizer\.warmup_epochs=1"):
        OptimizerConfig(warmup_steps=10, warmup_epochs=1)
