"""What the place for new items brings: how often each was shown there, and touched, beside what it displaces."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Self

__all__ = ["ExposureTally"]


class ExposureTally:
    """Counts tests of lists by who has the last place.

    Parameters
    ----------
    most : new items that are kept: the latest shown. One that is forgotten begins anew.

    Attributes
    ----------
    shown, hits : tests of lists whose last place is given by score, and how many hit it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self.shown = 0
        self.hits = 0

    def add(self, exposed: str | None, *, is_hit: bool) -> None:
        """Count one test of a list whose last place this new item has, or None, and whether it hit that place."""
        if exposed is None:
            self.shown += 1
            self.hits += is_hit
            return
        shown, hits = self._items.pop(exposed, (0, 0))
        self._items[exposed] = (shown + 1, hits + is_hit)
        if len(self._items) > self._most:
            self._items.popitem(last=False)

    def describe(self) -> dict[str, Any]:
        """Return the counts as JSON values; ``items`` holds shown and hits of each new item, the latest shown last."""
        items = {item_id: list(counts) for item_id, counts in self._items.items()}
        return {"shown": self.shown, "hits": self.hits, "items": items}

    @classmethod
    def restored(cls, described: Mapping[str, Any], most: int) -> Self:
        """Return the tally that was described; raise KeyError or TypeError if it is none."""
        tally = cls(most)
        tally.shown, tally.hits = _counts(described["shown"], described["hits"])
        for item_id, counts in described["items"].items():
            tally._items[item_id] = _counts(*counts)
        return tally


def _counts(shown: object, hits: object) -> tuple[int, int]:
    if not (isinstance(shown, int) and isinstance(hits, int)):
        raise TypeError(f"shown and hits must be whole numbers, got {shown!r} and {hits!r}")
    return shown, hits
