"""Which row of a weight table belongs to which id.

A row, once given, stays: tables only grow, so an older snapshot's rows are a prefix of a newer one's.
Asking never adds; only :meth:`Vocabulary.admit` does. Of a large log the ids come as numbers, each distinct one held
once: then only these are looked up.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CodedIds", "Rows", "Vocabulary"]

Rows = NDArray[np.int64]
IDS_AT_ONCE = 1 << 16  # that are texts for a moment


@dataclass(frozen=True, slots=True)
class CodedIds:
    """A column of ids, each distinct one held once.

    Parameters
    ----------
    codes : int32 (E,), the place of each id in ``ids``.
    ids : different from each other; some may occur nowhere.
    """

    codes: NDArray[np.int32]
    ids: tuple[str, ...]

    @classmethod
    def of(cls, ids: "Iterable[str] | CodedIds") -> "CodedIds":
        """Return a column of these ids."""
        if isinstance(ids, CodedIds):
            return ids
        distinct = Vocabulary()
        codes = distinct.admit(ids).astype(np.int32)
        return cls(codes, distinct.ids)

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self.codes), IDS_AT_ONCE):
            yield from map(self.ids.__getitem__, self.codes[start : start + IDS_AT_ONCE].tolist())

    def taken(self, rows: NDArray[np.bool_] | Rows | slice) -> "CodedIds":
        """Return the ids of some rows: bool (E,), or int64 (R,)."""
        return CodedIds(self.codes[rows], self.ids)

    def counts(self) -> Rows:
        """Return how often each id occurs, int64 (number of ids,)."""
        return np.bincount(self.codes, minlength=len(self.ids))

    def by_first_use(self) -> Rows:
        """Return the codes that occur, in the order in which they do first: int64 (number of them,)."""
        n = len(self.codes)
        first = np.full(len(self.ids), n, dtype=np.int64)
        first[self.codes[::-1]] = np.arange(n - 1, -1, -1)  # of several places the last one stays
        return np.argsort(first, kind="stable")[: np.count_nonzero(first < n)]


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

    def admit(self, ids: Iterable[str] | CodedIds) -> Rows:
        """Return the rows of ``ids``, int64 (n,), giving the next free rows to ids not seen before."""
        if isinstance(ids, CodedIds):
            used = ids.by_first_use()
            row_of = np.full(len(ids.ids), -1, dtype=np.int64)
            row_of[used] = self.admit(map(ids.ids.__getitem__, used.tolist()))
            return row_of[ids.codes]
        rows, given = self._rows, list(ids)
        for name in given:
            if name not in rows:
                rows[name] = len(rows)
        return np.array([rows[name] for name in given], dtype=np.int64)

    def rows(self, ids: Iterable[str] | CodedIds, missing: int = -1) -> Rows:
        """Return the rows of ``ids``, int64 (n,), with ``missing`` for unknown ids; adds nothing."""
        if isinstance(ids, CodedIds):
            return self.rows(ids.ids, missing)[ids.codes]
        find = self._rows.get
        return np.array([find(name, missing) for name in ids], dtype=np.int64)

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
