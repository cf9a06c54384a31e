"""Links of the README and of docs/ lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINKED = [ROOT / "CHANGELOG.md", *PAGES]  # which names files that are no more
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def links(page):
    """File and anchor of each link within the project; either may be empty."""
    found = _LINK.findall(page.read_text())
    return [link.partition("#")[::2] for link in found if "://" not in link]


@pytest.mark.parametrize("page", LINKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page):
    missing = [
        name for name, _ in links(page) if not (page.parent / name).resolve().exists()
    ]
    assert not missing


def anchors(page):
    """What GitHub makes of its headings: words in small letters, hyphens between."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


def test_an_anchor_is_what_a_heading_becomes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# `S(1)`, or not\n\n## Before: 64 px\ntext # no\n```bash\n# no\n```\n"
    )
    assert anchors(page) == {"s1-or-not", "before-64-px"}


@pytest.mark.parametrize("page", LINKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(page):
    missing = [
        (name, anchor)
        for name, anchor in links(page)
        if anchor and anchor not in anchors(page.parent / name if name else page)
    ]
    assert not missing


def test_files_that_the_pages_name_exist():
    """Such as `tests/data/test_determinism.py`, with a folder and a suffix."""
    named = re.compile(r"`((?:pix2seq_d|tests|benchmarks|configs|launch)/[\w/]+\.\w+)`")
    missing = {
        (page.name, name)
        for page in PAGES
        for name in named.findall(page.read_text())
        if not (ROOT / name).exists()
    }
    assert not missing
