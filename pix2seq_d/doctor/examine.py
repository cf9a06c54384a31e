"""The whole examination: each split, its files in threads, then the splits together."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pix2seq_d.doctor import capacity, layouts, leaks, statistics
from pix2seq_d.doctor.facts import Checked
from pix2seq_d.doctor.finding import ERROR, Finding, from_error
from pix2seq_d.doctor.layouts import is_train
from pix2seq_d.doctor.split import Split
from pix2seq_d.doctor.statistics import Statistics
from pix2seq_d.progress import Progress


@dataclasses.dataclass(frozen=True)
class SplitResult:
    """A split that could be opened, and what was found in it.

    Attributes:
      split: the split.
      checked: of each example that was decoded, in order.
      statistics: counts over them.
    """

    split: Split
    checked: tuple[Checked, ...]
    statistics: Statistics


@dataclasses.dataclass(frozen=True)
class Examination:
    """What there is to say about a dataset.

    Attributes:
      root: its folder.
      layout: see `layouts.LAYOUTS`.
      splits: those that could be opened.
      findings: about all of it.
    """

    root: str
    layout: str
    splits: tuple[SplitResult, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[Finding]:
        """The findings that stop a training or an evaluation."""
        return [f for f in self.findings if f.severity == ERROR]


def examine(
    root: Path,
    *,
    layout: str = "auto",
    builder: str = "",
    splits: Sequence[str] = (),
    model: capacity.Capacity | None = None,
    complete: bool = False,
    limit: int | None = None,
    num_workers: int = 2,
) -> Examination:
    """Examines a dataset; shows its progress on standard error.

    Args:
      root: the folder.
      layout: one of `layouts.LAYOUTS`, or `auto`.
      builder: of TFDS, whose data_dir is the folder.
      splits: names; those found by default.
      model: what a model holds; without one, what the largest shipped configs do.
      complete: whether it must have a split to train and one to evaluate on, where no
        splits are named.
      limit: number of images of each split to decode; all by default.
      num_workers: threads that decode.
    Raises:
      FileNotFoundError: no such folder, or no split in it.
      ValueError: an unknown layout, or one that the files do not tell.
    """
    layout = layouts.choose(root, layout, builder)
    holds = model or capacity.Capacity()
    rule = holds.rule or layouts.id_rule(layout, builder)
    findings: list[Finding] = []
    results: list[SplitResult] = []
    for name in splits or layouts.find_splits(root, layout, builder):
        try:
            split = layouts.open_split(
                layout,
                root,
                name,
                max_instances=holds.max_instances,
                rule=rule,
                builder=builder,
            )
        except (ValueError, OSError) as error:
            found = from_error(error, "split", str(root))
            findings.append(dataclasses.replace(found, split=name))
            continue
        count = len(split) if limit is None else min(limit, len(split))
        checked = _check(split, count, num_workers)
        result = SplitResult(split, checked, statistics.count(checked))
        results.append(result)
        own = [*split.findings, *(f for c in checked for f in c.findings)]
        own += leaks.find_duplicates(checked)
        own += statistics.remarks(result.statistics, where=split.where, rule=rule)
        own += capacity.remarks(
            result.statistics, split.label_space, where=split.where, model=model
        )
        findings += [dataclasses.replace(f, split=name) for f in own]
    findings += _compare(results)
    if complete and not splits:
        findings += _lone_split([r.split.name for r in results], str(root))
    return Examination(str(root), layout, tuple(results), tuple(findings))


def _check(split: Split, count: int, num_workers: int) -> tuple[Checked, ...]:
    progress = Progress(f"checking {split.name}", count, unit="image")
    checked = []
    with warnings.catch_warnings(), ThreadPoolExecutor(num_workers) as pool:
        # Of huge images, which have a finding of their own, and of damaged EXIF.
        warnings.filterwarnings("ignore", module="PIL")
        for done, found in enumerate(pool.map(split.check, range(count)), start=1):
            checked.append(found)
            progress.update(done)
    return tuple(checked)


def _lone_split(names: Sequence[str], where: str) -> list[Finding]:
    """A training with default settings reads one split to train on and another."""
    if len(names) > 1 or not names:
        return []
    lacking = "evaluate" if is_train(names[0]) else "train"
    field = "eval_split" if is_train(names[0]) else "train_split"
    message = f"has the split {names[0]!r} only, there is none to {lacking} on"
    cure = (
        f"make one, or give the same one twice, --config.data.source.{field}={names[0]}"
    )
    return [Finding("lone_split", where, message, cure)]


def _compare(results: Sequence[SplitResult]) -> list[Finding]:
    """Findings about several splits, or about what the training split lacks."""
    found: list[Finding] = []
    training = [r for r in results if is_train(r.split.name)]
    if not training:
        return found
    first, rest = training[0], [r for r in results if r is not training[0]]

    def add(split: str, compare: Callable[[], list[Finding]]) -> None:
        found.extend(dataclasses.replace(f, split=split) for f in compare())

    labels = first.split.label_space
    for other in rest:
        name = other.split.name
        add(
            name,
            functools.partial(
                leaks.find_leaks,
                first.checked,
                other.checked,
                train_name=first.split.name,
            ),
        )
        if labels and other.split.label_space:
            add(
                name,
                functools.partial(
                    statistics.compare_categories,
                    labels,
                    other.split.label_space,
                    where=other.split.where,
                    train_name=first.split.name,
                ),
            )
    # Images that were not decoded may show the classes that seem absent.
    complete = len(first.checked) == len(first.split)
    if labels and complete and first.statistics.num_images:
        val = statistics.count([c for r in rest for c in r.checked])
        add(
            first.split.name,
            functools.partial(
                statistics.compare_classes,
                first.statistics,
                val,
                labels,
                where=first.split.where,
            ),
        )
    return found
