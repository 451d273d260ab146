"""A recorded log as one value: a catalogue, and the interactions in the order they are replayed.

Every reader ends here. The order is decided here too, because it is part of what a log means: MovieLens keeps
whole seconds and half of a user's consecutive ratings share one, so ties have no true order, and an order taken
from the file (sorted by item in some releases) would leak into everything measured on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.catalogue import Catalogue, Item
from model.feedback import are_positive_ratings
from model.hints import UserHints
from model.kinds import RATE

__all__ = ["Dataset", "Provenance", "assemble"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a log came from.

    Parameters
    ----------
    format : ``movielens-100k``, ``movielens-dat``, ``movielens-csv``, ``recbole`` or ``table``.
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
        ``kind`` (str objects), where the log says of what kind each event is.
    origin : what it was read from.
    hints : what is said of its users beforehand, where there is a file of them.
    """

    name: str
    catalogue: Catalogue
    interactions: pd.DataFrame
    origin: Provenance
    hints: tuple[UserHints, ...] = ()

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


def assemble(
    name: str,
    items: list[Item],
    ratings: pd.DataFrame,
    origin: Provenance,
    seed: int,
    hints: Sequence[UserHints] = (),
) -> Dataset:
    """Put a log in order and complete its catalogue.

    Parameters
    ----------
    name, origin : passed on.
    items : what the item file describes; an item that only the ratings mention gets its id as title.
    ratings : columns as in ``Dataset.interactions``, any order, ids and kinds as categories of str.
    seed : of the shuffle among equal timestamps; the same file and seed give the same order.
    hints : passed on.
    """
    described = {item.item_id for item in items}
    mentioned = ratings["item_id"].cat.categories
    catalogue = Catalogue.of([*items, *(Item(found, found) for found in mentioned if found not in described)])
    shuffled = np.random.default_rng(seed).permutation(len(ratings))
    ts = ratings["ts"].to_numpy()
    order = shuffled[np.argsort(ts[shuffled], kind="stable")]
    columns = {
        "user_id": _texts(ratings["user_id"], order),
        "item_id": _texts(ratings["item_id"], order),
        "rating": ratings["rating"].to_numpy()[order],
        "ts": ts[order],
    }
    if "kind" in ratings:
        columns["kind"] = _texts(ratings["kind"], order)
    return Dataset(name, catalogue, pd.DataFrame(columns, copy=False), origin, tuple(hints))


def _texts(ids: "pd.Series[str]", order: np.ndarray) -> "pd.Series[str]":
    names = np.asarray(ids.cat.categories, dtype=object)
    return pd.Series(names[ids.cat.codes.to_numpy()[order]], dtype=object)
