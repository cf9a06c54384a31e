"""The plan of every table, with tiny models: what it needs, in which order."""

import dataclasses
import json
import shlex

import pytest

from pix2seq_d.cli import evaluate, reproduce
from pix2seq_d.dry_run import forward, prices
from pix2seq_d.reproduce import jobs, plan, plan_text, runs, states
from pix2seq_d.reproduce.catalogue import TABLES
from pix2seq_d.reproduce.recipes import find_table


@pytest.fixture
def given(micro, tmp_path):
    def make(**changed):
        settings = {
            "workdir": tmp_path / "work",
            "roots": {},
            "detection_encoder": "",
            "overrides": tuple(a for a in micro if "diffusion.num_steps" not in a),
            "for_evaluation": evaluate.OVERRIDES,
            "load": lambda arguments: reproduce._load_once(tuple(arguments)),
        }
        return runs.Given(**settings | changed)

    return make


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_commands_of_a_table(table, given):
    made_by = given()
    paths = [f"{table.name}/{row.name}" for row in table.rows]
    todo = list(jobs.todo(paths, table.seeds, made_by))
    done = set()
    for job in todo:
        run = job.runs[0]
        flags = [flag for flag in job.flags if not flag.startswith("--workdir")]
        if job.command == "train":
            assert made_by.load(flags) == run.config
            start = run.row.start
            assert start is None or (start, run.seed) in done
            done.add((run.path, run.seed))
        else:
            assert ((run.row.evaluates or run.path), run.seed) in done
        assert shlex.split(job.text)[3:] == list(job.flags)
    # Every row that is scored, or one with the same result, is evaluated once a seed.
    for seed in table.seeds:
        asked = [
            run.path
            for job in todo
            if job.command == "evaluate"
            for run in job.runs
            if run.seed == seed
        ]
        for path in jobs.scored_rows(paths):
            assert sum(twin in asked for twin in runs.twins(path)) == 1
    blocked = [states.obstacle(job.runs[0], made_by) for job in todo]
    assert all(blocked) == (not table.name.startswith("study"))


def test_a_plan_says_what_it_needs_and_costs(given):
    davis = find_table("davis", TABLES)
    known = prices.Prices("2026-11-01", "EUR", "a list", {"h100": 2.0})
    made = plan.make(["davis/paper"], (0, 1), given(), prices=known)
    text = plan_text.text(made, [davis], (0, 1))
    shown = [(line.path, line.what) for line in made.lines]
    stages = ("coco/mask_prior", "coco/low_res", "coco/high_res", "davis/paper")
    assert shown == [*((path, "train") for path in stages), (stages[-1], "evaluate")]
    steps = made.lines[1]
    config = runs.make("coco/low_res", 0, given()).config
    assert steps.flops == config.train.num_steps * forward.step_flops(config)
    assert "21.01 GB to download" in text
    assert "cannot be run: needs COCO 2017 panoptic: give --coco=DIR" in text
    assert "prices of 2026-11-01: a list" in text
    whole = sum(line.flops for line in made.lines)
    assert f"{2 * whole:.2e}" in text  # two seeds
    for job in made.jobs:
        assert job.text in text


def test_what_data_and_weights_let_be_run(given, tmp_path):
    (tmp_path / "coco").mkdir()

    def why(path, **changed):
        made = given(**changed)
        return states.obstacle(runs.make(path, 0, made), made)

    data = {"coco": str(tmp_path / "coco")}
    assert why("coco/high_res") == "needs COCO 2017 panoptic: give --coco=DIR"
    assert why("coco/mask_prior", roots=data) == ""
    assert why("coco/high_res", roots=data) == (
        "starts from coco/low_res, which needs the encoder's detection weights: give "
        "--detection_encoder=FILE"
    )
    assert why("coco/high_res", roots=data, detection_encoder="w.npz") == ""
    assert why("steps/5_steps", roots=data, detection_encoder="w.npz") == ""
    assert why("davis/paper", roots=data).endswith("give --davis=DIR")
    made = given(roots=data, detection_encoder="w.npz")
    flags = runs.train_flags(runs.make("coco/low_res", 0, made), made)
    assert f"--config.data.source.root={data['coco']}" in flags
    assert "--config.init.encoder=w.npz" in flags
    start = tmp_path / "work/coco/mask_prior/seed_0"
    assert f"--config.init.from={start}" in flags


def test_rows_that_differ_in_the_sampler_are_evaluated_at_once(given):
    made = given()
    train, steps = list(jobs.todo(["steps/5_steps", "steps/50_steps"], (0,), made))[-2:]
    assert train.name == "train coco/high_res seed 0"
    assert "--ladder=5,50" in steps.flags
    assert "--ladder_time_difference=2" in steps.flags
    paths = [f"time_difference/{n}_steps_td_{d}" for n in (5, 10) for d in (0, 1)]
    one = list(jobs.todo([*paths, "time_difference/5_steps_td_3"], (0,), made))[-2:]
    assert [job.is_ladder for job in one] == [True, False]
    assert {"--ladder=5,10", "--ladder_time_difference=0,1"} <= set(one[0].flags)


def test_what_is_the_same_by_definition_is_evaluated_once(given):
    made = given()
    base = "study_bit_scale/b_0.45"
    same = (base, "study_loss/cross_entropy", "study_time_difference/10_steps_td_2")
    paths = [*same, "study_steps/10_steps", "study_loss_weight/p_0.2"]
    assert set(paths) < set(runs.twins(base))
    asked = [job.name for job in jobs.todo(paths, (0,), made)]
    assert asked == [f"train {base} seed 0", f"evaluate {base} seed 0"]

    run = runs.make(base, 0, made)
    diffusion = dataclasses.asdict(run.config.diffusion)
    metrics = {
        "num_images": run.config.data.source.eval_images,
        "step": run.config.train.num_steps,
        "sampler": diffusion,
        "evaluation": dataclasses.asdict(run.config.evaluation),
    }
    run.score.mkdir(parents=True)
    other = {**metrics, "sampler": {**diffusion, "num_steps": 9}}
    # A score from before the sampler had a start time.
    older = {k: v for k, v in diffusion.items() if k != "start_time"}
    newer = ("split_ids", "instances", "video_as_shown")
    judged = {k: v for k, v in metrics["evaluation"].items() if k not in newer}
    older = {**metrics, "sampler": older, "evaluation": judged}
    limited = {**metrics, "left_out": 3}
    whole = {**metrics, "left_out": 0, "dtype": "float32"}
    rounded = {**metrics, "dtype": "bfloat16"}
    contents = ((metrics, True), (other, False), (older, True), (limited, False))
    for content, counts in (*contents, (whole, True), (rounded, False)):
        (run.score / "metrics.json").write_text(json.dumps(content))
        for path in paths:
            found = states.score(runs.make(path, 0, made), made)
            assert (found == (run.score, content)) if counts else found is None
