"""Which events were read before: a producer's retry is the same event a second time.

Redis knows the last ids of each user. Whoever reads events without it remembers as many as memory allows, of all users
together, and takes one that comes back later than that for a new event.
"""

from collections import OrderedDict
from collections.abc import Collection

from streams.records.records import EventIdentity

__all__ = ["RememberedEvents"]


class RememberedEvents:
    """The events that were read last.

    Parameters
    ----------
    most : events that are remembered; the one that came first is forgotten first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[EventIdentity, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def is_repeat(self, identity: EventIdentity) -> bool:
        """Tell whether an event was read before, and remember it."""
        if identity in self._known:
            return True
        self._known[identity] = None
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return False

    def forget(self, user_ids: Collection[str]) -> None:
        """Forget the events of some users."""
        for identity in [one for one in self._known if one[1] in user_ids]:
            del self._known[identity]

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
