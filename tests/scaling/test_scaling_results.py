"""The file of results: gone on with, whole, and only what is missing compiled."""

import dataclasses
import datetime

import pytest

from configs import shapes
from pix2seq_d import config as config_lib
from pix2seq_d.cli import dry_run
from pix2seq_d.scaling import compiled, store
from pix2seq_d.scaling.cases import Case
from pix2seq_d.scaling.store import Results
from pix2seq_d.training import checkpoint_format

ONE = Case("train", "shapes:tiny", "v5e:2x4")
TWO = Case("train", "shapes:tiny", "v5e:2x4", (("sharding.fsdp", 4),))
SAMPLE = dataclasses.replace(ONE, what="sample")
PRINTS = {ONE.key: "a", TWO.key: "b"}


def missing(cases, *, to_the_end=True):
    results = Results({}, cases)
    return store.missing((ONE, TWO), results, PRINTS, to_the_end=to_the_end)


def test_a_case_says_what_it_is():
    assert TWO.key == "train shapes:tiny v5e:2x4 sharding.fsdp=4"
    assert (TWO.accelerator, TWO.chips) == ("TPU v5e", 8)


def test_what_has_no_record_or_one_of_another_config_is_missing():
    made = {"fingerprint": "a", "fits": True, "cycles": 5}
    assert missing({}) == [ONE, TWO]
    assert missing({ONE.key: made}) == [TWO]
    assert missing({ONE.key: made, TWO.key: made}) == [TWO]
    assert missing({ONE.key: made, TWO.key: made | {"fingerprint": "b"}}) == []


def test_what_was_stopped_early_is_missing_only_where_cycles_are_wanted():
    early = {"fingerprint": "a", "fits": True, "cycles": None}
    too_large = {"fingerprint": "b", "fits": False, "cycles": None}
    records = {ONE.key: early, TWO.key: too_large}
    assert missing(records) == [ONE]
    assert missing(records, to_the_end=False) == []


def test_a_record_says_when_and_of_which_code_it_is(monkeypatch):
    monkeypatch.setattr(compiled, "_settle", lambda *_: {"bytes": 7})
    monkeypatch.setattr(checkpoint_format, "commit", lambda: "0123")
    config = dry_run.settle(config_lib.from_config_dict(shapes.get_config("tiny")))[0]
    found = compiled.record(ONE, config, to_the_end=False)
    assert (found["fits"], found["bytes"], found["cycles"]) == (True, 7, None)
    today = datetime.date.today().isoformat()
    assert (found["date"], found["commit"]) == (today, "0123")


def test_the_fingerprint_is_of_what_is_compiled():
    def fingerprint(case, **change):
        fields = shapes.get_config("tiny")
        fields.update_from_flattened_dict(change)
        config = dry_run.settle(config_lib.from_config_dict(fields))[0]
        return compiled.fingerprint(case, config)

    first = fingerprint(ONE)
    assert first == fingerprint(ONE)
    assert first == fingerprint(ONE, **{"evaluation.batch_size": 3, "data.flip": 0.1})
    others = {
        fingerprint(dataclasses.replace(ONE, slice="v5e:4x4")),
        fingerprint(SAMPLE),
        fingerprint(SAMPLE, **{"evaluation.batch_size": 3}),
        fingerprint(ONE, **{"train.remat": "blocks"}),
        fingerprint(ONE, **{"model.decoder.dim": 40}),
        fingerprint(ONE, **{"data.ids.order": "random"}),
    }
    assert len(others | {first}) == 7


def test_results_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "scaling.json"
    assert store.read(path) == Results({}, {})
    results = Results({"shapes:tiny": {"batch": 8}}, {ONE.key: {"cycles": None}})
    store.write(path, results)
    assert store.read(path) == results


@pytest.mark.parametrize(
    ("text", "message"), [("{", "no JSON file"), ('{"cases": {}}', "no results of")]
)
def test_another_file_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "scaling.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"scaling.json: {message}"):
        store.read(path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path.name}: is a folder; give a file"):
        store.read(tmp_path)
