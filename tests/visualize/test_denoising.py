"""The animation of the denoising, as a reader of GIF files sees it."""

import io

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.palette import distinct_colors
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.visualize.denoising import denoising_gif, panel_shape

SPACE = LabelSpace(
    (
        Category(1, "sky", False, (40, 90, 220)),
        Category(2, "car", True, (220, 40, 40)),
    )
)
RAMP = np.broadcast_to(np.arange(160, dtype=np.uint8)[None, :, None], (120, 160, 3))
TOP, LEFT = 50, 16  # of the photo


def maps(count: int) -> list[PanopticMap]:
    """A car that grows, in a quarter of the photo's size."""
    made = []
    for k in range(count):
        ids = np.ones((30, 40), np.int32)
        ids[4:26, 4 : 14 + k] = 2
        made.append(PanopticMap(ids, (Segment(1, 1), Segment(2, 2))))
    return made


def frames(data: bytes) -> tuple[list[np.ndarray], list[int], int]:
    """Frames [H, W, 3] uint8, milliseconds of each, repetitions (0: endless)."""
    found, durations = [], []
    with Image.open(io.BytesIO(data)) as gif:
        for k in range(getattr(gif, "n_frames", 1)):
            gif.seek(k)
            found.append(np.asarray(gif.convert("RGB")))
            durations.append(gif.info["duration"])
        return found, durations, gif.info["loop"]


def test_every_step_is_a_frame_and_the_last_one_stays():
    data = denoising_gif(RAMP, maps(4), ["one", "two", "three", "four"], SPACE)
    found, durations, loop = frames(data)
    assert durations == [800, 300, 300, 3000] and loop == 0
    right = np.s_[TOP : TOP + 120, LEFT + 160 + 12 : LEFT + 320 + 12]
    for k, frame in enumerate(found):
        photo = frame[TOP : TOP + 120, LEFT : LEFT + 160].astype(int)
        assert np.abs(photo - RAMP).mean() < 4  # dithered greys
        car = (frame[right] == (220, 40, 40)).all(-1)
        # Four pixels for each of the map's, without outline and name.
        assert 0.6 < car.sum() / (16 * 22 * (10 + k)) < 1
        assert (frame[right] == (40, 90, 220)).all(-1).any()
    header = [frame[:TOP].tobytes() for frame in found]
    assert len(set(header)) == 4  # caption and bar
    below = [frame[TOP + 120 :] for frame in found]
    assert (below[0] == (220, 40, 40)).all(-1).sum() > 50
    np.testing.assert_array_equal(below[0], below[3])


def test_found_segments_keep_the_shade_that_they_end_with():
    """Two cars; alone, the larger one would have the first shade."""
    made = []
    for width in (18, 6):
        ids = np.ones((30, 40), np.int32)
        ids[4:26, 2:14] = 2
        ids[4:26, 20 : 20 + width] = 3
        made.append(PanopticMap(ids, tuple(Segment(k, min(k, 2)) for k in (1, 2, 3))))
    found, _, _ = frames(denoising_gif(RAMP, made, ["a", "b"], SPACE))
    x = LEFT + 160 + 12
    left_car = [tuple(frame[TOP + 100, x + 12].tolist()) for frame in found]
    assert left_car[0] == left_car[1] == (220, 40, 40)


def test_twenty_noisy_steps_of_many_classes_fit_a_megabyte():
    rng = np.random.default_rng(0)
    space = LabelSpace(
        tuple(Category(k, f"c{k}", True, c) for k, c in enumerate(distinct_colors(80)))
    )
    photo = np.asarray(
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize((512, 384))
    )
    clean = np.mgrid[:96, :128].sum(0) // 40 % 7 + 1
    made = []
    for k in range(20):
        noisy = rng.random(clean.shape) < (1 - k / 20) ** 4
        ids = np.where(noisy, rng.integers(1, 400, clean.shape), clean)
        present = np.unique(ids).tolist()
        made.append(
            PanopticMap(
                ids.astype(np.int32), tuple(Segment(i, i % 80) for i in present)
            )
        )
    data = denoising_gif(photo, made, [f"step {k}" for k in range(20)], space)
    found, _, _ = frames(data)
    assert len(found) == 20 and found[0].shape[1] == 2 * 512 + 12 + 2 * 16
    assert len(data) < 1_000_000


@pytest.mark.parametrize(
    ("shape", "multiple", "expected"),
    [
        ((64, 64), 1, (512, 512)),
        ((480, 640), 1, (384, 512)),
        ((427, 640), 1, (342, 512)),
        ((427, 640), 4, (340, 512)),
        ((3, 4000), 4, (4, 512)),
        ((50, 45), 4, (500, 448)),
    ],
)
def test_panels_have_a_bounded_long_side(shape, multiple, expected):
    image = np.zeros((*shape, 3), np.uint8)
    assert panel_shape(image, panel_size=512, multiple=multiple) == expected


def test_captions_that_do_not_fit_the_states_are_named():
    with pytest.raises(ValueError, match="2 states and 1 captions"):
        denoising_gif(RAMP, maps(2), ["a"], SPACE)
    with pytest.raises(ValueError, match="0 states"):
        denoising_gif(RAMP, [], [], SPACE)
