"""What a reader of an SVG chart finds: words, and the lines by name."""

import re
from xml.etree import ElementTree

_NS = "{http://www.w3.org/2000/svg}"
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")


def words(path):
    """The texts."""
    return [text.text for text in ElementTree.parse(path).iter(f"{_NS}text")]


def line(path, name):
    """Corners [(x, y)] of the line whose group has this name, and its markers."""
    (group,) = (
        g for g in ElementTree.parse(path).iter(f"{_NS}g") if g.get("id") == name
    )
    drawn = group.find(f"{_NS}path")
    numbers = [float(n) for n in _NUMBERS.findall(drawn.get("d"))]
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    markers = [(float(u.get("x")), float(u.get("y"))) for u in group.iter(f"{_NS}use")]
    return corners, markers
