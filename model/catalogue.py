"""What can be recommended: items and the catalogue that holds them.

The catalogue is a value: a change makes a new one, so a batch that started with one finishes with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

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
    """

    item_id: str
    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items, by id, in a stable order (first seen first)."""

    items: Mapping[str, Item] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, items: Iterable[Item]) -> "Catalogue":
        """Collect items; of two with the same id the later wins."""
        return cls(MappingProxyType({item.item_id: item for item in items}))

    def changed(self, put: Iterable[Item] = (), remove: Iterable[str] = ()) -> "Catalogue":
        """Return a catalogue with some items put in (or replaced) and others removed."""
        items = dict(self.items) | {item.item_id: item for item in put}
        for item_id in remove:
            items.pop(item_id, None)
        return Catalogue(MappingProxyType(items))

    def find(self, item_id: str) -> Item | None:
        """Return the item, or None if the catalogue does not hold it."""
        return self.items.get(item_id)

    def genres(self) -> tuple[str, ...]:
        """Return every genre that occurs, sorted by name."""
        return tuple(sorted({genre for item in self.items.values() for genre in item.genres}))

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes as the items, because a read-only mapping does not."""
        return Catalogue.of, (tuple(self),)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items.values())

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.items
