"""The table of kinds that chaos runs under: kinds of an installation's own beside watches and ratings.

The processes under test read it as a file; ``stream`` draws from it, and ``expected`` computes what follows from it.
"""

from pathlib import Path
from typing import NamedTuple

__all__ = ["HIDE", "OWN_KINDS", "UNHIDE", "OwnKind", "write_table"]

HIDE, UNHIDE = "hide", "unhide"  # of the default table


class OwnKind(NamedTuple):
    """How much an event of a kind weighs, and whether the user liked the item."""

    weight: float
    is_positive: bool


OWN_KINDS = {"like": OwnKind(0.75, is_positive=True), "skip": OwnKind(0.25, is_positive=False)}


def write_table(folder: Path) -> Path:
    """Write the table as the processes read it, and return its file."""
    rows = (
        f"[{name}]\nweight = {kind.weight}\npositive = {str(kind.is_positive).lower()}\n"
        for name, kind in OWN_KINDS.items()
    )
    file = folder / "kinds.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(rows), encoding="utf-8")
    return file
