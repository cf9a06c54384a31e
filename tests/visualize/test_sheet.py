import dataclasses

import numpy as np
import pytest

from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.visualize.sheet import SheetRow, contact_sheet, filmstrip

SPACE = LabelSpace(
    (
        Category(1, "sky", False, (40, 90, 220)),
        Category(2, "car", True, (220, 40, 40)),
    )
)
IMAGE = np.full((32, 32, 3), 128, np.uint8)
TOP, MARGIN, GAP = 48, 16, 12


def cars(*boxes: tuple[int, int]) -> PanopticMap:
    ids = np.full((32, 32), 1, np.int32)
    for k, (low, high) in enumerate(boxes):
        ids[4:28, low:high] = k + 2
    things = (Segment(k + 2, 2) for k in range(len(boxes)))
    return PanopticMap(ids, (Segment(1, 1), *things))


TRUTH = cars((2, 15), (17, 28))
ROW = SheetRow(image=IMAGE, truth=TRUTH, prediction=TRUTH)


def panels(
    sheet: np.ndarray, count: int, *, gap: int = GAP, top: int = TOP
) -> list[np.ndarray]:
    """The panels, 320 x 320 each, of the first row."""
    left = [MARGIN + k * (320 + gap) for k in range(count)]
    return [sheet[top : top + 320, x : x + 320] for x in left]


def test_panels_are_where_they_should_be():
    sheet = contact_sheet([ROW], SPACE)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 2 * MARGIN + 3 * 320 + 2 * GAP
    image, truth, prediction = panels(sheet, 3)
    assert (image == 128).all()
    np.testing.assert_array_equal(truth, prediction)
    assert (sheet[TOP : TOP + 320, MARGIN + 320 : MARGIN + 320 + GAP] == 255).all()


def test_rows_add_up_and_legend_is_below():
    one, three = contact_sheet([ROW], SPACE), contact_sheet([ROW] * 3, SPACE)
    assert three.shape[0] - one.shape[0] == 2 * (320 + GAP)
    bottom = three[-60:]
    for category in SPACE.categories:
        assert (bottom == category.color).all(-1).sum() > 50


def test_title_pq_and_class_names_are_written():
    plain = contact_sheet([dataclasses.replace(ROW, title="a", pq=0.5)], SPACE)
    for other in (
        dataclasses.replace(ROW, title="b", pq=0.5),
        dataclasses.replace(ROW, title="a", pq=0.625),
    ):
        sheet = contact_sheet([other], SPACE)
        y, _ = np.nonzero((sheet != plain).any(-1))
        assert y.min() > TOP + 320 and y.max() < TOP + 320 + 30
    renamed = LabelSpace(
        (dataclasses.replace(SPACE.categories[0], name="sea"), SPACE.categories[1])
    )
    changed = contact_sheet([ROW], renamed) != contact_sheet([ROW], SPACE)
    assert changed[-60:].any()


def test_matched_prediction_has_the_truths_shades():
    # Alone, the second car would be the larger one and take the first shade.
    prediction = cars((4, 15), (17, 31))
    row = dataclasses.replace(ROW, prediction=prediction)
    _, truth, predicted = panels(contact_sheet([row], SPACE), 3)
    for x in (80, 240):
        np.testing.assert_array_equal(truth[60, x], predicted[60, x])
    assert (truth[60, 80] != truth[60, 240]).any()


def test_states_have_columns_with_captions():
    row = dataclasses.replace(ROW, states=(cars((2, 9)), TRUTH))
    sheet = contact_sheet([row], SPACE, state_captions=("step 1", "step 2"))
    _, truth, first, second, prediction = panels(sheet, 5)
    np.testing.assert_array_equal(second, prediction)
    assert (first != truth).any()
    other = contact_sheet([row], SPACE, state_captions=("step 1", "step 3"))
    y, x = np.nonzero((sheet != other).any(-1))
    assert y.max() < TOP and x.min() > MARGIN + 3 * (320 + GAP)


def test_errors_have_a_column_and_a_legend():
    prediction = cars((2, 15))
    row = dataclasses.replace(ROW, prediction=prediction)
    plain = contact_sheet([row], SPACE)
    sheet = contact_sheet([row], SPACE, with_errors=True)
    assert sheet.shape[1] == plain.shape[1] + 320 + GAP
    assert sheet.shape[0] > plain.shape[0]
    np.testing.assert_array_equal(panels(sheet, 3)[2], panels(plain, 3)[2])
    errors = panels(sheet, 4)[3].astype(int)
    # The second car is missed: orange; the first is right: grey.
    missed, right = errors[60, 180:270], errors[60, 40:140]
    assert (missed[:, 0] - missed[:, 2] > 40).mean() > 0.5
    assert (np.ptp(right, axis=1) == 0).all()
    perfect = contact_sheet([ROW], SPACE, with_errors=True)
    assert perfect.shape[0] == plain.shape[0]  # nothing to explain


def test_photos_of_different_shapes_are_centred_in_columns():
    wide = np.full((20, 400, 3), 7, np.uint8)
    ids = np.ones((20, 400), np.int32)
    sky = PanopticMap(ids, (Segment(1, 1),))
    sheet = contact_sheet([SheetRow(wide, sky, sky), ROW], SPACE, panel_size=320)
    assert (sheet[TOP : TOP + 16, MARGIN : MARGIN + 320] == 7).all()
    below = TOP + 16 + GAP
    assert (sheet[below : below + 320, MARGIN : MARGIN + 320] == 128).all()


def test_filmstrip_shows_image_then_states_with_arrows_between():
    strip = filmstrip(
        IMAGE, [cars((2, 9)), TRUTH], ["noise", "end"], SPACE, panel_size=320
    )
    gap = 2 * GAP
    assert strip.shape[1] == 2 * MARGIN + 3 * 320 + 2 * gap
    image, first, last = panels(strip, 3, gap=gap, top=MARGIN)
    assert (image == 128).all() and (first != last).any()
    arrow = strip[MARGIN : MARGIN + 320, MARGIN + 320 : MARGIN + 320 + gap]
    assert 50 < (arrow != 255).any(-1).sum() < 400
    twice = filmstrip(IMAGE, [TRUTH] * 2, ["a", "b"], SPACE, panel_size=320)
    _, alone, _ = panels(twice, 3, gap=gap, top=MARGIN)
    np.testing.assert_array_equal(alone, last)


def test_filmstrip_of_many_states_goes_on_in_the_next_row():
    texts = [f"step {k}" for k in range(1, 7)]
    states = [cars((2, 9))] * 5 + [TRUTH]
    strip = filmstrip(IMAGE, states, texts, SPACE, panel_size=64, columns=3)
    assert strip.shape[1] == 2 * MARGIN + 3 * 64 + 2 * 2 * GAP
    # Image and 6 states: the last one begins the third row.
    below = 64 + 15 + 2 * GAP
    spots = [(MARGIN + below * y, MARGIN) for y in range(3)]
    found = [strip[y : y + 64, x : x + 64] for y, x in spots]
    assert (found[0] == 128).all()
    assert (found[1] != found[2]).any()
    other = filmstrip(
        IMAGE, states, [*texts[:5], "end"], SPACE, panel_size=64, columns=3
    )
    y, _ = np.nonzero((strip != other).any(-1))
    assert y.min() >= spots[2][0] + 64  # its caption


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="rows is empty"):
        contact_sheet([], SPACE)
    with pytest.raises(ValueError, match=r"rows\[0\] has 1 states"):
        contact_sheet([dataclasses.replace(ROW, states=(TRUTH,))], SPACE)
    with pytest.raises(ValueError, match=r"rows\[0\].pq is 61"):
        contact_sheet([dataclasses.replace(ROW, pq=61)], SPACE)
    with pytest.raises(ValueError, match="1 states and 2 captions"):
        filmstrip(IMAGE, [TRUTH], ["a", "b"], SPACE)
    with pytest.raises(ValueError, match=r"32x16 but panoptic\.ids is 32x32"):
        filmstrip(IMAGE[:, :16], [TRUTH], ["a"], SPACE)


def test_a_long_title_is_cut_and_does_not_run_off_the_sheet():
    row = SheetRow(IMAGE, cars((4, 12)), cars((4, 12)), title="a" * 200)
    sheet = contact_sheet([row], SPACE, panel_size=128)
    assert (sheet[:, : MARGIN - 2] == sheet[0, 0]).all()
