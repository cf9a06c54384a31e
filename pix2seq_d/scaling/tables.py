"""The tables of docs/scaling.md, from the file of results; every figure an estimate."""

from pix2seq_d import accelerators
from pix2seq_d.dry_run import estimate, memory
from pix2seq_d.dry_run.prices import Prices
from pix2seq_d.evaluation import text_table
from pix2seq_d.scaling import modelled, plan, predicted
from pix2seq_d.scaling.cases import Case
from pix2seq_d.scaling.compiled import Record
from pix2seq_d.scaling.store import Results


def blocks(results: Results) -> dict[str, str]:
    """Name of a place in the page -> Markdown that stands there."""
    return {
        "training": training(results),
        "sampling": sampling(results),
        "gpus": modelled.gpus(results),
        "weak": modelled.weak(results),
        "input": modelled.pipeline(results),
        "left": left(results),
    }


def training(results: Results) -> str:
    """Every compiled training step: memory, exchange, time."""
    head = ("recipe", "slice", "settings", "batch", "HBM GB, used of", "exchanged MB")
    head += ("Mcycles", "ms a step", "images/s", "MFU", "hours", "chip-hours")
    head += ("compiled",)
    rows = []
    for case, record in plan.compiled(results, "train"):
        first = [case.recipe, case.slice, _settings(case)]
        if not record["fits"]:
            rows.append([*first, *_does_not_fit(record, len(head) - 6)])
            continue
        exchanged = sum(row["bytes"] for row in record["traffic"])
        rows.append(
            [
                *first,
                str(record["batch"]),
                _memory(case, record),
                f"{exchanged / 1e6:,.0f}",
                *_time(case, record),
                _compiled(record),
            ]
        )
    return text_table.markdown(head, rows)


def sampling(results: Results) -> str:
    """Encoder and sampler, so many images on each chip at once."""
    head = ("recipe", "chip", "images", "HBM GB, used of", "ms once", "ms a step")
    head += tuple(f"images/s a chip, {n} steps" for n in plan.SAMPLER_STEPS)
    head += ("compiled",)
    rows = []
    for case, record in plan.compiled(results, "sample"):
        first = [case.recipe, case.accelerator.removeprefix("TPU ")]
        if not record["fits"]:
            rows.append([*first, "", *_does_not_fit(record, len(head) - 5)[1:]])
            continue
        clock = estimate.CLOCK_GHZ[case.accelerator] * 1e9
        once, step = record["once_cycles"] / clock, record["step_cycles"] / clock
        # The first step of a video is not in the loop.
        outside = 1 if record["is_video"] else 0
        rows.append(
            [
                *first,
                str(record["images"]),
                _memory(case, record),
                f"{1e3 * once:,.1f}",
                f"{1e3 * step:,.1f}",
                *(
                    f"{record['images'] / (once + (n - outside) * step):,.1f}"
                    for n in plan.SAMPLER_STEPS
                ),
                _compiled(record),
            ]
        )
    return text_table.markdown(head, rows) if rows else "None was compiled yet."


def left(results: Results) -> str:
    """Programs of the plan that were not compiled, or not to the end."""
    early, absent = [], []
    for case in plan.CASES:
        record = results.cases.get(case.key)
        if record is None:
            absent.append(case.key)
        elif record["fits"] and record["cycles"] is None:
            early.append(case.key)
    lines = []
    for title, keys in (("memory only", early), ("not compiled", absent)):
        names = ", ".join(f"`{key}`" for key in keys) or "none"
        lines.append(f"* {len(keys)} of {len(plan.CASES)} {title}: {names}")
    return "\n".join(lines)


def costs(results: Results, prices: Prices) -> str:
    """What the recipes cost with prices of the user, where there is one."""
    head = ("recipe", "on", "settings", "device-hours", prices.currency)
    rows = []
    for case, record in plan.compiled(results, "train"):
        price = prices.of(accelerators.named(case.accelerator))
        if record["cycles"] is not None and price is not None:
            hours = predicted.of_case(case, record).device_hours
            rows.append([case.recipe, case.slice, _settings(case), hours, price])
    for name in results.recipes:
        hours = modelled.on_gpus(results, name, 8).device_hours
        for gpu in ("H100", "H200"):
            price = prices.of(accelerators.named(gpu))
            if price is not None:
                rows.append([name, f"8 {gpu}", "40 % of the peak", hours, price])
    cells = [[*row[:3], f"{row[3]:,.0f}", f"{row[3] * row[4]:,.0f}"] for row in rows]
    note = f"estimates, nothing was run; prices of {prices.date}: {prices.source}"
    return f"{text_table.markdown(head, cells)}\n{note}"


def _settings(case: Case) -> str:
    return " ".join(case.flags) or "as it is"


def _memory(case: Case, record: Record) -> str:
    usable = memory.USABLE_GIB[case.accelerator] * 2**30
    return f"{record['bytes'] / 1e9:.1f} of {usable / 1e9:.1f}"


def _time(case: Case, record: Record) -> list[str]:
    """Cycles and all that follows from them."""
    if record["cycles"] is None:
        return ["-"] * 6
    found = predicted.of_case(case, record)
    return [
        f"{record['cycles'] / 1e6:,.1f}",
        f"{1e3 * found.scaled.beside:,.1f}",
        f"{found.images_per_second:,.0f}",
        f"{found.mfu:.0%}",
        estimate.number(found.hours),
        estimate.number(found.device_hours),
    ]


def _compiled(record: Record) -> str:
    """Date and commit, which older records lack."""
    commit = record.get("commit")
    return f"{record['date']}, {commit[:7]}" if commit else str(record["date"])


def _does_not_fit(record: Record, empty: int) -> list[str]:
    excess = (record["needed"] - record["limit"]) / 1e9
    used = f"{record['needed'] / 1e9:.1f} of {record['limit'] / 1e9:.1f}"
    first = [str(record["batch"]), f"{used}: {excess:.1f} too much"]
    return [*first, *"-" * empty, _compiled(record)]
