"""The paper's ablations at a small scale: drawn shapes, or the user's own data.

Ours. One model of 1.2 M parameters that two CPU cores train in minutes. What is checked
is the direction that the paper reports, not its figures.
"""

from typing import Any

from pix2seq_d.reproduce import paper
from pix2seq_d.reproduce.recipes import Check, Overrides, Row, Sampler, Table

SEEDS = (0, 1)
SHAPES = "shapes:tiny"
CUSTOM = "custom:tiny"
# The paper draws ids at random, and so do the studies.
_DRAWN_IDS = ("data.ids.order", "random")
_OF_SHAPES: Overrides = (
    ("model.max_instances", 8),  # 7 ids, for at most 6 things
    _DRAWN_IDS,
    ("train.num_steps", 2000),
    ("train.eval_at_start", False),
)


def _sampler(num_steps: int = 10, time_difference: float = 2.0) -> Sampler:
    return Sampler(num_steps, time_difference, "ours")


def _shapes(
    name: str,
    field: str = "",
    value: Any = None,
    *,
    evaluates: str | None = None,
    sampler: Sampler | None = None,
) -> Row:
    """A row on shapes: one field differs, or it evaluates another row's weights."""
    changed = ((field, value),) if field else ()
    return Row(
        name=name,
        config=SHAPES,
        sampler=sampler or _sampler(),
        overrides=(*changed, *_OF_SHAPES),
        evaluates=evaluates,
    )


def _table(
    name: str,
    title: str,
    rows: tuple[Row, ...],
    *,
    source: str = "8.4",
    claim: str = "",
    checks: tuple[Check, ...] = (),
) -> Table:
    return Table(
        name=name,
        title=title,
        source=source,
        metric="pq",
        rows=rows,
        claim=claim,
        checks=checks,
        seeds=SEEDS,
        is_ours=True,
    )


# The bit scale of shapes:tiny itself, and the weights that many rows share.
BASE = "study_bit_scale/b_0.45"

STUDY_BIT_SCALE = _table(
    "study_bit_scale",
    "Shapes: the input scale b; 0.45 is the recipe's own",
    (
        *(_shapes(f"b_{b}", "model.bit_scale", b) for b in (0.03, 0.1, 0.3)),
        _shapes("b_0.45"),
        _shapes("b_1.0", "model.bit_scale", 1.0),
    ),
    claim=paper.ABLATION_BIT_SCALE.claim,
    checks=paper.ABLATION_BIT_SCALE.checks,
)
STUDY_LOSS = _table(
    "study_loss",
    "Shapes: the loss",
    (
        _shapes("l2", "model.prediction", "x"),
        _shapes("cross_entropy", evaluates=BASE),
    ),
    claim=paper.ABLATION_LOSS.claim,
    checks=paper.ABLATION_LOSS.checks,
)
STUDY_LOSS_WEIGHT = _table(
    "study_loss_weight",
    "Shapes: the exponent p of the loss weights",
    (
        _shapes("p_0", "diffusion.loss_weight_power", 0.0),
        _shapes("p_0.2", evaluates=BASE),
        *(_shapes(f"p_{p}", "diffusion.loss_weight_power", p) for p in (0.4, 0.6)),
    ),
    claim=paper.ABLATION_LOSS_WEIGHT.claim,
    checks=paper.ABLATION_LOSS_WEIGHT.checks,
)
STUDY_STEPS = _table(
    "study_steps",
    "Shapes: sampler steps",
    tuple(
        _shapes(f"{steps}_steps", evaluates=BASE, sampler=_sampler(steps))
        for steps in (1, 2, 5, 10, 20, 50)
    ),
    source="8.1",
    claim=paper.STEPS.claim,
    checks=paper.STEPS.checks,
)
STUDY_TIME_DIFFERENCE = _table(
    "study_time_difference",
    "Shapes: the time difference",
    tuple(
        _shapes(
            f"{steps}_steps_td_{difference}",
            evaluates=BASE,
            sampler=_sampler(steps, float(difference)),
        )
        for steps in (5, 10, 20)
        for difference in (0, 1, 2, 3)
    ),
    claim=paper.TIME_DIFFERENCE.claim,
    checks=paper.TIME_DIFFERENCE.checks,
)
STUDY_SELF_CONDITIONING = _table(
    "study_self_conditioning",
    "Shapes: self-conditioning on the estimate of x0 or of eps",
    (
        _shapes("none", evaluates=BASE),
        _shapes("x", "model.self_conditioning", "x"),
        _shapes("eps", "model.self_conditioning", "eps"),
    ),
    source="2.7",
    claim="the released configs have none [code]; no ablation of it is known",
)
STUDY_CONDITIONING = _table(
    "study_conditioning",
    "Shapes: how the decoder sees the image",
    (
        _shapes("concat_and_cross_attention", evaluates=BASE),
        _shapes("concat", "model.conditioning", ("concat",)),
        _shapes("cross_attention", "model.conditioning", ("cross_attention",)),
        _shapes("no_image", "model.conditioning", ()),
    ),
    source="4.5",
    claim="the released configs have both [code]; no ablation of it is known",
)


def _custom(table: Table, title: str) -> Table:
    """A study of shapes on the user's data; the length is the config's own."""
    rows = tuple(
        Row(
            name=row.name,
            config=CUSTOM,
            sampler=row.sampler,
            overrides=(
                *(pair for pair in row.overrides if pair not in _OF_SHAPES),
                _DRAWN_IDS,
            ),
            evaluates=row.evaluates and row.evaluates.replace("study_", "custom_"),
        )
        for row in table.rows
    )
    return _table(
        table.name.replace("study_", "custom_"),
        title,
        rows,
        source=table.source,
        claim=table.claim,
        checks=table.checks,
    )


TABLES = (
    *(STUDY_BIT_SCALE, STUDY_LOSS, STUDY_LOSS_WEIGHT, STUDY_STEPS),
    *(STUDY_TIME_DIFFERENCE, STUDY_SELF_CONDITIONING, STUDY_CONDITIONING),
)
CUSTOM_TABLES = (
    _custom(STUDY_BIT_SCALE, "Your data: the input scale b"),
    _custom(STUDY_LOSS, "Your data: the loss"),
    _custom(STUDY_LOSS_WEIGHT, "Your data: the exponent p of the loss weights"),
    _custom(STUDY_STEPS, "Your data: sampler steps"),
)
