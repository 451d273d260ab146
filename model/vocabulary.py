"""Which row of a weight table belongs to which id.

A row, once given, stays: tables only grow, so an older snapshot's rows are a prefix of a newer one's.
Asking never adds; only :meth:`Vocabulary.admit` does.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "Vocabulary"]

Rows = NDArray[np.int64]


class Vocabulary:
    """An append-only map from ids to rows 0, 1, 2, ... in order of admission.

    Parameters
    ----------
    ids : the first ids, in row order.

    Raises
    ------
    ValueError
        If an id occurs twice.
    """

    __slots__ = ("_rows",)

    def __init__(self, ids: Iterable[str] = ()) -> None:
        given = list(ids)
        self._rows = {name: row for row, name in enumerate(given)}
        if len(self._rows) != len(given):
            twice = next(name for row, name in enumerate(given) if self._rows[name] != row)
            raise ValueError(f"Vocabulary: every id must occur once, got {twice!r} twice")

    @property
    def ids(self) -> tuple[str, ...]:
        """Return all ids in row order."""
        return tuple(self._rows)

    def admit(self, ids: Iterable[str]) -> Rows:
        """Return the rows of ``ids``, int64 (n,), giving the next free rows to ids not seen before."""
        rows = self._rows
        return np.fromiter((rows.setdefault(name, len(rows)) for name in ids), dtype=np.int64)

    def rows(self, ids: Iterable[str], missing: int = -1) -> Rows:
        """Return the rows of ``ids``, int64 (n,), with ``missing`` for unknown ids; adds nothing."""
        find = self._rows.get
        return np.fromiter((find(name, missing) for name in ids), dtype=np.int64)

    def row(self, name: str, missing: int = -1) -> int:
        """Return one id's row, or ``missing``; adds nothing."""
        return self._rows.get(name, missing)

    def copy(self) -> "Vocabulary":
        """Return an independent vocabulary with the same rows."""
        twin = Vocabulary()
        twin._rows = self._rows.copy()
        return twin

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows
