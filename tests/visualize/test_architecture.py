"""The figure of the model: the summary's numbers, legible, for every kind of config."""

import dataclasses
import itertools
import re

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch
from tiny_model import TINY, with_decoder

from pix2seq_d.config import ModelConfig
from pix2seq_d.models import summary
from pix2seq_d.visualize import architecture, diagram

CONFIGS = {
    "paper": ModelConfig(),
    "tiny": TINY,
    "patches": with_decoder(TINY, in_strides=2),
    "unconditional": dataclasses.replace(
        TINY, conditioning=(), self_conditioning="x", num_cond_frames=2
    ),
    "concat": dataclasses.replace(TINY, conditioning=("concat",), num_cond_frames=2),
    "cross-attention": dataclasses.replace(
        ModelConfig(),
        image_size=(512, 1024),
        mask_size=(256, 512),
        conditioning=("cross_attention",),
        self_conditioning="auto",
        prediction="eps",
        num_cond_frames=2,
        decoder=dataclasses.replace(
            ModelConfig().decoder,
            channel_multipliers=(1, 1, 2, 2, 2),
            num_res_blocks=(1, 1, 1, 1, 1),
        ),
    ),
    "no pyramid": dataclasses.replace(TINY, mask_size=(2, 4)),
}


@pytest.fixture(params=CONFIGS, scope="module")
def drawn(request):
    config = CONFIGS[request.param]
    return config, summary.summarize(config), architecture.draw(config)


def words(figure):
    return [text for text in figure.axes[0].texts if text.get_text()]


def said(figure):
    return [text.get_text() for text in words(figure)]


def shape_words(*sizes):
    return " x ".join(map(str, sizes))


def test_every_part_is_there_with_its_shape(drawn):
    config, parts, figure = drawn
    texts = said(figure)
    # Of a transformer the shape at its end is shown.
    inner = {("encoder", "input"), ("encoder", "layers"), ("decoder", "middle layers")}
    for part in parts:
        if (part.module, part.name) not in inner:
            assert shape_words(*part.shape) in texts
    bits = config.num_bits
    assert shape_words(*config.mask_size, bits) in texts
    assert (shape_words(*config.image_size, 3) in texts) == bool(config.conditioning)
    total = sum(part.params for part in parts)
    assert any(f"{total:,d} parameters" in text for text in texts)


def test_words_neither_touch_nor_leave_their_box(drawn):
    *_, figure = drawn
    FigureCanvasAgg(figure).draw()
    extents = [text.get_window_extent() for text in words(figure)]
    for a, b in itertools.combinations(extents, 2):
        assert not a.overlaps(b)
    boxes = [
        patch.get_window_extent()
        for patch in figure.axes[0].patches
        if isinstance(patch, FancyBboxPatch) and patch.get_zorder() > 0
    ]
    assert len(boxes) >= 10
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)
    for text in extents:
        assert figure.bbox.x0 <= text.x0 and text.x1 <= figure.bbox.x1
        for box in boxes:
            inside = box.containsx(text.x0) and box.containsx(text.x1)
            assert not box.overlaps(text) or inside


def test_input_channels_are_those_of_the_decoder(drawn):
    config, parts, figure = drawn
    named = {(p.module, p.name): p for p in parts}
    texts = said(figure)
    head = texts.index("input channels")
    *lines, shape = texts[head + 1 : texts.index("input")]
    counts = [int(line.rsplit(": ")[1]) for line in lines]
    assert shape == shape_words(*config.mask_size, sum(counts))
    # The kernel of the decoder's first convolution, bias, and norm's scale and shift.
    width, patch = config.decoder.dim, config.decoder.in_strides
    assert named["decoder", "input"].params == (
        sum(counts) * width * patch**2 + 3 * width
    )


def test_only_what_the_config_has_is_drawn():
    plain = said(architecture.draw(CONFIGS["tiny"]))
    assert "image tokens to cross-attention" in plain
    assert "features: 8" in plain
    assert not any("past" in text or "estimate" in text for text in plain)

    alone = said(architecture.draw(CONFIGS["unconditional"]))
    assert not any("image" in text.split() and "once" in text for text in alone)
    assert {"2 past masks: 12", "last estimate: 6", "zeros: 8"} <= set(alone)
    assert "and the estimate of x0" in alone

    cross = said(architecture.draw(CONFIGS["cross-attention"]))
    assert "zeros: 256" in cross and "and the estimate of eps" in cross
    assert "from the predicted eps" in cross and "down 4" in cross

    concat = said(architecture.draw(CONFIGS["concat"]))
    assert "image tokens to cross-attention" not in concat


@pytest.mark.parametrize("name", ["model.png", "model.svg"])
def test_the_same_model_gives_the_same_file(tmp_path, name):
    files = [tmp_path / "first" / name, tmp_path / "second" / name]
    for file in files:
        file.parent.mkdir()
        diagram.save(architecture.draw(TINY), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_words_of_an_svg_are_text(tmp_path):
    diagram.save(architecture.draw(TINY), tmp_path / "model.svg")
    svg = (tmp_path / "model.svg").read_text(encoding="utf-8")
    made = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert made == said(architecture.draw(TINY))


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"model\.jpg: .*\.png or \.svg"):
        diagram.save(architecture.draw(TINY), tmp_path / "model.jpg")
    with pytest.raises(FileNotFoundError, match=r"absent: no such folder"):
        diagram.save(architecture.draw(TINY), tmp_path / "absent" / "model.png")
