"""Results of videos: what is written, and runs that are killed."""

import json

import numpy as np
import pytest
from door_videos import CLIP, DOOR, SKY, SPACE, frame, same, write
from PIL import Image

from pix2seq_d.data.davis import decode_objects
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.image_files import File
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.video_results import MAX_INDEX, VideoResults


def files_of(directory):
    return {
        str(p.relative_to(directory)): p.read_bytes()
        for p in directory.rglob("*")
        if p.is_file()
    }


def test_drawn_videos_come_back_with_their_tracks(tmp_path):
    source = ShapesVideo("val", size=(24, 32), num_videos=1, num_frames=6)
    maps = [example.panoptic for example in source]
    with VideoResults(tmp_path, "shapes", source.label_space) as results:
        for panoptic in maps:
            results.write(panoptic, time_s=0.0)
        for panoptic, found in zip(maps, results.finished(), strict=True):
            same(found, panoptic)
            things = {s.id: s.instance for s in panoptic.segments if s.instance}
            assert things.items() <= {s.id: s.instance for s in found.segments}.items()


def davis(directory, stem="00000", video="clip"):
    return Image.open(directory / "davis" / video / f"{stem}.png")


def test_palette_pngs_hold_the_track_numbers(tmp_path):
    results = write(tmp_path, [frame(1, 254), frame(2)])
    image = davis(tmp_path)
    assert image.mode == "P"
    expected = np.zeros((6, 10), int)
    expected[1:4, :2], expected[1:4, 2:4] = 1, 254
    np.testing.assert_array_equal(np.asarray(image), expected)
    palette = np.array(image.getpalette()).reshape(-1, 3)
    # As DAVIS's own files.
    assert palette[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert palette[255].tolist() == [224, 224, 192] and len(palette) == 256
    assert results.note == ""
    file = File.read(tmp_path / "davis/clip/00000.png")
    found = decode_objects(file, find_spare=lambda: 0)
    assert [s.instance for s in found.segments] == [1, 254]


def test_crowds_stuff_and_things_without_a_number_are_no_objects(tmp_path):
    ids = frame(1, 2, 3).ids
    segments = (
        Segment(1, SKY, instance=9),
        Segment(1001, DOOR, is_crowd=True, instance=1),
        Segment(1002, DOOR),
        Segment(1003, DOOR, instance=0),
    )
    write(tmp_path, [PanopticMap(ids, segments)])
    assert not np.asarray(davis(tmp_path)).any()


def test_numbers_above_254_are_left_out_and_counted(tmp_path):
    maps = [frame(254, 255), frame(255, 300), frame(300, 2)]
    results = write(tmp_path, maps)
    assert np.unique(np.asarray(davis(tmp_path))).tolist() == [0, MAX_INDEX]
    assert np.unique(np.asarray(davis(tmp_path, "00002"))).tolist() == [0, 2]
    assert "davis/clip: lacks 2 tracks with numbers above 254" in results.note
    resumed = write(tmp_path, maps, resume=True)
    assert resumed.note == results.note
    same(next(resumed.finished()), maps[0])


@pytest.mark.parametrize("num_done", [0, 1, 3, 5])
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(tmp_path, num_done):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run = {"checkpoint": "work/a", "seed": 3}
    write(whole, CLIP, run=run)
    results = VideoResults(killed, "clip", SPACE, run=run)  # never closed
    for k, panoptic in enumerate(CLIP[:num_done]):
        results.write(panoptic, time_s=k / 24)
    # In the middle of the next frame.
    (killed / "panoptic/clip" / f"{num_done:05d}.png.part").write_bytes(b"half")
    with (killed / "frames/clip.jsonl").open("a") as log:
        log.write('{"name": "0000')
    assert not (killed / "panoptic.json").exists()
    with VideoResults(killed, "clip", SPACE, resume=True, run=run) as results:
        assert results.next_frame == num_done
        for k, panoptic in enumerate(results.finished()):
            same(panoptic, CLIP[k])
        for k, panoptic in enumerate(CLIP[num_done:], start=num_done):
            results.write(panoptic, time_s=k / 24)
    left = files_of(killed)
    left.pop(f"panoptic/clip/{num_done:05d}.png.part", None)
    assert left == files_of(whole)


def test_a_frame_whose_png_is_gone_is_done_again_with_all_that_follow(tmp_path):
    write(tmp_path, CLIP)
    before = files_of(tmp_path)
    (tmp_path / "davis/clip/00002.png").unlink()
    with VideoResults(tmp_path, "clip", SPACE, resume=True) as results:
        assert results.next_frame == 2
        for k, panoptic in enumerate(CLIP[2:], start=2):
            results.write(panoptic, time_s=k / 24)
    assert files_of(tmp_path) == before


def test_without_resume_an_earlier_run_is_removed(tmp_path):
    write(tmp_path, CLIP, run={"seed": 1})
    write(tmp_path, CLIP[:2], run={"seed": 2})
    pngs = sorted(p.name for p in (tmp_path / "panoptic/clip").iterdir())
    assert pngs == ["00000.png", "00001.png"]
    assert len(list((tmp_path / "davis/clip").iterdir())) == 2
    content = json.loads((tmp_path / "panoptic.json").read_text())
    assert len(content["annotations"][0]["annotations"]) == 2


@pytest.mark.parametrize("folder", ["panoptic", "davis"])
def test_pngs_of_somebody_else_are_not_touched(tmp_path, folder):
    png = tmp_path / folder / "clip" / "00000.png"
    png.parent.mkdir(parents=True)
    png.write_bytes(b"truth")
    with pytest.raises(ValueError, match=rf"{folder}/clip: holds PNGs that are not of"):
        VideoResults(tmp_path, "clip", SPACE)
    assert png.read_bytes() == b"truth"


def test_resuming_another_run_is_refused_by_name(tmp_path):
    write(tmp_path, CLIP, run={"checkpoint": "a", "seed": 1})
    before = files_of(tmp_path)
    message = r"clip\.jsonl: was written with seed 1, not 2; use the same, or another"
    with pytest.raises(ValueError, match=message):
        VideoResults(
            tmp_path, "clip", SPACE, resume=True, run={"checkpoint": "a", "seed": 2}
        )
    assert files_of(tmp_path) == before


def test_videos_of_other_categories_are_refused(tmp_path):
    write(tmp_path, CLIP, "first")
    other = LabelSpace(SPACE.categories[:1])
    message = r"first\.jsonl: was written with other categories; use the same, or"
    with pytest.raises(ValueError, match=message):
        VideoResults(tmp_path, "second", other)
    # Alone and anew it may have any.
    with VideoResults(tmp_path, "first", other) as results:
        results.write(
            PanopticMap(np.ones((2, 2), np.int32), (Segment(1, SKY),)), time_s=0
        )


def test_after_an_error_there_is_no_json_but_the_frames(tmp_path):
    write(tmp_path, CLIP[:1])
    with (
        pytest.raises(RuntimeError, match="in between"),
        VideoResults(tmp_path, "clip", SPACE) as results,
    ):
        results.write(CLIP[0], time_s=0.0)
        raise RuntimeError("in between")
    assert not (tmp_path / "panoptic.json").exists()
    assert (tmp_path / "panoptic/clip/00000.png").exists()
    assert VideoResults(tmp_path, "clip", SPACE, resume=True).next_frame == 1


def test_frames_may_have_the_names_of_their_images(tmp_path):
    with VideoResults(tmp_path, "clip", SPACE) as results:
        path = results.write(CLIP[0], time_s=0.0, name="img_0012")
        assert path == tmp_path / "panoptic/clip/img_0012.png" and path.is_file()
        with pytest.raises(ValueError, match=r"'img_0012' was written before; use"):
            results.write(CLIP[0], time_s=0.0, name="img_0012")
        with pytest.raises(ValueError, match=r"'\.\./a': cannot name a file"):
            results.write(CLIP[0], time_s=0.0, name="../a")
        assert results.next_frame == 1
    assert (tmp_path / "davis/clip/img_0012.png").is_file()


@pytest.mark.parametrize("video", ["", ".hidden", "a/b", "a:b", "a\\b"])
def test_a_video_needs_the_name_of_a_folder(tmp_path, video):
    with pytest.raises(ValueError, match=r"cannot name a file or folder; give another"):
        VideoResults(tmp_path, video, SPACE)


def test_a_map_that_cannot_be_written_leaves_no_trace(tmp_path):
    bad = PanopticMap(np.full((2, 2), 5, np.int32), (Segment(5, 99),))
    with VideoResults(tmp_path, "clip", SPACE) as results:
        with pytest.raises(ValueError, match=r"segment 5 has category_id 99"):
            results.write(bad, time_s=0.0)
        assert results.next_frame == 0
        assert not list((tmp_path / "panoptic/clip").iterdir())
        results.write(CLIP[0], time_s=0.0)
    assert len(list((tmp_path / "panoptic/clip").iterdir())) == 1
