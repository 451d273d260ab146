"""Items by what somebody types, in a catalogue that is kept in memory and read anew when it has changed."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from model.catalogue import Item
from model.intent.titles import TitleFinder
from streams.reports.items import search_titles
from streams.state.lookups import Lookups
from web.gateway.reading import Reading

__all__ = ["Titles"]

_CURRENT_S = 60.0  # a title that was mended, with no item more or less, is found by then
_LOOK_S = 1.0  # between two looks whether there are more items


class Titles:
    """The catalogue as look-ups know it.

    Parameters
    ----------
    reading : of Redis.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._items: tuple[Item, ...] = ()
        self._finder = TitleFinder(())
        self._read_at = self._looked_at = -_CURRENT_S
        self._alone = asyncio.Lock()

    async def items(self) -> Sequence[Item]:
        """Return all items, by id."""
        await self._refresh()
        return self._items

    async def search(self, text: str, n: int) -> list[dict[str, Any]]:
        """Return up to n items for what was typed so far, best first."""
        await self._refresh()
        finder, items = self._finder, self._items
        return await self._reading.off_the_loop(lambda: search_titles(finder, items, text, n))

    async def _refresh(self) -> None:
        async with self._alone:
            now = time.monotonic()
            if now - self._looked_at < _LOOK_S:
                return
            is_old = now - self._read_at > _CURRENT_S
            if is_old or await self._reading.of(Lookups.n_items) != len(self._items):
                self._items, self._finder = await self._reading.of(self._read)
                self._read_at = time.monotonic()
            self._looked_at = time.monotonic()

    def _read(self, lookups: Lookups) -> tuple[tuple[Item, ...], TitleFinder]:
        items = lookups.catalogue()
        return (self._items, self._finder) if items == self._items else (items, TitleFinder(items))
