"""Pairs of label maps in files, one sequence at a time: what readers have in common."""

import abc
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from pix2seq_d.evaluation.frame_pair import FramePair
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.panoptic_index import list_some


class Sequences(abc.ABC):
    """Truth and prediction of sequences; readers implement `frames`.

    Nothing is read before it is asked for, and a reader can be pickled, so that
    processes can share the names. What lacks on the side of the prediction is found
    when the reader is built. Iterating gives what `stq.evaluate` and `vpq.evaluate`
    take.

    Attributes:
      names: of the sequences, sorted.
      coding: of the labels.
      num_missing: frames without a prediction, which count as void.
    """

    names: tuple[str, ...]
    coding: LabelCoding
    num_missing: int

    @abc.abstractmethod
    def frames(self, name: str) -> Iterator[FramePair]:
        """The frames of a sequence in order, read one by one.

        Raises:
          FileNotFoundError: a file has vanished.
          ValueError: a file is damaged or not of the layout.
        """

    def __len__(self) -> int:
        return len(self.names)

    def read(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A whole sequence: truth and prediction, [T, H, W] integers.

        Raises:
          ValueError: sizes differ, or as `frames`.
        """
        pairs = list(self.frames(name))
        for pair in pairs:
            sizes = {pairs[0].truth.shape, pair.truth.shape, pair.found.shape}
            if len(sizes) > 1:
                raise ValueError(
                    f"{pair.where}: sizes {list_some(sorted(sizes))} (height, width) "
                    f"occur in sequence {name}; give all its frames one size"
                )
        return np.stack([p.truth for p in pairs]), np.stack([p.found for p in pairs])

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Name, truth and prediction of each sequence, one sequence in memory."""
        for name in self.names:
            yield (name, *self.read(name))


def void_like(truth: np.ndarray, coding: LabelCoding) -> np.ndarray:
    """int64 map of the truth's size that is void everywhere: an absent prediction."""
    return np.full(truth.shape, coding.void_label, np.int64)


def check_present(
    wanted: Sequence[str],
    present: Collection[str],
    *,
    place: str,
    truth: str,
    allow_missing: bool,
    scored_as: str = "void",
) -> list[str]:
    """The predictions that are missing, if they may be.

    Args:
      wanted: names of the predictions that the truth asks for.
      present: names of those there are.
      place: where they should be, for the message.
      truth: what asks for them, for the message.
      allow_missing: whether some may be missing; all of them are a slip in a path.
      scored_as: what they count as then, for the message.
    Raises:
      FileNotFoundError: predictions are missing that may not.
    """
    missing = [name for name in wanted if name not in present]
    if len(missing) == len(wanted):
        raise FileNotFoundError(
            f"{place}: lacks all {len(wanted)} predictions that {truth} asks for, such "
            f"as {missing[0]}; correct the path or the names"
        )
    if missing and not allow_missing:
        raise FileNotFoundError(
            f"{place}: lacks {list_some(missing)} ({len(missing)} of the {len(wanted)} "
            f"predictions that {truth} asks for); add them, or pass allow_missing to "
            f"score them as {scored_as}"
        )
    return missing
