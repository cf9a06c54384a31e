"""All tables: rows build, their starts exist, figures are the spec's."""

import dataclasses
import importlib
import re

import pytest

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app
from pix2seq_d.reproduce import paper, recipes, results, study
from pix2seq_d.reproduce.catalogue import TABLES
from pix2seq_d.reproduce.results import Number, Result

ROWS = [(table, row) for table in TABLES for row in table.rows]
PATHS = [f"{table.name}/{row.name}" for table, row in ROWS]
KEYS = {
    "pq": {("All", "pq"), ("Things", "pq"), ("Stuff", "pq")},
    "stq": {("STQ",), ("AQ",), ("SQ",)},
    "davis": {
        *(("J&F-Mean",), ("J-Mean",), ("J-Recall",), ("J-Decay",)),
        *(("F-Mean",), ("F-Recall",), ("F-Decay",)),
    },
}


def config_of(row):
    first, *overrides = row.flags
    file, variant = first.removeprefix("--config=").split(":")
    fields = importlib.import_module(f"configs.{file}").get_config(variant)
    made = config_lib.from_config_dict(fields)
    return made, app.override(made, overrides, allowed=("",))


@pytest.mark.parametrize(("table", "row"), ROWS, ids=PATHS)
def test_the_config_of_every_row_builds_and_has_its_overrides(table, row):
    _, config = config_of(row)
    fields = config_lib.flatten(config)
    for field, value in (*row.overrides, *row.sampler.overrides):
        assert fields[field] == value


def test_names_are_told_apart():
    assert len(set(PATHS)) == len(PATHS)
    assert len({table.name for table in TABLES}) == len(TABLES)


def test_every_row_comes_after_the_rows_that_it_needs():
    for number, (_, row) in enumerate(ROWS):
        assert not (row.start and row.evaluates)
        for path in (row.start, row.evaluates):
            assert path is None or path in PATHS[:number]


def test_a_row_that_evaluates_another_ones_weights_has_its_model_and_training():
    found = [row for _, row in ROWS if row.evaluates]
    assert found
    for row in found:
        _, own = config_of(row)
        _, trained = config_of(recipes.find_row(row.evaluates, TABLES))
        same = dataclasses.replace(own, diffusion=trained.diffusion)
        assert same == trained
        assert own.diffusion.loss_weight_power == trained.diffusion.loss_weight_power


def test_the_rows_of_an_ablation_differ_in_what_it_is_about_only():
    for name, field in (
        ("ablation_bit_scale", "model.bit_scale"),
        ("ablation_loss", "model.prediction"),
        ("ablation_loss_weight", "diffusion.loss_weight_power"),
        ("study_bit_scale", "model.bit_scale"),
        ("study_loss", "model.prediction"),
        ("study_loss_weight", "diffusion.loss_weight_power"),
        ("study_self_conditioning", "model.self_conditioning"),
        ("study_conditioning", "model.conditioning"),
        ("custom_bit_scale", "model.bit_scale"),
    ):
        table = recipes.find_table(name, TABLES)
        found = [config_lib.flatten(config_of(row)[1]) for row in table.rows]
        differ = {key for one in found for key in one if one[key] != found[0][key]}
        assert differ == {field}
        assert len({one[field] for one in found}) == len(table.rows)
        # As the paper draws them, whatever the config's own.
        assert {one["data.ids.order"] for one in found} <= {"random", "distinct"}


def test_paper_configs_have_the_samplers_of_their_rows():
    for path in (
        "coco/high_res",
        "cityscapes/paper",
        "davis/paper",
        "kitti_step/paper",
    ):
        plain, overridden = config_of(recipes.find_row(path, TABLES))
        assert plain == overridden


def test_what_has_to_be_trained_first_comes_first():
    coco = ("coco/mask_prior", "coco/low_res", "coco/high_res")
    assert recipes.needed("coco/mask_prior", TABLES) == coco[:1]
    assert recipes.needed("davis/paper", TABLES) == (*coco, "davis/paper")
    assert recipes.needed("steps/5_steps", TABLES) == coco
    assert recipes.needed("ablation_loss/cross_entropy", TABLES) == (
        "ablation_bit_scale/b_0.1",
    )


def test_flags_are_those_of_the_command():
    row = recipes.find_row("ablation_loss/l2", TABLES)
    assert row.flags == (
        "--config=coco_panoptic:ablation",
        "--config.model.prediction=x",
        "--config.diffusion.num_steps=20",
        "--config.diffusion.time_difference=2.0",
    )
    row = recipes.find_row("davis/paper", TABLES)
    assert row.flags[-1] == "--config.diffusion.num_steps_next=8"


def test_figures_have_keys_of_their_metric_and_a_tag():
    for table, row in ROWS:
        assert row.sampler.tag in recipes.TAGS
        for figure in row.figures:
            assert figure.key in KEYS[table.metric]
            assert figure.tag in recipes.TAGS
            assert 0 < figure.percent < 100
        assert row.is_scored or not row.figures


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("table1/a", "no table is called 'table1'; choose one of coco, steps"),
        ("davis/best", "davis has no row 'best'; choose one of paper"),
        ("davis", "davis has no row ''; choose one of paper"),
    ],
)
def test_unknown_names_list_the_known_ones(path, message):
    with pytest.raises(ValueError, match=message):
        recipes.find_row(path, TABLES)


def test_every_table_and_figure_stands_in_the_spec(shared):
    spec = (shared / "design/method-spec.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (8\.\d) (.*?)(?=^##)", spec, re.S | re.M))
    for table in paper.TABLES:
        section = sections[table.source]
        for row in table.rows:
            for figure in row.figures:
                number = re.escape(f"{figure.percent}")
                assert re.search(rf"(?<![\d.]){number}(?![\d.])", section)
                assert figure.tag in section


def test_the_paper_agrees_with_what_is_checked_of_it():
    judged = []
    for table in paper.TABLES:
        found = [as_result(row) for row in table.rows]
        judged += [results.judge(check, found) for check in table.checks]
    holds = {outcome.check.text: outcome.holds for outcome in judged}
    assert set(holds.values()) == {results.HOLDS, results.UNKNOWN}
    known = [text for text, held in holds.items() if held == results.HOLDS]
    assert len(known) == 8  # no figures of the time difference, none of things


def as_result(row):
    """The paper's figures as if they were ours."""
    percent = {figure.key: figure.percent for figure in row.figures}
    numbers = [
        Number(key, None, {0: percent[key]} if key in percent else {})
        for key in sorted(KEYS["pq"])
    ]
    return Result(row, tuple(numbers))


def test_a_study_has_the_rows_that_its_checks_compare():
    for table in (*study.TABLES, *study.CUSTOM_TABLES):
        assert table.is_ours
        names = {row.name for row in table.rows}
        for check in table.checks:
            assert {name for pair in check.pairs for name in pair} <= names
