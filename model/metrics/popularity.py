"""The baseline of every list: what most users have touched so far, without what the user knows.

It is asked about the same events as the lists. It knows every event before them without any delay, which makes it
harder to beat. This one counts events as they come, in bounded memory; ``replay.evaluation.baselines`` counts a log at
rest.
"""

from collections import Counter
from collections.abc import Callable, Collection

__all__ = ["PopularityRanking"]


class PopularityRanking:
    """Counts items, and tells the most-touched ones.

    Parameters
    ----------
    depth : places of the ranking that are kept. A user gets k items who knows fewer than ``depth - k`` of them,
        less those that may not be listed.
    renew_every : events after which the ranking is made anew; sorting at each one would cost more than all the rest.
    max_items : items whose counts are certain to be kept; at twice as many, the least touched half is forgotten.
    """

    def __init__(self, depth: int = 1000, renew_every: int = 50, max_items: int = 100_000) -> None:
        self._depth = depth
        self._renew_every = renew_every
        self._max_items = max_items
        self._counts: Counter[str] = Counter()
        self._ids: dict[str, str] = {}
        self._ranking: tuple[str, ...] = ()
        self._stale = 0

    def count(self, item_id: str) -> str:
        """Count one event, and return the item's id as the one object that it is here: whoever keeps it shares it."""
        item_id = self._ids.setdefault(item_id, item_id)
        self._counts[item_id] += 1
        self._stale += 1
        if len(self._counts) > 2 * self._max_items:
            self._counts = Counter(dict(self._counts.most_common(self._max_items)))
            self._ids = {kept: kept for kept in self._counts}
        return item_id

    def shared(self, item_id: str) -> str:
        """Return the item's id as the one object that it is here where it was counted, else as it was given."""
        return self._ids.get(item_id, item_id)

    def top(self, known: Collection[str], k: int, may_list: Callable[[str], bool] = lambda _: True) -> tuple[str, ...]:
        """Return the k most-touched items that are not known, best first; of equal ones the one counted first.

        Parameters
        ----------
        known : items that are left out.
        k : how many.
        may_list : tells which of the others may be listed.
        """
        if self._stale >= self._renew_every or not self._ranking:
            self._ranking = tuple(item_id for item_id, _ in self._counts.most_common(self._depth))
            self._stale = 0
        found: list[str] = []
        for item_id in self._ranking:
            if len(found) == k:
                break
            if item_id not in known and may_list(item_id):
                found.append(item_id)
        return tuple(found)
