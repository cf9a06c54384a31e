"""The model cards and the table of docs/models.md, made of what the files say.

`Model.about` of a shipped model has

  training     commands, commit, hardware, seconds, ended, versions
  evaluations  of all data, then of the part that tests repeat: limit, num, unit, scores
  evaluated    day, versions
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pix2seq_d.evaluation import text_table
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.models import parameter_count
from pix2seq_d.progress import duration
from pix2seq_d.report import provenance
from pix2seq_d.training.model_file import Model

TABLE = "models"  # name of the table's place in the page
# What is read out of metrics.json, and how it is called.
_OF_IMAGES = {
    "PQ": ("All", "pq"),
    "PQ things": ("Things", "pq"),
    "PQ stuff": ("Stuff", "pq"),
    "SQ": ("All", "sq"),
    "RQ": ("All", "rq"),
    "oracle PQ": ("oracle", "All", "pq"),
}
_RESULT = (
    *("data", "model", "steps", "PQ", "PQ things", "PQ stuff"),
    *("hardware", "training", "command"),
)
_OF_VIDEOS = {
    "STQ": ("STQ",),
    "AQ": ("AQ",),
    "SQ": ("SQ",),
    "VPQ": ("vpq", "vpq"),
    "oracle STQ": ("oracle", "stq", "counted", "STQ"),
}


def scores(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The scores of a card, out of the `metrics.json` of its model."""
    found = {}
    for name, path in (_OF_VIDEOS if "vpq" in metrics else _OF_IMAGES).items():
        value: Any = metrics
        for key in path:
            value = value[key]
        found[name] = value
    return found


def evaluate_flags(name: str, limit: int | None) -> list[str]:
    """Arguments of `launch.evaluate` that an evaluation of a card is made with."""
    return [f"--checkpoint={name}", *([f"--limit={limit}"] if limit else [])]


def result(name: str, model: Model, evaluation: Mapping[str, Any], command: str) -> str:
    """One row of `table`, with its head, of a model that is not shipped.

    Args:
      name: of the model.
      model: with what is said above of its training.
      evaluation: num, unit, scores.
      command: of the evaluation.
    """
    return text_table.markdown(_RESULT, [_result(name, model, evaluation, command)])


def table(models: Mapping[str, Model]) -> str:
    """The results of the models of images, by name."""
    rows = []
    for name, model in models.items():
        if model.config.model.num_cond_frames:
            continue
        whole = model.about["evaluations"][0]
        command = _evaluate(name, whole)
        rows.append(_result(name, model, whole, command))
    return text_table.markdown(_RESULT, rows)


def card(name: str, model: Model, *, num_bytes: int) -> str:
    """Data, network, size, scores, commands and limits of one model, as Markdown.

    Args:
      name: of the model.
      model: with what is said above.
      num_bytes: size of the file.
    """
    about, config = model.about, model.config
    facts = {
        "data": f"`{config.data.source.name}`, drawn by this project's code",
        **network_facts(model),
        "file": f"{num_bytes / 1e6:.1f} MB, moving average in float16",
        **training_facts(model),
    }
    names = list(about["evaluations"][0]["scores"])
    rows = [
        (
            f"`{_evaluate(name, one)}`",
            f"{one['num']} {one['unit']}",
            *(percent(one["scores"][key], 2) for key in names),
        )
        for one in about["evaluations"]
    ]
    evaluated = about["evaluated"]
    return "\n\n".join(
        (
            fact_list(facts),
            f"Scores of the file, percent, {evaluated['day']}, "
            f"{_versions(evaluated['versions'])}, CPU; tests repeat the last row:",
            text_table.markdown(("command", "of validation", *names), rows),
            "To train it again:",
            "```bash\n" + "\n".join(about["training"]["commands"]) + "\n```",
            "Limits: " + " ".join(_limits(model)),
        )
    )


def fact_list(facts: Mapping[str, str]) -> str:
    """Facts as a list, the name of each in bold."""
    return "\n".join(f"* **{fact}:** {value}" for fact, value in facts.items())


def network_facts(model: Model) -> dict[str, str]:
    """What goes in, and how large the network is."""
    return {
        "input": _input(model),
        "network": f"{_millions(model)} parameters, `model.` fields of its config",
    }


def training_facts(model: Model) -> dict[str, str]:
    """How it samples, and its training."""
    config, training = model.config, model.about["training"]
    planned = config.train.num_steps
    more = f"; {planned:,} are planned" if model.step < planned else ""
    return {
        "sampler": provenance.sampler(config),
        "steps": f"{model.step:,} of {config.train.batch_size} examples{more}",
        "seed": str(config.train.seed),
        "training": f"{duration(training['seconds'])} on {training['hardware']}",
        "ended": training["ended"],
        "commit": training["commit"] or "not recorded",
        "versions": _versions(training["versions"]),
    }


def _result(
    name: str, model: Model, evaluation: Mapping[str, Any], command: str
) -> tuple[str, ...]:
    training = model.about["training"]
    return (
        f"{model.config.data.source.name}, {evaluation['num']} {evaluation['unit']}",
        f"`{name}`, {_millions(model)}",
        f"{model.step:,}",
        *(percent(evaluation["scores"][key]) for key in _RESULT[3:6]),
        training["hardware"],
        duration(training["seconds"]),
        f"`{command}`",
    )


def _evaluate(name: str, evaluation: Mapping[str, Any]) -> str:
    flags = evaluate_flags(name, evaluation["limit"])
    return shlex.join(("python", "-m", "launch.evaluate", *flags))


def _input(model: Model) -> str:
    config = model.config.model
    image, mask = _size(config.image_size), _size(config.mask_size)
    past = config.num_cond_frames
    text = f"any image, fitted into {image}; masks of {mask}"
    return f"{text}; the masks of {past} frames before" if past else text


def _limits(model: Model) -> Sequence[str]:
    config = model.config.model
    things = ", ".join(c.name for c in model.labels.categories if c.is_thing)
    stuff = ", ".join(c.name for c in model.labels.categories if not c.is_thing)
    return (
        f"it has seen drawn scenes alone, of {stuff} with {things}; on photos its "
        "masks mean nothing.",
        f"An image has at most {config.max_instances - 1} things.",
        f"What covers less than {model.config.evaluation.min_area} px of a picture is "
        "left out: give smaller pictures than it takes a smaller --min_area.",
        f"What is smaller than a pixel of {_size(config.mask_size)}, or thin, is "
        "lost: the oracle, the truth sent through that size, shows how much.",
        "One training, one seed.",
    )


def _millions(model: Model) -> str:
    return f"{parameter_count(model.variables['params']) / 1e6:.2g} M"


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} px"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
