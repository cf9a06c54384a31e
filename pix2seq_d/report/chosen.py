"""Which images or videos to show: the worst, the middle ones and the best."""

from collections.abc import Mapping
from typing import TypeVar

Key = TypeVar("Key", int, str)


def choose(scores: Mapping[Key, float], *, each: int) -> dict[str, list[Key]]:
    """The keys of the worst, median and best scores, by rising score, each key once.

    Args:
      scores: key -> score.
      each: how many of each kind, at most.
    Returns:
      `worst`, `median`, `best` -> keys; of few scores the later kinds have fewer.
    """
    order = sorted(scores, key=lambda key: (scores[key], key))
    middle = max(0, (len(order) - each) // 2)
    slices = {
        "worst": order[:each],
        "median": order[middle : middle + each],
        "best": order[-each:],
    }
    seen: set[Key] = set()
    chosen = {}
    for kind, keys in slices.items():
        chosen[kind] = [key for key in keys if key not in seen]
        seen.update(keys)
    return chosen
