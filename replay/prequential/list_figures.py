"""What the lists of a run are like, whether anybody likes them or not: diversity, coverage, novelty, change."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.metrics.diversity import genre_vectors, mean_diversity
from model.metrics.ranking import coverage
from replay.prequential.stream import Stream

__all__ = ["ListFigures"]


@dataclass(frozen=True, slots=True)
class ListFigures:
    """Four figures of all lists together.

    Parameters
    ----------
    diversity : mean intra-list diversity by genres; nan where no item has a genre.
    coverage : share of the catalogue that is on at least one list.
    novelty : mean of -log2(share of users who have the item) over all places of all lists, in bits. The share is that
        of the moment of the list, among the users so far; an item that nobody has counts as if one had.
    temporal_diversity : share of the places whose item was not on the list of the same user's test before [1]_, over
        the lists that have one before them; nan where none has.

    References
    ----------
    .. [1] Lathia, Hailes, Capra and Amatriain, "Temporal diversity in recommender systems", SIGIR 2010.
    """

    diversity: float
    coverage: float
    novelty: float
    temporal_diversity: float

    @classmethod
    def of(cls, stream: Stream, items: NDArray[np.int32]) -> "ListFigures":
        """Summarise the lists of all tests.

        Parameters
        ----------
        stream : what was tested.
        items : int32 (T, k), rows in the catalogue, -1 where a list is shorter.
        """
        lists = items.astype(np.int64)
        recommended = np.bincount(lists[lists >= 0], minlength=len(stream.catalogue))
        vectors = genre_vectors([item.genres for item in stream.catalogue])
        change = _temporal_diversity(stream.users[stream.tests], lists)
        return cls(mean_diversity(vectors, lists), coverage(recommended), _novelty(stream, lists), change)


def _novelty(stream: Stream, lists: NDArray[np.int64]) -> float:
    """Return the mean self-information of all places, each at its moment; 0.0 for no lists."""
    rows = {item_id: row for row, item_id in enumerate(stream.catalogue.items)}
    touched = [rows.get(item_id, -1) for item_id in stream.item_ids.tolist()]
    is_first = ~pd.DataFrame({"user": stream.users, "item": stream.items}).duplicated().to_numpy()
    owners = np.zeros(len(rows) + 1, dtype=np.int64)  # the last is of items that the catalogue lacks
    users, done, bits = 0, 0, 0.0
    for test, listed in zip(stream.tests.tolist(), lists, strict=True):
        some = slice(done, test)
        np.add.at(owners, np.array(touched[some], dtype=np.int64)[is_first[some]], 1)
        users, done = max(users, int(stream.users[some].max(initial=-1)) + 1), test
        bits -= float(np.log2(np.maximum(owners[listed[listed >= 0]], 1) / max(1, users)).sum())
    return bits / max(1, int((lists >= 0).sum()))


def _temporal_diversity(users: NDArray[np.int64], lists: NDArray[np.int64]) -> float:
    """Return the share of places that were not on the user's list before; nan where nobody has two lists."""
    before: dict[int, frozenset[int]] = {}
    places = new = 0
    for user, listed in zip(users.tolist(), lists.tolist(), strict=True):
        items = frozenset(listed) - {-1}
        if user in before:
            places, new = places + len(items), new + len(items - before[user])
        before[user] = items
    return new / places if places else float("nan")
