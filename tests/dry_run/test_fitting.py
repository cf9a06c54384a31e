"""The search for a setting that fits: cheapest first, nothing in vain."""

import dataclasses

import pytest

from configs import shapes
from pix2seq_d import config as config_lib
from pix2seq_d.dry_run import fitting, measure
from pix2seq_d.dry_run.memory import DoesNotFit


@pytest.fixture
def config():
    return config_lib.from_config_dict(shapes.get_config("tiny"))


def settings(config):
    return config.train.remat, config.sharding.fsdp


def test_remat_comes_first_then_fsdp_with_the_strongest_remat(config):
    found = [settings(c) for c in fitting.candidates(config, 8)]
    assert found == [
        ("dots", 1),
        ("blocks", 1),
        ("blocks", 2),
        ("blocks", 4),
        ("blocks", 8),
    ]


def test_what_the_config_has_already_is_not_tried_again(config):
    config = dataclasses.replace(
        config,
        train=dataclasses.replace(config.train, remat="dots"),
        sharding=dataclasses.replace(config.sharding, fsdp=2),
    )
    found = [settings(c) for c in fitting.candidates(config, 8)]
    assert found == [("blocks", 2), ("blocks", 4), ("blocks", 8)]


def test_the_first_that_fits_is_taken(config, monkeypatch):
    compiled, told = [], []

    def compile_(tried, devices):
        compiled.append(settings(tried))
        if settings(tried) != ("blocks", 1):
            raise DoesNotFit(3 * 2**30, 2 * 2**30)
        return tried

    monkeypatch.setattr(measure, "measure", compile_)
    found = fitting.search(config, range(8), DoesNotFit(0, 0), say=told.append)
    assert compiled == [("dots", 1), ("blocks", 1)]
    assert fitting.text(found) == "--config.train.remat=blocks"
    assert told == [
        "trying --config.train.remat=dots ...",
        "--config.train.remat=dots does not fit either: needs 3.00 of 2.00 GiB, "
        "1.00 GiB too much",
        "trying --config.train.remat=blocks ...",
    ]


def test_fsdp_that_cannot_save_enough_is_not_compiled(config, monkeypatch):
    import jax

    compiled = []

    def compile_(tried, devices):
        compiled.append(settings(tried))
        raise DoesNotFit(10 * 2**30, 2**30)  # 9 GiB too much; the state has 19 MB

    monkeypatch.setattr(measure, "measure", compile_)
    failed = DoesNotFit(10 * 2**30, 2**30)
    assert fitting.search(config, jax.devices(), failed, say=str) is None
    assert compiled == [("dots", 1), ("blocks", 1)]
