"""The page of a tiny training: made of its workdir, and of people's words around it."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import saved_training

from pix2seq_d.cli import app, evaluate
from pix2seq_d.evaluation import text_table
from pix2seq_d.training import checkpoint

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import past_training
import results_page
import trivial_baseline

PART = ["--config.data.source.train_images=16", "--config.data.source.eval_images=8"]


@pytest.fixture(scope="module")
def workdir(micro, tmp_path_factory):
    """As two steps leave it, evaluated with another sampler, and with a ladder."""
    path = tmp_path_factory.mktemp("work") / "mine"
    more = ["--config.train.num_steps=4", "--config.train.seed=7"]
    saved_training.save(path, ["--config=shapes:tiny", *micro, *PART, *more], steps=[2])
    lines = [{"step": k, "loss": 3.0 - k, "time": 86400.0 + k} for k in (1, 2)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (path / "metrics.jsonl").write_text(text)
    fewer = ("--config.diffusion.num_steps=1", "--config.train.dtype=bfloat16")
    for more in (fewer, ["--ladder=1,2"]):
        assert app.run(evaluate.main, "evaluate", [f"--workdir={path}", *more]) == 0
    return path


def arguments(workdir, output, *more):
    return [
        *(f"--workdir={workdir}", "--config=shapes:tiny", "--name=tiny"),
        *("--hardware=a core", f"--output={output}", *more),
    ]


def made(workdir, output, *more):
    results_page.main(arguments(workdir, output, *more))
    return (output / "tiny.md").read_text()


def error_of(capsys, argv):
    assert app.run(results_page.main, "results_page", argv) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_a_page_says_where_its_numbers_are_from(workdir, tmp_path):
    text = made(workdir, tmp_path)
    found = json.loads((workdir / "evaluation/2/metrics.json").read_text())
    row = next(line for line in text.splitlines() if line.startswith("| this model"))
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert cells == [
        text_table.percent(found[group][value])
        for group in ("All", "Things", "Stuff")
        for value in ("pq", "sq", "rq")
    ]
    assert "* **seed:** 7\n" in text
    assert "* **training:** 0s on a core\n* **ended:** 1970-01-02\n" in text
    assert "* **steps:** 2 of 8 examples; 4 are planned" in text
    assert re.search(r"\* \*\*sampler:\*\* ddim, 1 steps", text)
    train_line, evaluate_line = re.findall("```bash\n(.*)\n(.*)\n```", text)[0]
    assert "launch.train --config=shapes:tiny --workdir=work/mine" in train_line
    assert "--config.train.seed=7" in train_line
    # No training depends on it, and the evaluation has its own.
    assert "diffusion.num_steps" not in train_line
    # What differs from the training, and from what its command would give it.
    assert evaluate_line == (
        "python -m launch.evaluate --workdir=work/mine --config.diffusion.num_steps=1 "
        "--config.train.dtype=bfloat16 "
        "--config.evaluation.batch_size=8 --config.evaluation.min_area=4"
    )
    assert (workdir / "evaluation/2/table.md").read_text().strip() in text
    ladder = next(line for line in text.splitlines() if "--ladder=1,2" in line)
    assert ladder.endswith("--ladder=1,2 --ladder_time_difference=2`")
    assert "train.dtype" not in ladder  # as trained, where the evaluation was not
    assert (workdir / "evaluation/2/ladder.md").read_text().strip() in text
    assert "](tiny.svg)" in text and (tmp_path / "tiny.svg").stat().st_size > 1000
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".svg"}


def test_a_training_that_started_from_another_has_both_commands(workdir):
    before = checkpoint.load(workdir)
    config = before.config.replaced(
        init={"from_": str(workdir)}, train={"num_steps": 9}
    )
    first, second = past_training.commands(
        Path("work/next"), config, before.labels, "configs/shapes.py:tiny"
    )
    # The same data: the same config, whatever its file is called.
    assert "--config=configs/shapes.py:tiny " in first
    assert "--workdir=work/mine " in first and "--config.train.num_steps=4" in first
    assert "--workdir=work/next " in second and "--config.train.num_steps=9" in second
    assert "--config.init.from=work/mine" in second


def test_words_around_the_place_stay(workdir, tmp_path):
    text = made(workdir, tmp_path)
    first = text.replace("\n\n<!-- training", "\n\nA word before.\n\n<!-- training")
    (tmp_path / "tiny.md").write_text(f"{first}\nA word after.\n")
    again = made(workdir, tmp_path)
    assert "A word before.\n\n<!-- training -->\n| data" in again
    assert again.endswith("<!-- /training -->\n\nA word after.\n")
    assert again.count("| this model") == 1


@pytest.fixture(scope="module")
def baseline(micro, tmp_path_factory):
    path = tmp_path_factory.mktemp("baseline") / "baseline.json"
    argv = ["--config=shapes:tiny", *micro, *PART, f"--output={path}"]
    trivial_baseline.main(argv)
    return path


def test_baselines_stand_beside_it(workdir, baseline, tmp_path):
    text = made(workdir, tmp_path, f"--baseline={baseline}")
    content = json.loads(baseline.read_text())
    for name, result in content["baselines"].items():
        row = next(r for r in text.splitlines() if r.startswith(f"| no model: {name} "))
        assert row.split("|")[2].strip() == text_table.percent(result["All"]["pq"])
    assert f"{content['best']}, has PQ" in text


def test_a_baseline_of_other_data_is_refused(workdir, baseline, tmp_path, capsys):
    content = json.loads(baseline.read_text())
    content["images"]["val"] += 1
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    argv = arguments(workdir, tmp_path, f"--baseline={other}")
    assert "run it on the same data" in error_of(capsys, argv)
    other.write_text("{}")
    assert "give its --output" in error_of(capsys, argv)
    assert not (tmp_path / "tiny.md").exists()


def test_a_training_that_is_not_evaluated_as_a_whole_is_refused(
    workdir, tmp_path, capsys
):
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    (path,) = copy.glob("evaluation/*/metrics.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"left_out": 2}))
    line = error_of(capsys, arguments(copy, tmp_path))
    assert "--limit left out 2 images; run python -m launch.evaluate" in line
    shutil.rmtree(copy / "evaluation")
    assert "launch.evaluate --workdir=" in error_of(capsys, arguments(copy, tmp_path))
