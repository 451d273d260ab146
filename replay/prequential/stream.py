"""A log as a stream to test on and learn from: which events are tested, and what is known about each of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.catalogue import Catalogue
from replay.datasets.dataset import Dataset
from streams.errors import DataError
from streams.kafka.topics import RATES
from streams.records.records import Event, Origin, Rating

__all__ = ["Stream"]

SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class Stream:
    """One log in replay order.

    Parameters
    ----------
    name : of the log.
    catalogue : its items.
    user_ids, item_ids : object (E,), ids of each event.
    users, items : int64 (E,), the same as numbers, in order of first appearance.
    ts : int64 (E,), milliseconds, ascending.
    stars : float64 (E,).
    warm : events of the warm-up.
    tests : int64 (T,), events that are tested: after the warm-up, of a user with a past, and with an item that the user
        had not touched unless repeats are kept.
    history : int64 (T,), past events of the user.
    is_first_of_second : bool (T,), whether the user's event before it was in another second.
    is_novel : bool (T,), whether nobody had touched the item, so that no list can be credited with it.
    repeated : events after the warm-up with an item that their user had touched before.
    repeats : whether these are tested, and such items may be listed; else they are learnt only.
    """

    name: str
    catalogue: Catalogue
    user_ids: NDArray[np.object_]
    item_ids: NDArray[np.object_]
    users: NDArray[np.int64]
    items: NDArray[np.int64]
    ts: NDArray[np.int64]
    stars: NDArray[np.float64]
    warm: int
    tests: NDArray[np.int64]
    history: NDArray[np.int64]
    is_first_of_second: NDArray[np.bool_]
    is_novel: NDArray[np.bool_]
    repeated: int = 0
    repeats: bool = False

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        *,
        warm_up: float = 0.2,
        least_stars: float = 0.0,
        limit: int | None = None,
        repeats: bool = False,
    ) -> "Stream":
        """Take a log's events, in its order.

        Parameters
        ----------
        dataset : the log; its seed decided the order of ties.
        warm_up : share of the events that is learnt before the first test.
        least_stars : leave out what was rated lower, as if it had not happened.
        limit : take the earliest so many of them.
        repeats : whether events with items that their users touched before are tested.

        Raises
        ------
        DataError
            If nothing is left to learn from or to test.
        """
        kept = np.flatnonzero(dataset.interactions["rating"].to_numpy() >= least_stars)[:limit]
        table = dataset.interactions.iloc[kept].reset_index(drop=True)
        users, _ = pd.factorize(table["user_id"])
        items, _ = pd.factorize(table["item_id"])
        warm = int(len(table) * warm_up)
        history = table.groupby("user_id", sort=False).cumcount().to_numpy().astype(np.int64)
        known = table.duplicated(["user_id", "item_id"]).to_numpy()
        before = table.groupby("user_id", sort=False)["ts"].shift()
        after = np.arange(len(table)) >= warm
        tests = np.flatnonzero((history > 0) & (~known | repeats) & after)
        if warm < 2 or not len(tests):  # noqa: PLR2004 - one event teaches nothing
            raise DataError(
                f"prequential: events to warm up on and to test are required, got {len(table):,} events of "
                f"{dataset.name} with {least_stars} stars or more, {warm:,} to warm up on, {len(tests):,} to test"
            )
        return cls(
            dataset.name,
            dataset.catalogue,
            table["user_id"].to_numpy(),
            table["item_id"].to_numpy(),
            users.astype(np.int64),
            items.astype(np.int64),
            table["ts"].to_numpy(),
            table["rating"].to_numpy(),
            warm,
            tests,
            history[tests],
            (before // SECOND_MS != table["ts"] // SECOND_MS).to_numpy()[tests],
            ~table.duplicated("item_id").to_numpy()[tests],
            int(np.count_nonzero(known & after)),
            repeats,
        )

    def tested(self, kept: NDArray[np.bool_]) -> "Stream":
        """Return the same stream with some of its tests, kept: bool (T,)."""
        names = ("tests", "history", "is_first_of_second", "is_novel")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def __len__(self) -> int:
        return len(self.users)

    def events(self, start: int, stop: int) -> Iterator[tuple[Origin, Event]]:
        """Give some of the events as a worker would read them from one partition."""
        columns = (self.user_ids, self.item_ids, self.ts, self.stars)
        rows = zip(*(column[start:stop].tolist() for column in columns), strict=True)
        for number, (user_id, item_id, ts, stars) in enumerate(rows, start):
            yield Origin(RATES, 0, number, ts), Rating(f"{self.name}:{number}", user_id, item_id, ts, stars)
