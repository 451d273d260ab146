"""Events as columns: what a log is from its reader to the first training.

An event of a log of 32 million is 30 bytes here; as Python objects it would be several hundred.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.feedback import wanted_though_disliked
from model.history import Interaction
from model.kinds import RATE, WATCH
from model.vocabulary import CodedIds, Rows

__all__ = ["EventColumns"]

EVENTS_AT_ONCE = 1 << 16  # that are Python objects for a moment


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events in columns of one length.

    Parameters
    ----------
    users, items : ids.
    times : int64 (E,), milliseconds.
    kinds : ``watch``, ``rate`` or another of the table.
    weights : float64 (E,), 0..1.
    positive : bool (E,), whether an event says that the user liked the item.

    Raises
    ------
    ValueError
        If the columns differ in length.
    """

    users: CodedIds
    items: CodedIds
    times: Rows
    kinds: CodedIds
    weights: NDArray[np.float64]
    positive: NDArray[np.bool_]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self._columns()}
        if len(lengths) != 1:
            raise ValueError(f"EventColumns: columns of one length are required, got {sorted(lengths)!r}")

    @classmethod
    def of(cls, users: Iterable[str] | CodedIds, interactions: Sequence[Interaction]) -> "EventColumns":
        """Return interactions as columns; ``users`` says whose each one is."""
        return cls(
            CodedIds.of(users),
            CodedIds.of([one.item_id for one in interactions]),
            np.array([one.ts for one in interactions], dtype=np.int64),
            CodedIds.of([one.kind for one in interactions]),
            np.array([one.weight for one in interactions], dtype=np.float64),
            np.array([one.is_positive for one in interactions], dtype=np.bool_),
        )

    @classmethod
    def of_histories(cls, histories: Mapping[str, Sequence[Interaction]]) -> "EventColumns":
        """Return the events of histories, user after user."""
        lengths = [len(history) for history in histories.values()]
        codes = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        return cls.of(CodedIds(codes, tuple(histories)), [one for history in histories.values() for one in history])

    def __len__(self) -> int:
        return len(self.times)

    def taken(self, rows: NDArray[np.bool_] | Rows | slice) -> "EventColumns":
        """Return some of the events: bool (E,), or int64 (R,)."""
        users, items, kinds = (column.taken(rows) for column in (self.users, self.items, self.kinds))
        return EventColumns(users, items, self.times[rows], kinds, self.weights[rows], self.positive[rows])

    def wanted(self) -> NDArray[np.float32]:
        """Return how much each event counts in training as what its user wanted next, as an interaction says it."""
        found = np.ones(len(self), dtype=np.float32)
        places = np.flatnonzero(~self.positive)
        was_chosen = np.array([kind in (WATCH, RATE) for kind in self.kinds.ids], dtype=np.bool_)
        found[places] = wanted_though_disliked(self.weights[places]) * was_chosen[self.kinds.codes[places]]
        return found

    def interactions(self) -> Iterator[Interaction]:
        """Give the events one by one."""
        for start in range(0, len(self), EVENTS_AT_ONCE):
            some = self.taken(slice(start, start + EVENTS_AT_ONCE))
            yield from map(
                Interaction,
                some.items,
                some.times.tolist(),
                some.kinds,
                some.weights.tolist(),
                some.positive.tolist(),
            )

    def _columns(self) -> tuple[CodedIds | NDArray[np.generic], ...]:
        return (self.users, self.items, self.times, self.kinds, self.weights, self.positive)
