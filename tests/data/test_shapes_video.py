"""The embedded videos: the same for ever, and every thing keeps its id."""

import dataclasses
import itertools

import numpy as np
import pytest

from pix2seq_d.data.clips import Clips
from pix2seq_d.data.scene import Border, Thing
from pix2seq_d.data.scene_motion import Motion, Shot, draw_shots, scene_at
from pix2seq_d.data.scene_render import render
from pix2seq_d.data.shapes_video import LABEL_SPACE, NUM_FRAMES, ShapesVideo


@pytest.fixture(scope="module")
def val():
    return ShapesVideo("val", size=(32, 48))


def cut_video(source):
    return next(k for k in range(40) if len(source.shots(k)) == 2)


def test_frames_are_the_same_in_any_order_and_for_every_seed(val):
    again = ShapesVideo("val", size=(32, 48), num_videos=2, seed=5)
    for index in (30, 3, 30):
        a, b = val[index], again[index]
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.panoptic.ids, b.panoptic.ids)
        assert a.panoptic.segments == b.panoptic.segments
    train = [ShapesVideo("train", size=(32, 48), seed=seed)[0] for seed in (0, 1)]
    assert not np.array_equal(train[0].image, train[1].image)
    assert not np.array_equal(train[0].image, val[0].image)


def test_videos_cover_all_frames(val):
    assert len(val) == 40 * NUM_FRAMES == val.videos[-1].stop
    video = val.videos[1]
    assert (video.name, video.start) == ("shapes_val_0001", NUM_FRAMES)
    assert val[NUM_FRAMES].file_name == "shapes_val_0001/00000.png"


def test_an_id_is_one_thing_through_the_video_and_its_cut(val):
    things = {c.id for c in LABEL_SPACE.categories if c.is_thing}
    for k in (0, 1, cut_video(val)):
        category, shot_of = {}, {}
        shots = val.shots(k)
        for frame in range(NUM_FRAMES):
            panoptic = val[k * NUM_FRAMES + frame].panoptic
            assert set(panoptic.areas) - {0} == {s.id for s in panoptic.segments}
            for s in panoptic.segments:
                assert category.setdefault(s.id, s.category_id) == s.category_id
                if s.category_id in things:
                    number = int(frame >= shots[0].stop)
                    assert shot_of.setdefault(s.id, number) == number
                    thing = s.id - 5 - number * len(shots[0].scene.things)
                    kind = shots[number].scene.things[thing].kind
                    assert LABEL_SPACE.names()[s.category_id] == kind
                    assert s.instance == s.id - 4
                else:
                    assert (s.id, s.instance) == (s.category_id, 0)


def test_things_move_enter_and_leave(val):
    left = entered = 0
    for k in range(40):
        frames = [val[k * NUM_FRAMES + t].panoptic for t in range(val.shots(k)[0].stop)]
        assert (frames[0].ids != frames[-1].ids).any()
        seen = [set(frame.areas) for frame in frames]
        left += sum(len(a - b) for a, b in itertools.pairwise(seen))
        entered += sum(len(b - a) for a, b in itertools.pairwise(seen))
    assert left > 5 and entered > 5


def test_a_thing_that_was_hidden_has_its_id_again():
    (shot,) = draw_shots(np.random.default_rng(3), 2)
    behind = Thing("disc", center=(0.1, 0.5), size=0.1)
    front = Thing("square", center=(0.5, 0.5), size=0.4)
    scene = dataclasses.replace(shot.scene, things=(behind, front), smudge=None)
    motions = (Motion(velocity=(0.1, 0.0)), Motion(velocity=(0.0, 0.0)))
    shot = Shot(0, 9, scene, still=0, motions=motions)
    shown = [(render(scene_at(shot, t), size=(40, 40))[1] == 3).any() for t in range(9)]
    assert shown == [True, True, True, False, False, False, True, True, True]


def test_motion_is_that_of_the_textbook():
    (shot,) = draw_shots(np.random.default_rng(3), 2)
    thing = dataclasses.replace(shot.scene.things[0], center=(0.5, 0.25), angle=1.0)
    scene = dataclasses.replace(shot.scene, things=(thing,))
    motion = Motion(velocity=(0.1, -0.02), acceleration=(0.0, 0.01), spin=0.5)
    shot = Shot(0, 9, scene, still=2, motions=(motion,), pan=0.03)
    assert scene_at(shot, 2).things == scene.things
    moved = scene_at(shot, 5).things[0]  # 3 frames on, and the camera went 0.09
    np.testing.assert_allclose(moved.center, (0.5 + 0.3 - 0.09, 0.25 - 0.06 + 0.045))
    assert moved.angle == 2.5 and moved.kind == thing.kind
    noise = {scene_at(shot, t).noise_seed for t in range(9)}
    assert len(noise) == 9


def test_a_camera_that_pans_shows_the_same_border():
    border = Border(0.5, tilt=0.2, bend=-0.3, wave=0.04, frequency=1.3, phase=0.2)
    (shot,) = draw_shots(np.random.default_rng(3), 2)
    scene = dataclasses.replace(shot.scene, border=border)
    shot = dataclasses.replace(shot, scene=scene, still=0, pan=0.05)
    x = np.linspace(0, 1, 7)
    np.testing.assert_allclose(scene_at(shot, 4).border.y(x), border.y(x + 0.2))


def test_clips_of_it_share_their_ids(val):
    clip = Clips(val)[5]
    assert clip.target.file_name == "shapes_val_0000/00007.png"
    assert len(clip.past) == 2
    ids = [{s.id for s in m.segments} for m in (*clip.past, clip.panoptic)]
    assert ids[0] & ids[1] & ids[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "test"}, "split 'test'"),
        ({"size": (1, 8)}, "at least 2"),
        ({"num_videos": 0}, "num_videos 0"),
        ({"num_frames": 0}, "num_frames 0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShapesVideo(**arguments)


def test_a_frame_that_does_not_exist(val):
    with pytest.raises(IndexError, match="960 frames"):
        val[960]
