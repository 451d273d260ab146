"""What changed from one snapshot to the next, so that a version can be shipped as its changes alone.

A round of fine-tuning touches few rows of large tables [1]_. A delta holds those rows, every other weight that changed
as a whole, and the counts of the evidence that changed. Applied to the snapshot that it was made from, it gives the
next one to the bit. A checksum of the result shows when it was applied to another.

References
----------
.. [1] Liu et al., "Monolith: real time recommendation system with collisionless embedding table", ORSUM 2022,
   section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from model.network.cooccurrence import ITEM_COUNTS
from model.network.shape import ITEM_TABLES, NeuMFConfig
from model.network.snapshot import Snapshot
from model.vocabulary import Rows

__all__ = ["Delta", "checksum"]

OF_ITEMS = (*ITEM_TABLES, "item_genres", *(f"evidence.{name}" for name in ITEM_COUNTS))
TASTE_FACTORS = "taste.factors"
TABLES = (*OF_ITEMS, TASTE_FACTORS, "user_factors")
NEIGHBOURS, COUNTS = "evidence.neighbours", "evidence.counts"
CELLS = ("cells.rows", "cells.columns", "cells.counts")
_Cells = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Delta:
    """The changes from one snapshot to another.

    Parameters
    ----------
    config : the shape of the result.
    tensors : ``rows.<table>`` int64 (R,) and ``values.<table>`` float32 (R, ...), the rows that changed or are new;
        ``whole.<weight>``, all that is no table and has changed; ``cells.rows`` and ``cells.columns`` int32 (C,) and
        ``cells.counts`` float32 (C,), the counts that changed, 0 where one is no longer kept.
    items, users, genres : new ids, in row order.
    checksum : of the result, from :func:`checksum`.
    """

    config: NeuMFConfig
    tensors: Mapping[str, NDArray[Any]]
    items: tuple[str, ...]
    users: tuple[str, ...]
    genres: tuple[str, ...]
    checksum: str

    @classmethod
    def between(cls, before: Snapshot, after: Snapshot) -> "Delta":
        """Return what leads from one snapshot to another.

        Raises
        ------
        ValueError
            If the second does not continue the first: rows moved or went, or a table has another width.
        """
        added = {}
        for kind in ("items", "users", "genres"):
            old, new = getattr(before, kind), getattr(after, kind)
            if new[: len(old)] != old:
                raise ValueError(f"Delta.between: the {len(old)} {kind} of before must come first, got others")
            added[kind] = new[len(old) :]
        if (width := after.config.neighbours) > (was_width := before.config.neighbours):
            raise ValueError(f"Delta.between: at most {was_width} neighbours are required, got {width}")
        tensors: dict[str, NDArray[Any]] = {}
        for name, weight in after.weights.items():
            was = before.weights[name]
            if name in TABLES and was.shape[1:] == weight.shape[1:]:
                rows = _changed_rows(was, weight)
                if len(rows):
                    tensors |= {f"rows.{name}": rows, f"values.{name}": weight[rows]}
            elif name not in (NEIGHBOURS, COUNTS) and not _same(was, weight):
                tensors[f"whole.{name}"] = weight
        cells = _changed_cells(before, after)
        if len(cells[0]):
            tensors |= dict(zip(CELLS, cells, strict=True))
        return cls(after.config, tensors, **added, checksum=checksum(after))

    @classmethod
    def restore(cls, tensors: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> "Delta":
        """Join stored tensors and the description that :meth:`describe` gave.

        Raises
        ------
        ValueError
            If a part is missing or not what it must be.
        """
        try:
            ids = {kind: tuple(description[kind]) for kind in ("items", "users", "genres")}
            config = NeuMFConfig.restore(description["config"])
            return cls(config, dict(tensors), **ids, checksum=description["checksum"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Delta.restore: the description of a delta is required, got {error!r}") from error

    def describe(self) -> dict[str, Any]:
        """Return everything but the tensors as JSON-able values."""
        return {
            "config": self.config.describe(),
            "items": list(self.items),
            "users": list(self.users),
            "genres": list(self.genres),
            "checksum": self.checksum,
        }

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def item_rows(self) -> Rows:
        """Return the rows of items whose weights changed or are new, int64 (R,), ascending."""
        names = (*OF_ITEMS, TASTE_FACTORS)
        found = [self.tensors[f"rows.{name}"] for name in names if f"rows.{name}" in self.tensors]
        return np.unique(np.concatenate([*found, np.empty(0, dtype=np.int64)]))

    def applied(self, before: Snapshot) -> Snapshot:
        """Return the snapshot that this leads to.

        Raises
        ------
        ValueError
            If ``before`` is not the one that the delta was made from, or the delta is not whole.
        """
        try:
            before = before.unpacked()
            weights = self._weights(before)
            after = Snapshot(
                self.config, weights, before.items + self.items, before.users + self.users, before.genres + self.genres
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"Delta.applied: the snapshot it was made from is required, got {error!r}") from error
        if (got := checksum(after)) != self.checksum:
            raise ValueError(f"Delta.applied: a result with checksum {self.checksum} is required, got {got}")
        return after

    def _weights(self, before: Snapshot) -> dict[str, NDArray[Any]]:
        n_items, n_users = len(before.items) + len(self.items), len(before.users) + len(self.users)
        if self.config.neighbours > before.config.neighbours:
            raise ValueError(f"at most {before.config.neighbours} neighbours, not {self.config.neighbours}")
        weights: dict[str, NDArray[Any]] = {}
        for name, was in before.weights.items():
            if f"whole.{name}" in self.tensors:
                weights[name] = self.tensors[f"whole.{name}"]
            elif name in TABLES:
                n = n_users if name == "user_factors" else n_items
                weights[name] = _padded(was, n)
                if f"rows.{name}" in self.tensors:
                    weights[name][self.tensors[f"rows.{name}"]] = self.tensors[f"values.{name}"]
            else:
                weights[name] = was
        cells = [self.tensors.get(name, np.empty(0)) for name in CELLS]
        weights[NEIGHBOURS], weights[COUNTS] = _with_cells(before, cells, n_items, self.config.neighbours)
        return weights


def checksum(snapshot: Snapshot) -> str:
    """Return the CRC-32 of all weights with their names, 8 hex digits: it tells accidents, and costs little."""
    found = 0
    for name, weight in sorted(snapshot.weights.items()):
        found = crc32(f"{name} {tuple(weight.shape)}".encode(), found)
        found = crc32(np.ascontiguousarray(weight).reshape(-1).data.cast("B"), found)
    return f"{found:08x}"


def _padded(table: NDArray[Any], n: int) -> NDArray[Any]:
    """Return a copy with rows of zeros behind."""
    return np.concatenate([table, np.zeros((n - len(table), *table.shape[1:]), dtype=table.dtype)])


def _bits(weight: NDArray[Any]) -> NDArray[Any]:
    """Return the same as whole numbers, for which minus zero is not zero."""
    return weight if weight.dtype == np.int32 else np.ascontiguousarray(weight).view(np.int32)


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.shape == other.shape and np.array_equal(_bits(one), _bits(other))


def _changed_rows(before: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
    """Return the rows that differ, and all new ones: int64 (R,)."""
    n = len(before)
    differ = _bits(before) != _bits(after[:n])
    old = np.flatnonzero(differ.any(axis=1) if differ.ndim > 1 else differ)
    return np.concatenate([old, np.arange(n, len(after))])


def _changed_cells(before: Snapshot, after: Snapshot) -> _Cells:
    """Return row, column and count of each kept count that changed or is new; one that went has a count of 0."""
    width, n = before.weights[COUNTS].shape[1], len(after.items)
    tables = [_as_wide(one, width, n) for one in (before, after)]
    differ = [_bits(old) != _bits(new) for old, new in zip(*tables, strict=True)]
    rows = np.flatnonzero((differ[0] | differ[1]).any(axis=1))
    (was, was_counts), (now, now_counts) = (_keyed(*table, rows, n) for table in tables)
    place = np.minimum(np.searchsorted(was, now), max(0, len(was) - 1))
    is_kept = was[place] == now if len(was) else np.zeros(len(now), dtype=np.bool_)
    is_new = ~is_kept
    is_new[is_kept] = was_counts[place[is_kept]] != now_counts[is_kept]
    gone = was[~np.isin(was, now, assume_unique=True)]
    keys = np.concatenate([now[is_new], gone])
    counts = np.concatenate([now_counts[is_new], np.zeros(len(gone), dtype=np.float32)])
    return _cells(keys // max(1, n), keys % max(1, n), counts)


def _cells(rows: Rows, columns: Rows, counts: NDArray[np.float32]) -> _Cells:
    return rows.astype(np.int32), columns.astype(np.int32), counts


def _as_wide(snapshot: Snapshot, width: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return neighbours and counts padded to (n, width), with -1 and 0 where there was nothing."""
    neighbours, counts = snapshot.weights[NEIGHBOURS], snapshot.weights[COUNTS]
    wider = ((0, n - len(counts)), (0, width - counts.shape[1]))
    return np.pad(neighbours, wider, constant_values=-1), np.pad(counts, wider)


def _keyed(neighbours: NDArray[Any], counts: NDArray[Any], rows: Rows, n: int) -> tuple[Rows, NDArray[np.float32]]:
    """Return each kept neighbour of some rows as row * n + column, ascending, and its count."""
    columns, found = neighbours[rows], counts[rows]
    kept = columns >= 0
    keys = (rows[:, None] * n + columns)[kept]
    order = np.argsort(keys, kind="stable")
    return keys[order], found[kept][order]


def _with_cells(
    before: Snapshot, cells: list[NDArray[Any]], n: int, width: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return neighbours and counts, each (n, width), after changes to the rows that the cells name."""
    neighbours, counts = _as_wide(before, before.weights[COUNTS].shape[1], n)
    at, columns, values = cells
    rows = np.unique(at).astype(np.int64)
    keys, kept = _keyed(neighbours, counts, rows, n)
    changed = at.astype(np.int64) * n + columns
    stays = ~np.isin(keys, changed)
    is_count = values > 0.0
    keys = np.concatenate([keys[stays], changed[is_count]])
    kept = np.concatenate([kept[stays], values[is_count]])
    order = np.argsort(keys, kind="stable")
    keys, kept = keys[order], kept[order]
    place = np.searchsorted(rows, keys // max(1, n))
    column = np.arange(len(keys)) - np.searchsorted(place, place)
    if column.max(initial=-1) >= width:
        raise ValueError(f"Delta.applied: at most {width} neighbours of an item are required, got more")
    new_neighbours = np.full((len(rows), neighbours.shape[1]), -1, dtype=np.int32)
    new_counts = np.zeros((len(rows), neighbours.shape[1]), dtype=np.float32)
    new_neighbours[place, column], new_counts[place, column] = keys % max(1, n), kept
    neighbours[rows], counts[rows] = new_neighbours, new_counts
    return np.ascontiguousarray(neighbours[:, :width]), np.ascontiguousarray(counts[:, :width])
