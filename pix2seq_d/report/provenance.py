"""Where the numbers come from: checkpoint, data, sampler, command, config, versions."""

import dataclasses
import datetime
import importlib.metadata
import platform
from html import escape
from typing import Any

import pix2seq_d
from pix2seq_d import config as config_lib
from pix2seq_d.config import Config

_PACKAGES = ("jax", "flax", "numpy")


@dataclasses.dataclass(frozen=True)
class Run:
    """One evaluation.

    Attributes:
      config: what it ran with.
      checkpoint: folder of the training.
      step: of the checkpoint.
      num_parameters: of the model.
      evaluated: such as "256 images".
      command: that was called.
      devices: that it ran on, such as "1 x cpu".
      time: when the page was made.
    """

    config: Config
    checkpoint: str
    step: int
    num_parameters: int
    evaluated: str
    command: str
    devices: str
    time: datetime.datetime

    @property
    def name(self) -> str:
        """What to call the model: the folder it was trained in, and the step."""
        return f"{self.checkpoint.rstrip('/').rpartition('/')[2]}, step {self.step:,}"


def facts(run: Run) -> list[str]:
    """What was evaluated, in a few lines."""
    rows = [
        ("model", _model(run)),
        ("data", _data(run)),
        ("sampler", sampler(run.config)),
        ("checkpoint", f"{run.checkpoint}, step {run.step:,}"),
        ("made", f"{run.time:%Y-%m-%d %H:%M} {run.time.tzname() or ''}".strip()),
        ("command", run.command),
    ]
    items = "".join(
        f"<dt>{name}</dt><dd>{f'<code>{escape(v)}</code>' if code else escape(v)}</dd>"
        for name, v in rows
        for code in (name in ("checkpoint", "command"),)
    )
    return [f'<dl class="facts">{items}</dl>']


def sections(run: Run) -> list[str]:
    """The whole config, what differs from the defaults in bold, and the versions."""
    defaults = config_lib.flatten(Config())
    groups: dict[str, list[str]] = {}
    for path, value in config_lib.flatten(run.config).items():
        group, _, name = path.rpartition(".")
        same = value == defaults[path]
        shown = escape(_text(value))
        groups.setdefault(group, []).append(
            f"<dt>{name}</dt><dd>{shown if same else f'<b>{shown}</b>'}</dd>"
        )
    cards = "".join(
        f'<div class="card"><h3>{group}</h3><dl>{"".join(items)}</dl></div>'
        for group, items in groups.items()
    )
    versions = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in _versions(run)
    )
    return [
        "<h2>Config and versions</h2>",
        "<details><summary>Config: all fields; bold is not the default</summary>"
        f'<div class="config">{cards}</div></details>',
        f'<dl class="facts">{versions}</dl>',
    ]


def _model(run: Run) -> str:
    model = run.config.model
    (height, width), (rows, columns) = model.image_size, model.mask_size
    kind = ""
    if model.num_cond_frames:
        kind = f"video with {model.num_cond_frames} past frames, "
    return (
        f"{kind}images {width} x {height}, masks {columns} x {rows}, "
        f"{run.num_parameters / 1e6:,.3g} M parameters"
    )


def _data(run: Run) -> str:
    source = run.config.data.source
    names = [source.name, source.builder, source.root, source.eval_split]
    return ", ".join([*filter(None, names), run.evaluated])


def sampler(config: Config) -> str:
    """The sampler of a config, for people."""
    diffusion = config.diffusion
    steps = f"{diffusion.num_steps} steps"
    if config.model.num_cond_frames:
        steps += f" for the first frame, {diffusion.num_steps_next} for each later one"
    text = (
        f"{diffusion.sampler}, {steps}, time difference {diffusion.time_difference:g}"
    )
    if diffusion.start_time < 1:
        text += f", first noise taken for t = {diffusion.start_time:g}"
    return text


def _versions(run: Run) -> list[tuple[str, str]]:
    return [
        ("pix2seq_d", pix2seq_d.__version__),
        ("Python", platform.python_version()),
        *((name, importlib.metadata.version(name)) for name in _PACKAGES),
        ("devices", run.devices),
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else repr(value)
