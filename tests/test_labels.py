"""Label spaces: tables, JSON, colours, bad category lists."""

import numpy as np
import pytest

from pix2seq_d.labels import Category, LabelSpace

SPACE = LabelSpace(
    (
        Category(id=7, name="sky", is_thing=False, color=(0, 0, 255)),
        Category(id=3, name="door", is_thing=True, color=(255, 0, 0)),
    )
)


def test_tables_put_void_first_and_keep_the_order():
    assert SPACE.num_classes == 3
    assert SPACE.names() == ("void", "sky", "door")
    assert SPACE.semantic_of == {7: 1, 3: 2}
    np.testing.assert_array_equal(SPACE.category_ids, [0, 7, 3])
    np.testing.assert_array_equal(SPACE.is_thing, [False, False, True])
    np.testing.assert_array_equal(SPACE.colors, [[0, 0, 0], [0, 0, 255], [255, 0, 0]])
    assert SPACE.colors.dtype == np.uint8


def test_json_round_trip():
    assert LabelSpace.from_json(SPACE.to_json()) == SPACE


def test_json_without_colours_gets_distinct_ones():
    space = LabelSpace.from_json(
        [{"id": k, "name": str(k), "isthing": k % 2} for k in range(1, 134)]
    )
    assert len({c.color for c in space.categories}) == 133
    assert all(sum(c.color) > 0 for c in space.categories)


@pytest.mark.parametrize("field", ["id", "name", "isthing"])
def test_missing_field_is_named(field):
    entry = {"id": 1, "name": "sky", "isthing": 0}
    del entry[field]
    with pytest.raises(ValueError, match=rf"categories\[0\] has no field '{field}'"):
        LabelSpace.from_json([entry])


def test_bad_ids_are_named():
    door = {"id": 2, "name": "door", "isthing": 1}
    with pytest.raises(ValueError, match=r"given twice: \[2\]"):
        LabelSpace.from_json([door, door])
    with pytest.raises(ValueError, match="negative, found -1"):
        LabelSpace.from_json([door | {"id": -1}])
    for bad in (None, [1], "a", float("inf"), 2**31):
        with pytest.raises(ValueError, match=r"categories\[0\] has id .*; give a 32"):
            LabelSpace.from_json([door | {"id": bad}])
    with pytest.raises(ValueError, match="isthing '0'"):
        LabelSpace.from_json([door | {"isthing": "0"}])
    with pytest.raises(ValueError, match="at least one"):
        LabelSpace(())


def test_category_id_0_is_a_category_and_a_null_colour_takes_the_palette():
    entries = [{"id": 0, "name": "sky", "isthing": 0, "color": None}]
    labels = LabelSpace.from_json(entries)
    assert labels.semantic_of == {0: 1}
    without = LabelSpace.from_json([{"id": 0, "name": "sky", "isthing": 0}])
    assert labels == without


@pytest.mark.parametrize("color", [[1, 2], [0, 0, 256], [-1, 0, 0], "red", 5])
def test_bad_colour_is_named(color):
    entry = {"id": 2, "name": "door", "isthing": 1, "color": color}
    with pytest.raises(ValueError, match=r"categories\[0\].*color"):
        LabelSpace.from_json([entry])


def test_void_is_no_category():
    assert SPACE.void_id == 0
    roads = LabelSpace((Category(0, "road", False, (0, 0, 0)),))
    assert roads.void_id == -1
    np.testing.assert_array_equal(roads.category_ids, [-1, 0])
