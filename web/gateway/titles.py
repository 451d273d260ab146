"""Items by what somebody types, in a catalogue that is kept in memory and read anew when it has changed."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model.catalogue import Item
from model.intent.titles import TitleFinder
from streams.metrics.caches import CacheLookups
from streams.reports.items import search_titles
from streams.reports.lookups import genre_counts
from streams.state.lookups import Lookups
from web.gateway.reading import Reading

__all__ = ["Titles"]

_CURRENT_S = 60.0  # a title that was mended, with no item more or less, is found by then
_LOOK_S = 1.0  # between two looks whether there are more items
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """All items by id, what finds them by title, and how many have each genre."""

    items: tuple[Item, ...] = ()
    finder: TitleFinder = field(default_factory=lambda: TitleFinder(()))
    genres: Mapping[str, int] = field(default_factory=dict)


class Titles:
    """The catalogue as look-ups know it.

    It is read anew behind everybody's back: whoever asks meanwhile gets what was read before. Only while there is
    nothing yet they wait.

    Parameters
    ----------
    reading : of Redis.
    lookups : counts who is answered at once, and who has to wait, as of the cache ``catalogue``.
    """

    def __init__(self, reading: Reading, lookups: CacheLookups) -> None:
        self._reading = reading
        self._lookups = lookups
        self._found = _Catalogue()
        self._read_at = self._looked_at = -_CURRENT_S
        self._renewing: asyncio.Task[None] | None = None

    async def items(self) -> Sequence[Item]:
        """Return all items, by id."""
        await self._refresh()
        return self._found.items

    async def genres(self) -> Mapping[str, int]:
        """Return how many items have each genre."""
        await self._refresh()
        return self._found.genres

    async def search(self, text: str, n: int) -> list[dict[str, Any]]:
        """Return up to n items for what was typed so far, best first."""
        await self._refresh()
        finder = self._found.finder
        return await self._reading.off_the_loop(lambda: search_titles(finder, text, n))

    async def stop(self) -> None:
        """Read no more."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})

    async def _refresh(self) -> None:
        is_there = bool(self._found.items)
        self._lookups.note("catalogue", hits=is_there, misses=not is_there)
        if self._renewing is None:
            if time.monotonic() - self._looked_at < _LOOK_S:
                return
            self._renewing = asyncio.create_task(self._renew())
            self._renewing.add_done_callback(self._renewed)
        if not self._found.items:
            await asyncio.shield(self._renewing)

    async def _renew(self) -> None:
        is_old = time.monotonic() - self._read_at > _CURRENT_S
        if is_old or await self._reading.of(Lookups.n_items) != len(self._found.items):
            self._found = await self._reading.of(self._read)
            self._read_at = time.monotonic()

    def _renewed(self, renewing: asyncio.Task[None]) -> None:
        """Note that it was looked; an error was told to who waited, and the next who asks looks again."""
        self._renewing = None
        self._looked_at = time.monotonic()
        if not renewing.cancelled() and renewing.exception() is not None:
            self._looked_at = -_CURRENT_S if not self._found.items else self._looked_at
            logger.warning("titles.not_renewed those that were read before are shown: %s", renewing.exception())

    def _read(self, lookups: Lookups) -> _Catalogue:
        items = lookups.catalogue()
        return self._found if items == self._found.items else _Catalogue(items, TitleFinder(items), genre_counts(items))
