"""A recorded log as one value: a catalogue, and the interactions in the order they are replayed.

Every reader ends here. The order is decided here too, because it is part of what a log means: MovieLens keeps
whole seconds and half of a user's consecutive ratings share one, so ties have no true order, and an order taken
from the file (sorted by item in some releases) would leak into everything measured on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.catalogue import Catalogue, Item
from model.columns.events import EventColumns
from model.feedback import are_positive_ratings
from model.hints import UserHints
from model.kinds import RATE
from model.vocabulary import CodedIds

__all__ = ["Dataset", "Provenance", "assemble"]

SECOND_MS = 1000
STARS = 5.0  # weigh 1
KEY_BITS = 63  # of a number that is not below zero


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a log came from.

    Parameters
    ----------
    format : the name of its layout, see ``replay.datasets.layouts.table``; ``table`` for any other table.
    file : the ratings file, inside its archive or folder where there is one.
    sha256 : of that file's bytes, 64 hex digits.
    """

    format: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """One recorded log.

    Parameters
    ----------
    name : short, used in event ids and reports.
    catalogue : every item that occurs in the interactions, and those nobody touched.
    interactions : columns ``user_id`` (str objects), ``item_id`` (str objects), ``rating`` (float64 stars,
        0.5..5.0) and ``ts`` (int64 milliseconds), index 0..n-1, ascending in ``ts``, ties in seeded random order; and
        ``kind`` (str objects), where the log says of what kind each event is; and ``weight`` (float64, 0..1) and
        ``is_positive`` (bool), where it says how much of an item was taken in, or mixes ratings with other events:
        then ``rating`` is the weight in stars, and so may be below 0.5.
    origin : what it was read from.
    hints : what is said of its users beforehand, where there is a file of them.
    notes : what a reader of the log is told: what was taken for what, and why.
    left_out : rows that could not be read, by cause, where they were to be left out.
    """

    name: str
    catalogue: Catalogue
    interactions: pd.DataFrame
    origin: Provenance
    hints: tuple[UserHints, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def positive(self) -> NDArray[np.bool_]:
        """Return which interactions say that the user liked the item, in their order: bool (E,).

        A log that says so itself is believed. In others a rating is judged by its user's ratings before it, and an
        event of another kind is positive.
        """
        table = self.interactions
        if "is_positive" in table:
            return table["is_positive"].to_numpy(dtype=np.bool_)
        found = np.ones(len(table), dtype=np.bool_)
        is_rating = (table["kind"] == RATE).to_numpy() if "kind" in table else found.copy()
        users, _ = pd.factorize(table["user_id"])
        found[is_rating] = are_positive_ratings(users[is_rating], table["rating"].to_numpy()[is_rating])
        return found

    def events(self) -> EventColumns:
        """Return the interactions as a learner takes them, in their order.

        What a log without weights says are ratings, and each weighs its share of five stars.
        """
        table = self.interactions
        users, items = (_coded(table[name]) for name in ("user_id", "item_id"))
        if "weight" in table:
            kinds, weights = _coded(table["kind"]), table["weight"].to_numpy(np.float64)
        else:
            kinds = CodedIds(np.zeros(len(table), dtype=np.int32), (RATE,))
            weights = table["rating"].to_numpy(np.float64) / STARS
        return EventColumns(users, items, table["ts"].to_numpy(np.int64), kinds, weights, self.positive())


def assemble(
    name: str,
    items: list[Item],
    ratings: pd.DataFrame,
    origin: Provenance,
    seed: int,
    hints: Sequence[UserHints] = (),
    notes: Sequence[str] = (),
    left_out: Mapping[str, int] | None = None,
) -> Dataset:
    """Put a log in order and complete its catalogue.

    Parameters
    ----------
    name, origin : passed on.
    items : what the item file describes; an item that only the ratings mention gets its id as title.
    ratings : columns as in ``Dataset.interactions``, any order, ids and kinds as categories of str;
        ``is_positive`` of a rating by its kind alone.
    seed : of the shuffle among equal timestamps; the same file and seed give the same order.
    hints, notes, left_out : passed on.
    """
    described = {item.item_id for item in items}
    others = sorted(found for found in ratings["item_id"].cat.categories if found not in described)
    catalogue = Catalogue.of([*items, *(Item(found, found) for found in others)])
    ts = ratings["ts"].to_numpy()
    order = _by_time(ts, np.random.default_rng(seed).permutation(len(ratings)))
    users, items_of = _paired(ratings["user_id"].cat, ratings["item_id"].cat, order)
    columns = {
        "user_id": users,
        "item_id": items_of,
        "rating": ratings["rating"].to_numpy()[order],
        "ts": ts[order],
    }
    if "kind" in ratings:
        columns["kind"] = _texts(ratings["kind"], order)
    if "weight" in ratings:
        columns["weight"] = ratings["weight"].to_numpy()[order]
        columns["is_positive"] = _judged(columns, ratings["is_positive"].to_numpy()[order])
    frame = pd.DataFrame(columns, copy=False)
    return Dataset(name, catalogue, frame, origin, tuple(hints), tuple(notes), left_out or {})


def _by_time(ts: NDArray[np.int64], shuffled: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows by time, those of one time in their shuffled order.

    Time and place in the shuffle make one number wherever they fit into 64 bits, as numbers are sorted several times
    faster than places of numbers are.
    """
    if not len(ts):
        return shuffled
    rest = ts - ts.min()
    if not (rest % SECOND_MS).any():
        rest //= SECOND_MS
    bits = len(ts).bit_length()
    if int(rest.max()).bit_length() + bits > KEY_BITS:
        places = np.argsort(rest[shuffled], kind="stable")
        return np.asarray(shuffled[places], dtype=np.int64)
    keys = rest[shuffled]
    keys <<= bits
    keys |= np.arange(len(ts), dtype=np.int64)
    keys.sort()
    keys &= (1 << bits) - 1
    return np.asarray(shuffled[keys], dtype=np.int64)


def _judged(columns: dict[str, Any], is_positive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows are positive, ratings judged by their users' ratings before them."""
    is_rating = (columns["kind"] == RATE).to_numpy()
    users, _ = pd.factorize(columns["user_id"][is_rating])
    is_positive[is_rating] &= are_positive_ratings(users, columns["rating"][is_rating])
    return is_positive


def _paired(users: Any, items: Any, order: NDArray[np.int64]) -> tuple["pd.Series[str]", "pd.Series[str]"]:
    """Return both columns of ids in this order; their codes are fetched together, as each fetch is a miss of caches."""
    pairs = np.empty((len(order), 2), dtype=np.int32)
    pairs[:, 0], pairs[:, 1] = users.codes, items.codes
    ordered = pairs.view(np.int64).reshape(-1)[order].view(np.int32).reshape(-1, 2)
    first, second = (np.asarray(column.categories, dtype=object) for column in (users, items))
    return pd.Series(first[ordered[:, 0]], dtype=object), pd.Series(second[ordered[:, 1]], dtype=object)


def _coded(column: "pd.Series[str]") -> CodedIds:
    codes, ids = pd.factorize(column.to_numpy())
    return CodedIds(codes.astype(np.int32), tuple(ids))


def _texts(ids: "pd.Series[str]", order: np.ndarray) -> "pd.Series[str]":
    names = np.asarray(ids.cat.categories, dtype=object)
    return pd.Series(names[ids.cat.codes.to_numpy()[order]], dtype=object)
