"""Items that have had other ids: which id is of today, and under which one what users did is known.

A renamed item goes on under its first id: versions have a row for it, and who has seen it is known by it. So all that
ranks names items by first ids, and what goes out to people names them by those of today.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from model.history import Profile

__all__ = ["NO_RENAMES", "Renames"]


@dataclass(frozen=True, slots=True)
class Renames:
    """The ids that items had and have.

    Parameters
    ----------
    today : each id that an item had, to the one that it has.
    first : each id of an item that had another, to the first that is known.
    names : each such first id, to all ids of its item.
    refused : sentences that say which renames do not count, and why.
    """

    today: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    first: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    refused: tuple[str, ...] = ()

    @classmethod
    def of(cls, was: Mapping[str, tuple[str, ...]]) -> "Renames":
        """Read what items say of themselves, in whatever order they came.

        An id that two items claim is the one's whose own id sorts first. Renames in a circle do not count.

        Parameters
        ----------
        was : item to the ids that it had, the latest first.
        """
        claimed: dict[str, str] = {}
        refused = []
        for item_id in sorted(was):
            for earlier in was[item_id]:
                owner = claimed.setdefault(earlier, item_id)
                if owner != item_id:
                    refused.append(f"{earlier!r} became {owner!r} already, so it did not become {item_id!r}")
        circular = _circular(claimed)
        refused += [f"{item_id!r} became {claimed[item_id]!r} in a circle" for item_id in circular]
        claimed = {earlier: item_id for earlier, item_id in claimed.items() if earlier not in circular}
        today = {earlier: _end(claimed, earlier) for earlier in claimed}
        first = {item_id: _beginning(was, claimed, item_id) for item_id in today.values()}
        first |= {earlier: first[item_id] for earlier, item_id in today.items()}
        names: dict[str, tuple[str, ...]] = {}
        for name, known_as in first.items():
            names[known_as] = (*names.get(known_as, ()), name)
        return cls(MappingProxyType(today), MappingProxyType(first), MappingProxyType(names), tuple(refused))

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes as plain mappings, because read-only ones do not."""
        return Renames, (dict(self.today), dict(self.first), dict(self.names), self.refused)

    def first_id(self, item_id: str) -> str:
        """Return the id under which an item is known; of one that was never renamed its own."""
        return self.first.get(item_id, item_id)

    def id_of_today(self, item_id: str) -> str:
        """Return the id that an item has now."""
        return self.today.get(item_id, item_id)

    def names_of(self, item_id: str) -> tuple[str, ...]:
        """Return every id of an item, given one of them."""
        return self.names.get(self.first_id(item_id), (item_id,))

    def of_profile(self, profile: Profile) -> Profile:
        """Return a profile whose items are named by first ids."""
        if not any(name in self.first for name in (*(one.item_id for one in profile.recent), *profile.impressions)):
            return profile
        recent = tuple(replace(one, item_id=self.first_id(one.item_id)) for one in profile.recent)
        shown: dict[str, float] = {}
        for name, often in profile.impressions.items():
            shown[self.first_id(name)] = shown.get(self.first_id(name), 0.0) + often
        return replace(profile, recent=recent, impressions=MappingProxyType(shown))


NO_RENAMES = Renames()


def _circular(claimed: Mapping[str, str]) -> list[str]:
    """Return the ids from which a way leads back to themselves."""
    found = []
    for start in claimed:
        at, seen = claimed[start], {start}
        while at in claimed and at not in seen:
            seen.add(at)
            at = claimed[at]
        if at == start:
            found.append(start)
    return found


def _end(claimed: Mapping[str, str], item_id: str) -> str:
    while item_id in claimed:
        item_id = claimed[item_id]
    return item_id


def _beginning(was: Mapping[str, tuple[str, ...]], claimed: Mapping[str, str], item_id: str) -> str:
    while True:
        earlier = [name for name in was.get(item_id, ()) if claimed.get(name) == item_id]
        if not earlier:
            return item_id
        item_id = earlier[-1]
