"""Rows that are broken before their cells can be read: too few fields, too many, or no object."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["RejectedRows"]


@dataclass(slots=True)
class RejectedRows:
    """What was passed over while blocks were read.

    Parameters
    ----------
    counts : rows by cause.
    first : the first of them, from 0, and what it had to hold.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: tuple[int, str] | None = None

    def add(self, row: int, cause: str, required: str) -> None:
        """Count a row, from 0 after the header."""
        self.counts[cause] += 1
        if self.first is None:
            self.first = (row, required)

    def handler(self, shift: int, required: str) -> Any:
        """Return what Arrow asks about rows with another number of fields; its numbers are ``shift`` too high."""

        def skip(row: Any) -> Literal["skip"]:
            self.add(row.number - shift, "number of fields", required)
            return "skip"

        return skip
