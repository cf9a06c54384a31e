"""The summary: spec 4.8 and 4.9 to the digits printed there, and other models."""

import dataclasses
import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from tiny_model import TINY, with_decoder

from pix2seq_d.models import ModelConfig, parameter_count, summary, variable_shapes
from pix2seq_d.models.layers import Attention


def gmacs(parts, *, module, names=("",)):
    chosen = [p for p in parts if p.module == module and p.name.startswith(names)]
    assert chosen
    return sum(part.macs for part in chosen) / 1e9


# Tracing the paper's model takes seconds.
summarize = functools.cache(summary.summarize)


@pytest.fixture(scope="module")
def paper():
    return summarize(ModelConfig())


def test_parameters_of_the_paper_by_part(paper):
    made = {(part.module, part.name): part.params for part in paper}
    encoder, pyramid, decoder = (
        {name: n for (module, name), n in made.items() if module == wanted}
        for wanted in ("encoder", "pyramid", "decoder")
    )
    # Spec 4.8.
    assert encoder == {
        "stem": 9_536,
        "group1": 215_808,
        "group2": 1_219_584,
        "group3": 7_098_368,
        "input": 525_824,
        "layers": 37_828_608,
        "output norm": 1_024,
    }
    assert pyramid == {"block2": 2_624_512, "block1": 722_432, "block0": 656_896}
    assert decoder == {
        "time": 328_704,
        "input": 35_200,
        "down0": 574_592,
        "down1": 574_592,
        "down2": 1_771_776,
        "down3": 1_443_840,
        "middle ends": 658_432,
        "middle layers": 25_224_192,
        "up3": 5_576_960,
        "up2": 4_593_152,
        "up1": 1_526_912,
        "up0": 1_215_232,
        "output": 66_304,
    }


@pytest.mark.parametrize(
    ("image", "mask", "frames", "once", "step"),
    [  # Spec 4.9.
        ((256, 256), (128, 128), 0, 29.8, 47.5),
        ((1024, 1024), (512, 512), 0, 671, 952),
        ((512, 1024), (256, 512), 2, 284, 425),
        ((384, 1248), (192, 624), 2, 255, 385),
    ],
)
def test_cost_of_the_paper(image, mask, frames, once, step):
    config = ModelConfig(image_size=image, mask_size=mask, num_cond_frames=frames)
    parts = summarize(config)
    made = gmacs(parts, module="encoder") + gmacs(parts, module="pyramid")
    tolerance = 0.05 if once < 100 else 0.5
    assert made == pytest.approx(once, abs=tolerance)
    # The spec rounds 952.5 down.
    assert gmacs(parts, module="decoder") == pytest.approx(step, abs=tolerance + 0.05)


def test_cost_of_the_parts_at_high_resolution():
    parts = summarize(ModelConfig(image_size=(1024, 1024), mask_size=(512, 512)))
    resnet = gmacs(parts, module="encoder", names=("stem", "group"))
    assert resnet == pytest.approx(69, abs=0.55)
    transformer = gmacs(parts, module="encoder", names=("input", "layers", "output"))
    assert transformer == pytest.approx(363, abs=0.5)
    assert gmacs(parts, module="pyramid") == pytest.approx(239, abs=0.5)
    for names, cost in (
        (("down",), 131),
        (("middle",), 311),
        (("up",), 484),
        (("input", "output"), 26),
    ):
        made = gmacs(parts, module="decoder", names=names)
        assert made == pytest.approx(cost, abs=0.5)


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        with_decoder(TINY, in_strides=2),
        dataclasses.replace(TINY, conditioning=()),
        dataclasses.replace(TINY, conditioning=("concat",), num_cond_frames=2),
        dataclasses.replace(TINY, mask_size=(8, 16), self_conditioning="x"),
        dataclasses.replace(TINY, num_classes=0),
    ],
)
def test_every_parameter_is_in_one_part(config):
    parts = summary.summarize(config)
    params = variable_shapes(config)["params"]
    assert sum(part.params for part in parts) == parameter_count(params)
    for module in params:
        own = [part for part in parts if part.module == module]
        assert sum(part.params for part in own) == parameter_count(params[module])
        assert all(part.macs > 0 for part in own if "norm" not in part.name)
    height, width = config.mask_size
    strides = config.decoder.in_strides
    assert parts[-1].name == "output"
    assert math.prod(parts[-1].shape) == height * width * 16
    assert parts[-1].shape[0] in (height, height // strides)


def test_shapes_are_those_of_the_outputs(paper):
    made = {(part.module, part.name): part.shape for part in paper}
    assert made["encoder", "group1"] == (64, 64, 256)
    assert made["encoder", "group3"] == (16, 16, 1024)
    assert made["encoder", "output norm"] == (256, 512)
    assert made["pyramid", "block0"] == (128, 128, 256)
    assert made["decoder", "middle layers"] == (257, 512)
    assert made["decoder", "output"] == (128, 128, 512)


def test_products_are_counted_by_hand():
    def operations(function, *shapes):
        arrays = [jnp.zeros(shape) for shape in shapes]
        return list(summary.operations(jax.make_jaxpr(function)(*arrays).jaxpr, ""))

    def conv(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    made = operations(jax.jit(conv), (2, 8, 6, 3), (3, 3, 3, 5))
    assert sum(summary.macs_of(op) for _, op in made) == 2 * 4 * 3 * 5 * 3 * 3 * 3

    attention = Attention(2, 4)
    x, memory = jnp.zeros((1, 7, 10)), jnp.zeros((1, 9, 6))
    params = attention.init(jax.random.key(0), x, memory)
    made = operations(lambda x: attention.apply(params, x, memory), (1, 7, 10))
    query, key_value, output = 7 * 10 * 8, 2 * 9 * 6 * 8, 7 * 8 * 10
    scores = 2 * 7 * 9 * 8  # q k^T and the weighted sum
    total = query + key_value + scores + output
    assert sum(summary.macs_of(op) for _, op in made) == total


def test_the_table_adds_up(paper):
    text = summary.table(paper, num_steps=20)
    assert "46,898,752     29.77  per image" in text
    assert "43,589,888     94.95  per step" in text
    assert "94,492,480" in text
    once, step = 2 * 29.85, 2 * 47.47
    last = text.splitlines()[-1]
    assert last.startswith("one mask of 20 steps: ")
    flops = float(last.split()[5].replace(",", ""))
    assert flops == pytest.approx(once + 20 * step, rel=1e-3)


def test_the_page_about_the_model_shows_this_table(paper):
    page = Path(__file__).parents[2] / "docs" / "model.md"
    assert summary.table(paper, num_steps=20) in page.read_text(encoding="utf-8")
