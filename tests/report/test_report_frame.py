"""The layers of an image: exact in the page, named and scaled."""

import base64
import io

import numpy as np
import pytest
from made_pages import DOOR, NAMES, SIZE, SKY, SPACE, TREE, maps, photo
from PIL import Image

from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.panoptic import PanopticMap, Segment, rgb_to_ids
from pix2seq_d.report.frame import image_frame, numbered_names, video_frame
from pix2seq_d.report.outcomes import CODE
from pix2seq_d.visualize.colors import segment_colors


def pixels(url):
    kind, _, data = url.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture(scope="module")
def frame():
    return image_frame(photo(), *maps(), SPACE, longest=1024)


def test_the_page_holds_the_maps_exactly(frame):
    written = frame.to_json()
    np.testing.assert_array_equal(
        rgb_to_ids(pixels(written["truth"])), frame.truth_rows
    )
    np.testing.assert_array_equal(
        rgb_to_ids(pixels(written["found"])), frame.found_rows
    )
    np.testing.assert_array_equal(pixels(written["outcome"]), frame.outcome)
    error = pixels(frame.photo_url()).astype(float) - photo()
    assert np.abs(error).mean() < 6  # JPEG of noise with a deviation of 6


def test_segments_have_names_colours_and_verdicts(frame):
    truth, found = maps()
    assert [s.name for s in frame.truth] == [
        NAMES[SKY],
        f"{NAMES[DOOR]} 1",
        f"{NAMES[TREE]} 1",
        f"{NAMES[DOOR]} 2",
    ]
    assert [s.verdict.outcome for s in frame.truth] == [
        "correct",
        "correct",
        "wrong_class",
        "missed",
    ]
    colors = segment_colors(found, SPACE, reference=truth)
    assert [s.color for s in frame.found] == [colors[k] for k in (5, 6, 7)]
    iou = 180 / 210
    written = frame.to_json()["foundSegments"][1]
    assert written == [f"{NAMES[DOOR]} 1", "#c83c1e", "correct", round(iou, 3)]
    assert frame.outcome[100, 250] == CODE["inexact"]
    assert frame.outcome[100, 500] == CODE["missed"]


def test_large_images_are_scaled():
    made = image_frame(photo(), *maps(), SPACE, longest=64)
    assert made.photo.shape == (48, 64, 3)
    assert made.truth_rows.shape == made.outcome.shape == (48, 64)
    # The middle of each segment is where it was.
    for y, x in ((120, 150), (360, 150), (120, 490)):
        full = image_frame(photo(), *maps(), SPACE, longest=10**4)
        assert full.truth_rows.shape == SIZE
        assert made.truth_rows[y // 10, x // 10] == full.truth_rows[y, x]


def test_the_largest_thing_has_number_1():
    ids = np.array([[1, 2, 2, 2, 3, 3, 4, 5]], np.int32)
    segments = tuple(
        Segment(k, c, crowd)
        for k, c, crowd in (
            (1, DOOR, False),
            (2, DOOR, False),
            (3, SKY, False),
            (4, DOOR, True),
            (5, TREE, False),
        )
    )
    door, sky, tree = NAMES[DOOR], NAMES[SKY], NAMES[TREE]
    assert numbered_names(PanopticMap(ids, segments), SPACE) == {
        2: f"{door} 1",
        1: f"{door} 2",
        3: sky,
        4: f"{door} (crowd)",
        5: f"{tree} 1",
    }


def test_frames_of_a_video_have_the_tracks_numbers():
    source = ShapesVideo("val", size=(32, 32), num_videos=1)
    truth = source[7].panoptic
    made = video_frame(
        source[7].image, truth, truth, source.label_space, longest=512, number=7
    )
    assert made.number == made.to_json()["number"] == 7
    tracks = {s.instance for s in truth.segments if s.instance}
    assert tracks and all(s.verdict.iou == 1.0 for s in made.truth)
    numbers = {int(n.split()[1]) for n in (s.name for s in made.truth) if " " in n}
    assert numbers == tracks
