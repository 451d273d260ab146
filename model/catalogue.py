"""What can be recommended: items and the catalogue that holds them.

The catalogue is a value: a change makes a new one, so a batch that started with one finishes with it. It may hold items
that nobody is to be shown yet, or any more: what is listed at a moment is a catalogue of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from model.renames import NO_RENAMES, Renames

__all__ = ["Catalogue", "Item"]


@dataclass(frozen=True, slots=True)
class Item:
    """One item as the owner of the catalogue describes it.

    Parameters
    ----------
    item_id : 1 to 64 printable characters.
    title : as shown to people.
    year : year of release, or None if unknown.
    genres : names in the owner's order, possibly none.
    tags : what people say of it, in few words each, possibly none.
    released : from when on it is listed, milliseconds since the epoch; None for always.
    expires : from when on it is listed no more, milliseconds since the epoch; None for never.
    hidden : whether it is not listed until a later record says otherwise.
    was : ids that it had before, the latest first.
    """

    item_id: str
    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    released: int | None = None
    expires: int | None = None
    hidden: bool = False
    was: tuple[str, ...] = ()

    def is_listed(self, now_ms: int) -> bool:
        """Return whether it may be shown at a moment: released, not expired and not hidden."""
        if self.hidden or (self.released is not None and now_ms < self.released):
            return False
        return self.expires is None or now_ms < self.expires


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items, by id, in a stable order (first seen first).

    Parameters
    ----------
    items : by id.
    renames : other ids of the items, where these are named by their first ids (:meth:`under_first_ids`).
    """

    items: Mapping[str, Item] = field(default_factory=lambda: MappingProxyType({}))
    renames: Renames = NO_RENAMES

    @classmethod
    def of(cls, items: Iterable[Item], renames: Renames = NO_RENAMES) -> "Catalogue":
        """Collect items; of two with the same id the later wins."""
        return cls(MappingProxyType({item.item_id: item for item in items}), renames)

    def under_first_ids(self) -> "Catalogue":
        """Return the items named by their first ids, without those that have become others; itself without renames."""
        was = {item.item_id: item.was for item in self if item.was}
        if not was:
            return self
        renames = Renames.of(was)
        kept = (item for item in self if item.item_id not in renames.today)
        return Catalogue.of((replace(one, item_id=renames.first_id(one.item_id)) for one in kept), renames)

    def under_ids_of_today(self) -> "Catalogue":
        """Return the items named by the ids that they have now."""
        if not self.renames.today:
            return self
        return Catalogue.of(replace(item, item_id=self.renames.id_of_today(item.item_id)) for item in self)

    def changed(self, put: Iterable[Item] = (), remove: Iterable[str] = ()) -> "Catalogue":
        """Return a catalogue with some items put in (or replaced) and others removed."""
        items = dict(self.items) | {item.item_id: item for item in put}
        for item_id in remove:
            items.pop(item_id, None)
        return Catalogue(MappingProxyType(items))

    def listed(self, now_ms: int) -> "Catalogue":
        """Return the items that may be shown at a moment; itself where these are all."""
        shown = [item for item in self if item.is_listed(now_ms)]
        return self if len(shown) == len(self) else Catalogue.of(shown, self.renames)

    def changes_after(self, now_ms: int) -> int | None:
        """Return the next moment at which an item is released or expires; None where none will be."""
        moments = (at for item in self if not item.hidden for at in (item.released, item.expires) if at is not None)
        return min((at for at in moments if at > now_ms), default=None)

    def find(self, item_id: str) -> Item | None:
        """Return the item, or None if the catalogue does not hold it."""
        return self.items.get(item_id)

    def genres(self) -> tuple[str, ...]:
        """Return every genre that occurs, sorted by name."""
        return tuple(sorted({genre for item in self.items.values() for genre in item.genres}))

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes as the items, because a read-only mapping does not."""
        return Catalogue.of, (tuple(self), self.renames)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items.values())

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.items
