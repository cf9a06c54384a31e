"""Records of several processes: whole ones count, in whatever folder they are."""

import json
import threading
import time

import pytest

from pix2seq_d.cli import evaluate_records
from pix2seq_d.cli.evaluate_records import left
from pix2seq_d.cli.evaluate_shard import WHOLE
from pix2seq_d.evaluation.shards import Shards

SETTINGS = {"step": 2, "size": (32, 32)}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shards" / "images"


def add(shards, *positions, score="good"):
    for position in positions:
        (shards.own / f"{position}.png").write_bytes(b"png of %d" % position)
        shards.add(position, [score, position], files=[f"{position}.png"], seconds=1.5)


def test_records_of_all_processes_are_found_with_their_files(folder):
    first, second = Shards(folder, SETTINGS), Shards(folder, SETTINGS)
    assert first.records() == {} and not folder.exists()
    add(first, 5, 0)
    add(second, 3)
    add(first, 7)
    records = Shards(folder, SETTINGS).records()
    assert sorted(records) == [0, 3, 5, 7]
    for position, record in records.items():
        assert record.score == ["good", position] and record.seconds == 1.5
        assert (
            (record.folder / f"{position}.png").read_bytes().endswith(b"%d" % position)
        )
    assert records[3].folder == second.own != first.own == records[7].folder


def test_shards_that_overlap_have_to_agree(folder):
    add(Shards(folder, SETTINGS), 1, 2)
    add(Shards(folder, SETTINGS), 2, 3)
    assert sorted(Shards(folder, SETTINGS).records()) == [1, 2, 3]
    add(Shards(folder, SETTINGS), 3, score="other")
    message = r"/images/\S+ and /\S+ have other scores of number 3, as of other dev"
    with pytest.raises(ValueError, match=message):
        Shards(folder, SETTINGS).records()


@pytest.mark.parametrize("content", [None, b"", b"png of 9"])
def test_a_record_whose_file_is_not_whole_is_none(folder, content):
    shards = Shards(folder, SETTINGS)
    add(shards, 4, 5)
    path = shards.own / "4.png"
    path.unlink() if content is None else path.write_bytes(content)
    assert list(Shards(folder, SETTINGS).records()) == [5]
    # It is scored again by another process, to the same.
    add(Shards(folder, SETTINGS), 4)
    assert sorted(Shards(folder, SETTINGS).records()) == [4, 5]


def test_a_killed_process_leaves_whole_lines_only(folder):
    shards = Shards(folder, SETTINGS)
    add(shards, 1, 2)
    journal = shards.own / "journal.jsonl"
    text = journal.read_bytes()
    header, first, _ = (len(line) for line in text.splitlines(keepends=True))
    for end, expected in (
        (len(text), [1, 2]),
        (len(text) - 1, [1]),
        (header + first + 1, [1]),
        (header + 5, []),
        (header - 1, []),
        (0, []),
    ):
        journal.write_bytes(text[:end])
        assert list(Shards(folder, SETTINGS).records()) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SETTINGS | {"step": 3}, "has step 2, not 3; finish it with the same, delete"),
        (SETTINGS | {"size": (32, 64)}, r"has size \[32, 32\], not \[32, 64\]"),
        (SETTINGS | {"more": 1}, "has more None, not 1"),
        ({"step": 2}, r"has size \[32, 32\], not None"),
    ],
)
def test_another_setting_is_refused_by_name(folder, settings, message):
    add(Shards(folder, SETTINGS), 1)
    with pytest.raises(ValueError, match=message):
        Shards(folder, settings).records()


def test_of_two_that_end_at_once_one_makes_the_results(folder):
    shards, entered = [Shards(folder, SETTINGS) for _ in range(2)], threading.Event()
    add(shards[0], 1)
    ended = []

    def second():
        entered.wait()
        try:
            with shards[1].locked():
                ended.append("entered")
        except FileNotFoundError:
            ended.append("was removed")

    thread = threading.Thread(target=second)
    thread.start()
    with shards[0].locked():
        entered.set()
        time.sleep(0.2)
        assert ended == []
        shards[0].finish()
    thread.join()
    assert ended == ["was removed"]
    assert [path.name for path in folder.parent.iterdir()] == ["images.json"]


def finish(shards, monkeypatch, own=None, *, total=1):
    if own is not None:
        monkeypatch.setattr(evaluate_records, "gather", lambda value: own)
    return evaluate_records.finish(shards, WHOLE, dict, total=total, unit="image")


def test_what_others_have_ended_meanwhile_is_said(folder, monkeypatch, capsys):
    shards, other = Shards(folder, SETTINGS), Shards(folder, SETTINGS)
    add(shards, 0)
    add(other, 1)
    assert finish(shards, monkeypatch, total=3) is None
    assert "1 of 3 images are not evaluated yet: 2:3;" in capsys.readouterr().err
    assert list(finish(other, monkeypatch, total=2)) == [0, 1]
    assert finish(shards, monkeypatch, total=2) is None
    assert capsys.readouterr().err == "another process has written the results\n"
    message = "another process evaluated the same and has written the results; give"
    with (
        pytest.raises(RuntimeError, match=message),
        evaluate_records.under_way(shards),
    ):
        shards.add(1, "late")


def test_results_that_could_not_be_written_lose_no_record(folder):
    shards = Shards(folder, SETTINGS)
    add(shards, 1, 0)

    def full(records):
        raise OSError("no space left")

    size = {"total": 2, "unit": "image"}
    with pytest.raises(OSError, match="no space left"):
        evaluate_records.finish(shards, WHOLE, full, **size)
    again = Shards(folder, SETTINGS)
    assert left(again, WHOLE, **size) == []
    assert evaluate_records.finish(again, WHOLE, list, **size) == [0, 1]
    assert left(again, WHOLE, **size) == [0, 1]


def test_a_job_whose_hosts_have_outputs_of_their_own_is_told(folder, monkeypatch):
    shards = Shards(folder, SETTINGS)
    add(shards, 0)
    own = [str(shards.own), None, str(folder / "host-1234")]
    with pytest.raises(FileNotFoundError, match="--output that is one folder for all"):
        finish(shards, monkeypatch, own)
    assert list(shards.records()) == [0]


def test_finishing_leaves_other_evaluations_and_what_was_evaluated(folder):
    shards, ladder = Shards(folder, SETTINGS), Shards(folder.parent / "ladder", {})
    add(shards, 1)
    add(ladder, 1)
    shards.finish()
    assert {path.name for path in folder.parent.iterdir()} == {"ladder", "images.json"}
    assert shards.finished and Shards(folder, SETTINGS).finished
    assert not ladder.finished and not Shards(folder, {"step": 3}).finished
    with pytest.raises(FileNotFoundError):
        shards.add(2, "late")
    assert list(ladder.records()) == [1]


def test_the_journal_is_text_that_people_read(folder):
    shards = Shards(folder, SETTINGS)
    add(shards, 6)
    lines = (shards.own / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"settings": {"step": 2, "size": [32, 32]}},
        {
            "position": 6,
            "score": ["good", 6],
            "files": {"6.png": 3018491995},
            "seconds": 1.5,
        },
    ]
