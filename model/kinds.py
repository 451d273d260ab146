"""The kinds of events: one table that says what each kind tells of the user who made one.

Watches and ratings carry how much they count themselves, as progress and as stars; their rows scale it. An event of any
other kind counts as its row says. A row may also hide an item from one user, or undo that; such an event says nothing
else. ``streams.kinds`` reads a table from a file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Self

__all__ = ["DEFAULT_KINDS", "RATE", "WATCH", "Effect", "EventKind", "KindTable", "Source", "source_of"]

Effect = Literal["hide", "unhide"]
Source = Literal["watch", "rate", "action"]
WATCH, RATE = "watch", "rate"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME_RULE = "1 to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit"


@dataclass(frozen=True, slots=True)
class EventKind:
    """One row of the table.

    Parameters
    ----------
    name : as events say it.
    weight : how much an event of the kind says, 0..1: for the item, or against it where it is not positive; of a watch
        it is times the progress, of a rating times a fifth of the stars.
    is_positive : whether it says that the user liked the item; of watches and ratings ``model.feedback`` decides where
        this is true.
    effect : what it does to the user's lists beside that: ``hide`` keeps the item out of them, ``unhide`` undoes it.

    Raises
    ------
    ValueError
        If a field cannot be used.
    """

    name: str
    weight: float
    is_positive: bool
    effect: Effect | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name of a kind must be {_NAME_RULE}, got {self.name!r}")
        if not 0 <= self.weight <= 1:  # which NaN is not
            raise ValueError(f"kind {self.name!r} must have a weight from 0 to 1, got {self.weight!r}")
        if self.effect is None:
            return
        if self.name in (WATCH, RATE):
            raise ValueError(f"kind {self.name!r} must have no effect, got {self.effect!r}; name a kind of your own")
        if self.weight or self.is_positive:
            raise ValueError(
                f"kind {self.name!r} must have weight 0 and not be positive, as its effect is {self.effect!r}, "
                f"got weight {self.weight!r} and positive {self.is_positive!r}"
            )


@dataclass(frozen=True, slots=True)
class KindTable:
    """All kinds that there are, in the order of their names.

    Parameters
    ----------
    rows : one for each kind.
    file : where the table was read, empty for the defaults.

    Raises
    ------
    ValueError
        If watches or ratings have no row, or two rows have one name.
    """

    rows: tuple[EventKind, ...]
    file: str = field(default="", compare=False)
    _by_name: dict[str, EventKind] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {row.name: row for row in self.rows}
        if len(by_name) < len(self.rows) or not {WATCH, RATE} <= by_name.keys():
            raise ValueError(f"kinds: one row each, watch and rate among them, is required, got {self.names}")
        object.__setattr__(self, "_by_name", by_name)

    @classmethod
    def of(cls, rows: Iterable[EventKind], file: str = "") -> Self:
        """Make a table of rows in any order."""
        return cls(tuple(sorted(rows, key=lambda row: row.name)), file)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all kinds."""
        return tuple(row.name for row in self.rows)

    @property
    def own(self) -> tuple[str, ...]:
        """The names of the kinds that records of ``action-events`` may have: all but watches and ratings."""
        return tuple(name for name in self.names if name not in (WATCH, RATE))

    def find(self, name: str) -> EventKind | None:
        """Return the row of a kind, None where there is none."""
        return self._by_name.get(name)

    def of_kind(self, name: str) -> EventKind:
        """Return the row of a kind.

        Raises
        ------
        ValueError
            If there is none.
        """
        row = self._by_name.get(name)
        if row is None:
            raise ValueError(f"kinds: one of {', '.join(self.names)} is required, got {name!r}")
        return row

    def heat(self, kind: str, weight: float) -> float:
        """Return what a positive event of this kind that weighs so much adds to trending.

        It is the weight, but of a rating that of its kind: a rating that is positive says what was liked, and to count
        five stars more than four predicts worse (``python -m benchmarks.learning.trending``).
        """
        return self.of_kind(RATE).weight if kind == RATE else weight


def source_of(kind: str) -> Source:
    """Return what an event of this kind is counted among, as its topic is: watches, ratings, or all other kinds."""
    return "watch" if kind == WATCH else "rate" if kind == RATE else "action"


DEFAULT_KINDS = KindTable.of(
    (
        EventKind(WATCH, 1.0, is_positive=True),
        EventKind(RATE, 1.0, is_positive=True),
        EventKind("hide", 0.0, is_positive=False, effect="hide"),
        EventKind("unhide", 0.0, is_positive=False, effect="unhide"),
    )
)
