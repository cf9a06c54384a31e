"""All tables, and the groups of them that one name stands for."""

from pix2seq_d.reproduce import paper, study
from pix2seq_d.reproduce.recipes import Table, find_table

TABLES = (*paper.TABLES, *study.TABLES, *study.CUSTOM_TABLES)
GROUPS = {"paper": paper.TABLES, "study": study.TABLES, "custom": study.CUSTOM_TABLES}
GROUP_TITLES = {
    "paper": "all tables of the paper",
    "study": "all studies on drawn shapes",
    "custom": "all studies on your data",
}


def find(name: str) -> tuple[Table, ...]:
    """The tables that a name stands for: a group's, or one.

    Raises:
      ValueError: there is none; lists those that there are.
    """
    return GROUPS.get(name) or (find_table(name, TABLES),)


def listing() -> str:
    """A line for every name, for `--help`."""
    titles = {table.name: table.title for table in TABLES} | GROUP_TITLES
    width = max(map(len, titles))
    return "\n".join(f"  {name:{width}s}  {title}" for name, title in titles.items())
