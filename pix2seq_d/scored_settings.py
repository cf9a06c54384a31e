"""What a file of scores says that it is of, so that two can be compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pix2seq_d.config import DiffusionConfig, EvaluationConfig


def comparable(made: Mapping[str, Any]) -> dict[str, Any]:
    """`made` with a sampler and an evaluation that are equal where the scores are.

    Args:
      made: JSON types; of its fields `sampler` and `evaluation` are the config's.
    Returns:
      The same with all fields of both, for older files lack some, which have their
      default, and without the number of images at once, of which no score depends.
    """
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
