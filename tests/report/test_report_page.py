"""The pages without a browser: whole, escaped, small, and loading nothing."""

import re

import pytest
from html_text import Page, frames_of
from made_pages import (
    DOOR,
    FOX,
    LONG_NAME,
    NAMES,
    SKY,
    TREE,
    image_page,
    image_report,
    run,
    video_page,
)

from pix2seq_d.evaluation.error_kinds import KINDS
from pix2seq_d.report.ladder import Rung


@pytest.fixture(scope="module")
def images():
    return image_page()


@pytest.fixture(scope="module")
def videos():
    return video_page()


@pytest.mark.parametrize("name", ["images", "videos"])
def test_a_page_is_whole_and_loads_nothing(name, request):
    text = request.getfixturevalue(name)
    parsed = Page(text)
    assert {"html", "style", "script", "figure", "canvas", "noscript"} <= parsed.tags
    assert parsed.links and all(link.startswith("data:") for link in parsed.links)
    without_data = re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text)
    for word in ("http:", "https:", "url(", "@import", "fetch(", "XMLHttpRequest"):
        assert word not in without_data
    assert "default-src 'none'" in text
    assert len(set(parsed.ids)) == len(parsed.ids)


def test_names_are_escaped_everywhere(images):
    parsed = Page(images)
    # As text, and in no tag: the names hold <b>, <i>, <script> and a comment.
    for name in (*(NAMES[i] for i in (SKY, DOOR, TREE, FOX)), LONG_NAME):
        assert name in parsed.text
    for tag in ("<i>", "<b>mine", "<b>&amp;", "<script>alert", "<!--"):
        assert tag not in images
    assert "Evaluation of <b>mine, step 1,234" in parsed.text
    assert any(title.startswith(NAMES[TREE]) for title in parsed.titles)
    ((frame,),) = frames_of(images)
    names = [segment[0] for segment in frame["truthSegments"]]
    assert names[1] == f"{NAMES[DOOR]} 1"


def test_scores_classes_and_errors(images):
    report, words = image_report(), Page(images).words
    for group in ("All", "Things", "Stuff"):
        pq = report.pq[group]["pq"]
        assert f"PQ, {group.lower()}{100 * pq:.1f}oracle100.0" in words
    order = [
        words.index(f"{NAMES[i]} {k}")
        for i, k in ((SKY, "stuff"), (DOOR, "thing"), (TREE, "thing"))
    ]
    assert order == sorted(order)
    assert f"1 of 4 classes are in neither map{NAMES[FOX]}" in words
    for kind in KINDS:
        assert kind.replace("_", " ") in words
    lost = report.diagnosis["wrong_class"]["All"]["lost"]
    assert lost > 0.1 and f"does not+{100 * lost:.1f}" in words
    assert "false negative: missed" in words and "true positive, IoU 86 %" in words


def test_where_it_comes_from(images):
    parsed = Page(images)
    words = parsed.words
    for part in (
        run().command,
        "2026-11-26 09:30 UTC",
        "94.5 M parameters",
        "ddim, 3 steps",
        "/models/<b>mine, step 1,234",
        "shapes, val, 1 image",
        "num_steps3",
        "mask_size(128, 128)",
    ):
        assert part in words
    for name in ("pix2seq_d", "Python", "jax", "flax", "numpy"):
        assert re.search(rf"{name}\s*\d+\.\d+", words)
    assert "<dd><b>3</b></dd>" in images  # not the default of num_steps


def test_a_ladder_is_drawn_where_there_is_one(images):
    assert "Not measured. python -m launch.evaluate --ladder=1,2" in Page(images).text
    drawn = Page(image_page(rungs=(Rung(1, (0.1, 0.2, 0.3)),)))
    assert "svg" in drawn.tags and "Not measured" not in drawn.text


def test_nine_photos_are_small_enough_to_mail():
    assert len(image_page(9)) < 5e6


def test_videos(videos):
    parsed = Page(videos)
    words = parsed.words
    for part in ("STQ", "VPQ", "AQ, association", "id switches in 100 frames"):
        assert part in words
    assert "**" not in parsed.text and "<strong>STQ</strong>, predicted" in videos
    frames = frames_of(videos)
    assert [[f["number"] for f in clip] for clip in frames] == [[0, 4, 8, 12, 16]] * 2
    # The first photo is in the page already.
    assert ["photo" in f for f in frames[0]] == [False, True, True, True, True]
    assert any(re.fullmatch(r"disc \d+", s[0]) for s in frames[0][0]["foundSegments"])
