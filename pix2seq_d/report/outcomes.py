"""What became of a pixel or a segment: codes, names, and how the page draws them.

Colours are those of Okabe and Ito, which colour-blind readers tell apart; each kind
of error has a pattern as well, so that a grey print still tells them.
"""

import dataclasses

from pix2seq_d.evaluation.diagnosis import INEXACT
from pix2seq_d.evaluation.error_map import CORRECT, IGNORED
from pix2seq_d.palette import ERROR_COLORS


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One outcome.

    Attributes:
      name: of KINDS, or `ignored`, `correct`, `inexact`.
      color: `#rrggbb`; empty draws nothing.
      pattern: of `report.js`.
      meaning: what it is, for people.
    """

    name: str
    color: str
    pattern: str
    meaning: str

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


def _error(name: str, pattern: str, meaning: str) -> Outcome:
    red, green, blue = ERROR_COLORS[name]
    return Outcome(name, f"#{red:02x}{green:02x}{blue:02x}", pattern, meaning)


# The code of an outcome is its position, that of `evaluation.error_map.OUTCOMES`.
OUTCOMES = (
    Outcome(IGNORED, "#2c2e34", "hatch", "void or crowd in the truth; does not count"),
    Outcome(CORRECT, "", "solid", "both segments match each other"),
    Outcome(INEXACT, "#f2f2f2", "solid", "outside the outline of a match"),
    _error("wrong_class", "rising", "the outline matches, the class does not"),
    _error("split", "upright", "one object in several parts"),
    _error("merged", "level", "several objects in one segment"),
    _error("low_overlap", "dots", "right class, IoU between 0.1 and 0.5"),
    _error("missed", "crossed", "in the truth only"),
    _error("spurious", "falling", "in the prediction only"),
)
CODE = {outcome.name: code for code, outcome in enumerate(OUTCOMES)}
BY_NAME = {outcome.name: outcome for outcome in OUTCOMES}
