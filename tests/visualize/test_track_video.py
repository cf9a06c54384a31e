import numpy as np
import pytest
from PIL import ImageDraw
from track_maps import BOAT, CAR, SPACE, changed, frame, line_of

from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.visualize.timeline import Timeline, advance
from pix2seq_d.visualize.track_colors import track_color
from pix2seq_d.visualize.track_video import draw_frame

IMAGE = np.full((64, 96, 3), 128, np.uint8)


def draw(*frames, tracks, **options):
    return draw_frame(IMAGE, frame(*tracks), SPACE, line_of(*frames, tracks), **options)


def test_pictures_of_a_video_have_one_size_whatever_is_in_them():
    shapes = {
        draw(*[[(2, 1)]] * n, tracks=tracks, time_s=n / 7).shape
        for n, tracks in enumerate([[], [(2, 1)], [(2, 1), (2, 2), (5, 3), (5, 1000)]])
    }
    assert len(shapes) == 1
    height, width, channels = shapes.pop()
    assert width == 96 * 6 and height > 64 * 6 and channels == 3


def test_each_thing_has_a_tag_with_its_number_in_its_colour():
    picture = draw(tracks=[(2, 1), (5, 2)])[: 64 * 6]
    other = draw(tracks=[(2, 1), (5, 9)])[: 64 * 6]
    y, x = changed(picture, other)
    # Above the second thing, which itself takes another shade.
    tag = y < 24 * 6
    assert tag.sum() > 50
    assert x.min() >= 26 * 6 - 30 and x.max() < 42 * 6 + 30
    for track, left in (((CAR, 1), 0), ((BOAT, 2), 24 * 6)):
        tags = picture[: 24 * 6, left : left + 20 * 6]
        assert (tags == track_color(SPACE, *track)).all(-1).sum() > 200


def test_tags_do_not_cover_one_another():
    # Two things at the same height, so near that their tags would overlap.
    ids = np.ones((64, 96), np.int32)
    ids[30:40, 40:44], ids[30:40, 45:49] = 2, 3
    segments = (Segment(1, 1), Segment(2, 2, instance=1), Segment(3, 5, instance=2))
    panoptic = PanopticMap(ids, segments)
    timeline = advance(panoptic, SPACE, Timeline.start())
    picture = draw_frame(IMAGE, panoptic, SPACE, timeline)[: 64 * 6]
    areas = [
        (picture == track_color(SPACE, *t)).all(-1).sum() for t in ((CAR, 1), (BOAT, 2))
    ]
    alone = []
    for k, track in ((2, (CAR, 1)), (3, (BOAT, 2))):
        only = PanopticMap(np.where(ids == k, k, 1).astype(np.int32), segments)
        picture = draw_frame(IMAGE, only, SPACE, timeline)[: 64 * 6]
        alone.append((picture == track_color(SPACE, *track)).all(-1).sum())
    assert areas == alone


def test_a_tag_at_the_border_is_inside_the_picture():
    ids = np.ones((64, 96), np.int32)
    ids[:3, :3] = 2
    segments = (Segment(1, 1), Segment(2, 2, instance=123))
    color = track_color(SPACE, CAR, 123)
    counts = []
    for roll in ((0, 0), (20, 40)):
        panoptic = PanopticMap(np.roll(ids, roll, (0, 1)), segments)
        timeline = advance(panoptic, SPACE, Timeline.start())
        picture = draw_frame(IMAGE, panoptic, SPACE, timeline)[: 64 * 6]
        counts.append((picture == color).all(-1).sum())
    assert counts[0] == counts[1] > 200


def test_of_hundreds_of_specks_forty_are_named(monkeypatch):
    written = []
    text = ImageDraw.ImageDraw.text

    def record(self, xy, words, *args, **kwargs):
        written.append(words)
        return text(self, xy, words, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    ids = np.arange(24 * 24).reshape(24, 24).repeat(2, 0).repeat(2, 1).astype(np.int32)
    segments = tuple(Segment(k, 2, instance=k) for k in range(1, 24 * 24))
    panoptic = PanopticMap(ids, segments)
    timeline = advance(panoptic, SPACE, Timeline.start(num_rows=6))
    draw_frame(IMAGE[:48, :48], panoptic, SPACE, timeline)
    names = [words for words in written if words.startswith("car ")]
    assert len(names) == 40 + 6  # tags, and the rows of the timeline
    assert f"+ {24 * 24 - 1 - 6} more" in written


def strip(picture):
    return picture[64 * 6 :]


def test_time_and_hidden_tracks_are_told_in_the_heading():
    tracks = [(2, 1), (2, 2), (5, 3)]
    plain = strip(draw(tracks=tracks))
    y, x = changed(plain, strip(draw(tracks=tracks, time_s=1.5)))
    assert len(y) > 20 and y.max() < 30 and x.max() < 200
    more = strip(draw(tracks=[*tracks, (5, 4)]))
    y, x = changed(plain, more)
    assert len(y) > 20 and y.max() < 30 and x.min() > 400


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 96), (384, 576)),
        ((512, 300), (512, 300)),
        ((1080, 1920), (720, 1280)),
        ((2000, 1000), (1280, 640)),
        ((1, 1), (512, 512)),
        ((600, 1), (600, 1)),
    ],
)
def test_frames_of_any_size_are_drawn(size, expected):
    ids = np.ones(size, np.int32)
    ids[: -(-size[0] // 2)] = 2
    panoptic = PanopticMap(ids, (Segment(1, 1), Segment(2, 2, instance=5)))
    timeline = advance(panoptic, SPACE, Timeline.start())
    picture = draw_frame(np.zeros((*size, 3), np.uint8), panoptic, SPACE, timeline)
    assert picture.dtype == np.uint8
    assert picture.shape[1] == expected[1] and picture.shape[0] > expected[0]


def test_every_frame_of_drawn_videos_is_drawn():
    source = ShapesVideo("val", size=(24, 32), num_videos=2, num_frames=12)
    timeline = Timeline.start(window=12)
    shapes = set()
    for example in source:
        timeline = advance(example.panoptic, source.label_space, timeline)
        picture = draw_frame(
            example.image, example.panoptic, source.label_space, timeline
        )
        shapes.add(picture.shape)
    assert len(shapes) == 1


def test_a_map_of_another_shape_is_named():
    timeline = Timeline.start()
    with pytest.raises(ValueError, match=r"image is 64x96 but panoptic\.ids is 4x7"):
        wrong = PanopticMap(np.zeros((4, 7), np.int32), ())
        draw_frame(IMAGE, wrong, SPACE, advance(wrong, SPACE, timeline))
