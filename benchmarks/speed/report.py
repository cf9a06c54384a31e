"""How a benchmark prints: an aligned table for people, and JSON with what made it."""

import dataclasses
import datetime
import importlib.metadata
import json
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from pix2seq_d.atomic_file import replace_text
from pix2seq_d.cli import app
from pix2seq_d.evaluation import text_table
from pix2seq_d.training import checkpoint_format
from speed.cost import Cost, Peaks


def costs(found: Sequence[Cost], peaks: Peaks) -> str:
    """Markdown: a row for each quantity, a column for each cost."""
    rows = [
        _row("ms a call, median", found, lambda c: 1e3 * c.seconds.median),
        _row("ms, fastest", found, lambda c: 1e3 * c.seconds.low),
        _row("ms, slowest", found, lambda c: 1e3 * c.seconds.high),
        _row("ms, handed over at once", found, lambda c: 1e3 * c.queued_s),
        _row("calls timed", found, lambda c: c.seconds.count),
        _row("images a call", found, lambda c: c.images),
        _row("images/s", found, lambda c: c.images / c.seconds.median),
        _row("GFLOP a call, model", found, lambda c: c.model_flops / 1e9),
        _row("GFLOP a call, whole program", found, lambda c: c.flops / 1e9),
        _row("GFLOP a call, XLA, loops once", found, lambda c: _giga(c.xla_flops)),
        _row("GFLOP/s, model", found, lambda c: c.model_flops / c.seconds.median / 1e9),
        _row("MFU %, of the measured product", found, lambda c: _percent(c.mfu)),
        _row("MFU %, of the vendor's peak", found, lambda c: _percent(c.vendor_mfu)),
        _row("GB moved a call and device", found, lambda c: _giga(c.bytes)),
        _row("MB temporary", found, lambda c: c.temporaries / 1e6),
        _row("MB planned", found, lambda c: c.planned / 1e6),
        _row("MB peak so far", found, lambda c: c.peak and c.peak / 1e6),
        _row("compile s", found, lambda c: c.compile_s),
    ]
    text = text_table.markdown(("", *(cost.name for cost in found)), rows)
    product = f"{peaks.product:,.4g} TFLOP/s" if peaks.product else "not measured"
    vendor = f"{peaks.vendor:,.0f} TFLOP/s" if peaks.vendor else "not known"
    return (
        f"{text}\n\nmatrix product measured in this run: {product}; vendor's bfloat16 "
        f"peak: {vendor}"
    )


def _row(title: str, found: Sequence[Cost], value: Any) -> list[str]:
    return [title, *map(number, map(value, found))]


def number(value: float | None) -> str:
    """Four digits; '-' for what is not known."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _giga(count: float | None) -> float | None:
    return None if count is None else count / 1e9


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def provenance() -> dict[str, Any]:
    """Command, commit, date, versions and devices of this process; JSON."""
    names = ("jax", "jaxlib", "flax")
    return {
        "command": shlex.join(["python", *sys.argv]),
        "commit": checkpoint_format.commit(),
        "date": datetime.date.today().isoformat(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in names},
        },
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    }


def check_output(output: str | None) -> None:
    """Raises UsageError where a result could not be written, before it is measured."""
    if output is None:
        return
    if Path(output).is_dir():
        raise app.UsageError(f"--output={output}: is a folder; name a file in it")
    folder = Path(output).resolve().parent
    if not folder.is_dir():
        raise app.UsageError(f"--output={output}: make the folder {folder} first")


def write(path: str | None, content: dict[str, Any]) -> None:
    """Writes results with their provenance as JSON.

    Args:
      path: of the file; None: writes nothing.
      content: JSON, or dataclasses of it.
    Raises:
      OSError: it cannot be written; names the file.
    """
    if path is None:
        return
    text = json.dumps(provenance() | content, indent=1, default=dataclasses.asdict)
    replace_text(Path(path), text + "\n")
