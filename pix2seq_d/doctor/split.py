"""What every split is to the checks, whatever its layout."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pix2seq_d.doctor.facts import Checked
from pix2seq_d.doctor.finding import Finding
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap


class Split(Protocol):
    """A split of a dataset under examination; threads may share it.

    Attributes:
      name: of the split.
      where: the file or folder that describes it.
      label_space: None where the categories cannot be read.
      findings: what is wrong before any pixel is looked at.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def where(self) -> str: ...  # noqa: D102

    @property
    def label_space(self) -> LabelSpace | None: ...  # noqa: D102

    @property
    def findings(self) -> Sequence[Finding]: ...  # noqa: D102

    def __len__(self) -> int: ...

    def check(self, index: int) -> Checked:
        """Decodes an example; what is wrong with it is in the result."""
        ...

    def picture(self, index: int) -> tuple[np.ndarray, PanopticMap]:
        """Image and map of an example that was found free of errors."""
        ...
