"""What a file of scores says that it is of, so that two can be compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pix2seq_d.config import DiffusionConfig, EvaluationConfig


def same_settings(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether scores made with `found` are those that `expected` would give.

    Of both the sampler and the evaluation are compared by all their fields: older files
    lack some, which have their default. The number of images at once is left out, of
    which no score depends, and `dtype` where a file of before does not say it.

    Args:
      found: JSON types; of its fields `sampler` and `evaluation` are the config's.
      expected: the same.
    """
    one, other = _complete(found), _complete(expected)
    if one.get("dtype") is None or other.get("dtype") is None:
        one["dtype"] = other["dtype"] = None
    return one == other


def _complete(made: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(made)
    for name, default in (
        ("sampler", DiffusionConfig()),
        ("evaluation", EvaluationConfig()),
    ):
        if isinstance(found.get(name), Mapping):
            found[name] = dataclasses.asdict(default) | found[name]
    if isinstance(found.get("evaluation"), Mapping):
        found["evaluation"]["batch_size"] = None
    return found
