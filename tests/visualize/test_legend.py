import numpy as np
import pytest

from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.visualize.legend import LegendEntry, draw_legend, legend_entries

SPACE = LabelSpace(
    (
        Category(7, "sky", False, (60, 120, 200)),
        Category(3, "car", True, (200, 40, 60)),
        Category(9, "boat", True, (40, 160, 90)),
        Category(4, "road", False, (90, 90, 90)),
    )
)


def scene(*, crowd: bool = False) -> PanopticMap:
    ids = np.zeros((10, 10), np.int32)
    ids[1:6], ids[6:] = 1, 2
    ids[2, 2], ids[2, 4], ids[2, 6] = 3, 4, 5
    segments = (
        Segment(1, 7),
        Segment(2, 4),
        Segment(3, 3),
        Segment(4, 3, is_crowd=crowd),
        Segment(5, 9),
    )
    return PanopticMap(ids, segments)


def test_entries_count_things_and_measure_stuff():
    entries = legend_entries([scene()], SPACE)
    assert [(e.name, e.detail) for e in entries] == [
        ("car", "2"),
        ("boat", "1"),
        ("sky", "47 %"),
        ("road", "40 %"),
        ("void", "10 %"),
    ]
    assert [len(e.colors) for e in entries] == [2, 1, 1, 1, 1]
    assert entries[-1].is_void and not any(e.is_void for e in entries[:-1])


def test_crowd_is_named_not_counted_and_counts_can_be_left_out():
    entries = legend_entries([scene(crowd=True)], SPACE)
    assert (entries[0].name, entries[0].detail) == ("car", "1 + crowd")
    quiet = legend_entries([scene()], SPACE, counts=False)
    assert {e.detail for e in quiet} == {""}


def test_entries_of_several_maps_are_their_union():
    sky = PanopticMap(np.full((4, 4), 1, np.int32), (Segment(1, 7),))
    boat = PanopticMap(np.full((4, 4), 1, np.int32), (Segment(1, 9),))
    assert [e.name for e in legend_entries([sky, boat], SPACE)] == ["boat", "sky"]


def test_swatch_and_text_are_drawn():
    entry = LegendEntry("car", ((200, 40, 60), (20, 240, 60)), "2")
    drawn = draw_legend([entry], font_size=16, height=60)
    assert drawn.dtype == np.uint8 and drawn.shape[0] == 60
    for color in entry.colors:
        assert (drawn == color).all(-1).sum() > 50
    other = draw_legend(
        [LegendEntry("cat", entry.colors, "2")], font_size=16, height=60
    )
    width = min(drawn.shape[1], other.shape[1])
    assert (drawn[:, :width] != other[:, :width]).any()


def test_width_is_kept_and_long_names_are_cut():
    entries = [LegendEntry("word " * 30, ((9, 9, 9),), "1")]
    drawn = draw_legend(entries, font_size=16, width=200)
    assert drawn.shape[1] == 200
    assert (drawn[:, -8:] == 255).all()  # nothing runs over the edge
    assert (drawn[:, 60:180] != 255).any()


def test_many_entries_make_more_columns_or_rows():
    entries = [LegendEntry(f"class {k}", ((9, 9, 9),)) for k in range(40)]
    one = draw_legend(entries[:3], font_size=16, height=200)
    many = draw_legend(entries, font_size=16, height=200)
    assert many.shape[0] == 200 and many.shape[1] > 4 * one.shape[1]
    flat = draw_legend(entries, font_size=16, width=600)
    assert flat.shape[1] == 600 and flat.shape[0] > 100


def test_legend_needs_one_size():
    with pytest.raises(ValueError, match="either width or height"):
        draw_legend([], font_size=16)
