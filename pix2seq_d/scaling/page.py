"""Tables in a page, each between two comments with its name."""

import re
from collections.abc import Mapping
from pathlib import Path

from pix2seq_d.atomic_file import replace_text


def inserted(text: str, blocks: Mapping[str, str]) -> str:
    """The page with the blocks in their places, `<!-- name -->` to `<!-- /name -->`.

    Raises:
      ValueError: a block has no place, or more than one.
    """
    for name, block in blocks.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, count = place.subn(lambda m, b=block: f"{m[1]}{b}\n{m[2]}", text)
        if count != 1:
            raise ValueError(f"the page has {count} places <!-- {name} -->, not one")
    return text


def insert(path: Path, blocks: Mapping[str, str]) -> None:
    """Writes the blocks into a page that has places for them.

    Raises:
      ValueError: it has not; names the file.
    """
    try:
        text = inserted(path.read_text(encoding="utf-8"), blocks)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    replace_text(path, text)
