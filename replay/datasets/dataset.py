"""A recorded log as one value: a catalogue, and the interactions in the order they are replayed.

Every reader ends here. The order is decided here too, because it is part of what a log means: MovieLens keeps
whole seconds and half of a user's consecutive ratings share one, so ties have no true order, and an order taken
from the file (sorted by item in some releases) would leak into everything measured on it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.catalogue import Catalogue, Item
from model.feedback import are_positive_ratings, is_positive_watch

__all__ = ["Dataset", "Provenance", "assemble"]

COLUMNS = ("user_id", "item_id", "rating", "ts")


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
        0.5..5.0) and ``ts`` (int64 milliseconds), index 0..n-1, ascending in ``ts``, ties in seeded random order.
    origin : what it was read from.
    """

    name: str
    catalogue: Catalogue
    interactions: pd.DataFrame
    origin: Provenance

    def positive(self) -> NDArray[np.bool_]:
        """Return which interactions say that the user liked the item, in their order: bool (E,).

        A rating is judged by its user's ratings before it; in a log that knows watches, a watch by its progress.
        """
        table = self.interactions
        users, _ = pd.factorize(table["user_id"])
        stars = table["rating"].to_numpy()
        if "kind" not in table:
            return are_positive_ratings(users, stars)
        is_rating = (table["kind"] == "rate").to_numpy()
        found = np.array([is_positive_watch(progress) for progress in table["weight"].tolist()], dtype=np.bool_)
        found[is_rating] = are_positive_ratings(users[is_rating], stars[is_rating])
        return found


def assemble(name: str, items: list[Item], ratings: pd.DataFrame, origin: Provenance, seed: int) -> Dataset:
    """Put a log in order and complete its catalogue.

    Parameters
    ----------
    name, origin : passed on.
    items : what the item file describes; an item that only the ratings mention gets its id as title.
    ratings : columns as in ``Dataset.interactions``, any order, ids as categories of str.
    seed : of the shuffle among equal timestamps; the same file and seed give the same order.
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
    return Dataset(name, catalogue, pd.DataFrame(columns, columns=list(COLUMNS), copy=False), origin)


def _texts(ids: "pd.Series[str]", order: np.ndarray) -> "pd.Series[str]":
    names = np.asarray(ids.cat.categories, dtype=object)
    return pd.Series(names[ids.cat.codes.to_numpy()[order]], dtype=object)
