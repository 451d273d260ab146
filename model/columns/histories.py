"""Each user's history, held as columns: interactions are made of those that are asked for alone."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from model.columns.events import EventColumns
from model.history import Interaction
from model.vocabulary import Rows

__all__ = ["ColumnHistories", "events_of", "order_by_user"]


class ColumnHistories(Mapping[str, tuple[Interaction, ...]]):
    """A mapping of users to their interactions, oldest first.

    Parameters
    ----------
    events : user after user.
    """

    def __init__(self, events: EventColumns) -> None:
        self.events = events
        codes = events.users.codes
        self._starts = np.flatnonzero(np.diff(codes, prepend=-1))
        self._ends = np.append(self._starts[1:], len(codes))

    @cached_property
    def _places(self) -> dict[str, int]:
        ids = self.events.users.ids
        return {ids[code]: place for place, code in enumerate(self.events.users.codes[self._starts].tolist())}

    def lengths(self) -> Rows:
        """Return how many events each user has, int64 (U,)."""
        return self._ends - self._starts

    def __getitem__(self, user_id: str) -> tuple[Interaction, ...]:
        place = self._places[user_id]
        return tuple(self.events.taken(slice(self._starts[place], self._ends[place])).interactions())

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._starts)


def events_of(histories: Mapping[str, Sequence[Interaction]]) -> EventColumns:
    """Return the events of histories as columns, user after user; those that are columns already as they are."""
    return histories.events if isinstance(histories, ColumnHistories) else EventColumns.of_histories(histories)


def order_by_user(events: EventColumns) -> Rows:
    """Return the places of the events user after user, whoever came first in front: int64 (E,)."""
    rank = np.empty(len(events.users.ids), dtype=np.int32)
    used = events.users.by_first_use()
    rank[used] = np.arange(len(used), dtype=np.int32)
    return np.argsort(rank[events.users.codes], kind="stable")
