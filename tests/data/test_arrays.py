import json

import numpy as np
import pytest
from tiny_source import LABEL_SPACE, TinySource

from pix2seq_d.data import arrays
from pix2seq_d.data.arrays import Arrays


def contents(**changes):
    whole = {
        "images": np.zeros((2, 4, 6, 3), np.uint8),
        "ids": np.zeros((2, 4, 6), np.uint16),
        "annotations": np.array(json.dumps([{"segments_info": []}] * 2)),
        "categories": np.array('[{"id": 5, "name": "cat", "isthing": 1}]'),
    }
    whole |= changes
    return {key: value for key, value in whole.items() if value is not None}


def test_save_then_read_gives_the_source_back(tmp_path, capsys):
    source = TinySource(5)
    arrays.save(tmp_path / "new" / "tiny.npz", source)
    assert "reading 5/5" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["tiny.npz"]
    read = Arrays(tmp_path / "new" / "tiny.npz")
    assert len(read) == 5
    assert read.label_space == LABEL_SPACE
    crowds = 0
    for index in range(5):
        got, want = read[index], source[index]
        assert (got.image_id, got.file_name) == (want.image_id, want.file_name)
        np.testing.assert_array_equal(got.image, want.image)
        np.testing.assert_array_equal(got.panoptic.ids, want.panoptic.ids)
        assert got.panoptic.ids.dtype == np.int32
        assert got.panoptic.segments == want.panoptic.segments
        crowds += sum(s.is_crowd for s in got.panoptic.segments)
    assert crowds > 0


def test_a_hand_made_file_needs_only_segments_and_categories(tmp_path):
    ids = np.zeros((2, 4, 6), np.uint8)
    ids[1, :2] = 9
    notes = [{"segments_info": []}, {"segments_info": [{"id": 9, "category_id": 5}]}]
    np.savez(
        tmp_path / "x.npz",
        **contents(ids=ids, annotations=np.array(json.dumps(notes))),
    )
    example = Arrays(tmp_path / "x.npz")[1]
    assert (example.image_id, example.file_name) == (1, "000001.png")
    (segment,) = example.panoptic.segments
    assert (segment.id, segment.category_id, segment.is_crowd) == (9, 5, False)
    with pytest.raises(IndexError, match="no example 2 of 2"):
        Arrays(tmp_path / "x.npz")[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": None}, "'categories' is missing; it has"),
        ({"images": np.zeros((2, 4, 6, 3))}, "images must be uint8"),
        ({"images": np.zeros((2, 4, 6), np.uint8)}, "images must be uint8"),
        ({"ids": np.zeros((2, 4, 6))}, "ids must be integers"),
        ({"ids": np.zeros((2, 4, 5), int)}, r"ids must be \(2, 4, 6\)"),
        ({"ids": np.full((2, 4, 6), None)}, "cannot be read"),
        ({"annotations": np.array("[")}, "annotations is not JSON"),
        ({"annotations": np.array("[]")}, "annotations has 0 entries for 2 images"),
        ({"categories": np.array('{"id": 1}')}, "categories must be a JSON list"),
        ({"categories": np.array('[{"id": 1}]')}, "has no field 'name'"),
        ({"categories": np.array("[1]")}, "x.npz"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path, changes, message):
    np.savez(tmp_path / "x.npz", **contents(**changes))
    with pytest.raises(ValueError, match=message) as caught:
        Arrays(tmp_path / "x.npz")
    assert str(tmp_path / "x.npz") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        *("{}", "3", '{"segments_info": [{"id": 1}]}'),
        '{"segments_info": [{"id": "a", "category_id": 1}]}',
        '{"segments_info": [{"id": Infinity, "category_id": 1}]}',
    ],
)
def test_a_wrong_annotation_is_named(tmp_path, entry):
    text = np.array(f"[{entry}, {entry}]")
    np.savez(tmp_path / "x.npz", **contents(annotations=text))
    with pytest.raises(ValueError, match=r"x\.npz: annotations\[1\] is not"):
        Arrays(tmp_path / "x.npz")[1]


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz: no such file"):
        Arrays(tmp_path / "none.npz")
    np.savez(tmp_path / "x.npz", **contents())
    whole = (tmp_path / "x.npz").read_bytes()
    for broken in (b"", b"text", whole[: len(whole) // 2]):
        (tmp_path / "x.npz").write_bytes(broken)
        with pytest.raises(ValueError, match=r"x\.npz: not an npz file"):
            Arrays(tmp_path / "x.npz")


def test_only_sources_of_one_size_can_be_saved(tmp_path):
    with pytest.raises(ValueError, match=r"001\.png: the image is \(16, 16\)"):
        arrays.save(tmp_path / "x.npz", TinySource(3, sizes=((16, 24), (16, 16))))
    with pytest.raises(ValueError, match="no examples"):
        arrays.save(tmp_path / "x.npz", TinySource(0))
    assert not list(tmp_path.iterdir())
