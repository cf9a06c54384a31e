"""Files of prices: read, or refused in one line that names file, field and cure."""

import json

import pytest

from pix2seq_d.accelerators import ACCELERATORS
from pix2seq_d.cli import app, train
from pix2seq_d.dry_run import prices

GOOD = {
    "date": "2026-11-01",
    "currency": "USD",
    "source": "an offer",
    "per_device_hour": {"h100": 2.5, "v5e": 1},
}


def test_every_accelerator_has_a_key_of_its_own():
    keys = [prices.key(one) for one in ACCELERATORS]
    assert len(set(keys)) == len(keys)
    assert {"h100", "h200", "v5e", "v5p", "v6e", "a100_80gb", "l4"} <= set(keys)


def test_a_file_is_read(tmp_path):
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(GOOD))
    found = prices.read(file)
    assert (found.date, found.currency, found.source) == (
        "2026-11-01",
        "USD",
        "an offer",
    )
    by_name = {one.name: found.of(one) for one in ACCELERATORS}
    assert by_name["H100"] == 2.5 and by_name["TPU v5e"] == 1.0
    assert by_name["H200"] is None and by_name["H100 PCIe"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"date": None}, "lacks the field 'date'"),
        ({"date": "1.11.2026"}, "date is '1.11.2026'; make it a day as 2026-11-01"),
        ({"date": 20261101}, "date is 20261101; make it a text"),
        ({"currency": ""}, "currency is ''; make it a text"),
        ({"source": None}, "lacks the field 'source'"),
        ({"per_device_hour": None}, "lacks the field 'per_device_hour'"),
        ({"per_device_hour": {}}, "per_device_hour is no object with prices"),
        ({"per_device_hour": [2.5]}, "per_device_hour is no object with prices"),
        ({"per_device_hour": {"h1000": 1}}, "unknown device 'h1000'; choose of"),
        ({"per_device_hour": {"h100": 0}}, "per_device_hour.h100 is 0; make it"),
        ({"per_device_hour": {"h100": "2.5"}}, "per_device_hour.h100 is '2.5'; make"),
        ({"per_device_hour": {"h100": True}}, "per_device_hour.h100 is True; make it"),
        ({"per_device_hour": {"h100": float("nan")}}, "per_device_hour.h100 is nan"),
        ({"per_device_hours": {"h100": 1}}, "unknown field 'per_device_hours'"),
    ],
)
def test_a_wrong_field_is_said_in_one_line_before_anything_is_compiled(
    tmp_path, capsys, change, message
):
    content = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(content))
    refused(file, capsys, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "no JSON file"), ("[]", "no JSON object"), ("\xff", "no JSON file")],
)
def test_what_is_no_object_is_said_in_one_line(tmp_path, capsys, text, message):
    file = tmp_path / "prices.json"
    file.write_bytes(text.encode("latin-1"))
    refused(file, capsys, message)


def test_a_missing_file_and_a_folder_are_said_in_one_line(tmp_path, capsys):
    refused(tmp_path / "absent.json", capsys, "no such file")
    refused(tmp_path, capsys, "no such file")


def refused(file, capsys, message):
    argv = ["--config=shapes:tiny", "--dry_run", f"--prices={file}"]
    assert app.run(train.main, "train", argv) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"train: error: {file}: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
