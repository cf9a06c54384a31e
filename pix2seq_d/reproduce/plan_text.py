"""A plan as text for a terminal, which is Markdown as well."""

from collections.abc import Mapping, Sequence

from pix2seq_d.accelerators import Accelerator
from pix2seq_d.dry_run import estimate
from pix2seq_d.dry_run.estimate import number
from pix2seq_d.evaluation import text_table
from pix2seq_d.reproduce import costs
from pix2seq_d.reproduce.jobs import Job
from pix2seq_d.reproduce.plan import Line, Plan
from pix2seq_d.reproduce.recipes import Table

_UNITS = {"h": ("hours", 1), "s": ("seconds", 3600)}  # name, of them in an hour


def text(plan: Plan, tables: Sequence[Table], seeds: Sequence[int]) -> str:
    """The whole plan."""
    parts = [_head(tables, seeds), _data(plan), _lines(plan), _total(plan)]
    if plan.jobs:
        parts.append(
            "\n".join(("commands that are left, in this order:", *_left(plan)))
        )
    return "\n\n".join(parts)


def obstacle(job: Job, blocked: Mapping[str, str]) -> str:
    """Why none of a job's runs can be run; ''."""
    return blocked.get(job.runs[0].name, "")


def _head(tables: Sequence[Table], seeds: Sequence[int]) -> str:
    lines = []
    for table in tables:
        whose = "a study of ours" if table.is_ours else "of the paper"
        lines.append(f"{table.name}: {table.title} ({whose})")
        if table.claim:
            lines.append(f"  the paper: {table.claim}")
    names = ", ".join(map(str, seeds))
    return "\n".join((*lines, f"seed{'s' if len(seeds) > 1 else ''} {names}"))


def _data(plan: Plan) -> str:
    lines = []
    for data in plan.data:
        if not data.flag:
            lines.append(f"data: {data.title}, nothing to download")
        elif not data.downloads:
            lines.append(f"data: {data.title}, --{data.flag}=DIR")
        else:
            about = "" if data.exact else "about "
            files = " + ".join(name for name, _ in data.downloads)
            lines.append(
                f"data: {data.title}, {about}{data.bytes / 1e9:,.2f} GB to download "
                f"({files}); --{data.flag}=DIR"
            )
    return "\n".join(lines) or "data: none is needed any more"


def _lines(plan: Plan) -> str:
    names = [device.name.removeprefix("TPU ") for device in costs.DEVICES]
    unit = _unit(plan)
    rows = [_line(line, unit) for line in plan.lines]
    head = (
        "row",
        "what",
        "of each seed",
        "FLOP",
        *(f"{unit} {name}" for name in names),
    )
    note = (
        f"{unit}: {_UNITS[unit][0]} of one device for one seed, at "
        f"{estimate.UTILIZATION:.0%} of its bfloat16 peak: an estimate, nothing was "
        "run. Evaluations\nwhile training and waiting for data are not in it. "
        f"{estimate.MEASURED}"
    )
    if unit == "s":
        note += " So small a model reaches far less of the peak."
    return f"{text_table.markdown((*head, 'state'), rows)}\n{note}"


def _line(line: Line, unit: str) -> tuple[str, ...]:
    if line.flops is None:
        amounts = ("?",) * (1 + len(costs.DEVICES))
    else:
        amounts = (f"{line.flops:.2e}", *_times(line.flops, unit))
    return (line.path, line.what, line.amount, *amounts, states_text(line.states))


def _times(flops: float, unit: str) -> list[str]:
    hours = (estimate.hours(flops, device) for device in costs.DEVICES)
    return [number(value * _UNITS[unit][1]) for value in hours]


def _unit(plan: Plan) -> str:
    """Hours, or seconds where even the dearest row takes less than 0.1 hours."""
    most = max((line.flops or 0.0 for line in plan.lines), default=0.0)
    hours = max(estimate.hours(most, device) for device in costs.DEVICES)
    return "h" if hours >= 0.1 else "s"


def states_text(states: Mapping[int, str]) -> str:
    """One state where all seeds have the same, else each."""
    if len(set(states.values())) == 1:
        return next(iter(states.values()))
    return "; ".join(f"seed {seed}: {state}" for seed, state in states.items())


def _total(plan: Plan) -> str:
    known = [line for line in plan.lines if line.flops is not None]
    whole = sum((line.flops or 0) * len(line.states) for line in known)
    left = sum((line.flops or 0) * line.left for line in known)
    unit = _unit(plan)
    head = ["", "FLOP", *(device.name for device in costs.DEVICES)]
    name = f"device-{_UNITS[unit][0]}, all rows and seeds"
    rows: list[tuple[str, ...]] = [
        (name, f"{whole:.2e}", *_times(whole, unit)),
        ("of them left", f"{left:.2e}", *_times(left, unit)),
    ]
    if plan.prices:
        rows.append(_money(plan, left))
    made = text_table.markdown(head, rows)
    if plan.prices:
        made += f"\nprices of {plan.prices.date}: {plan.prices.source}"
    return made


def _money(plan: Plan, left: float) -> tuple[str, ...]:
    prices = plan.prices
    assert prices is not None

    def shown(device: Accelerator) -> str:
        found = costs.money(left, device, prices)
        return "-" if found is None else number(found)

    return (f"{prices.currency} for what is left", "", *map(shown, costs.DEVICES))


def _left(plan: Plan) -> list[str]:
    lines = []
    for job in plan.jobs:
        why = obstacle(job, plan.blocked)
        lines.append(f"  {job.text}")
        if why:
            lines.append(f"    cannot be run: {why}")
    return lines
