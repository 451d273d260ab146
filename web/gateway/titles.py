"""Items by what somebody types, in a catalogue that is kept in memory and read anew when it has changed."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from model.catalogue import Catalogue, Item
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
    """All items that may be shown by id, what finds them by title, and how many have each genre.

    Parameters
    ----------
    n_known : items that there are, those among them that may not be shown.
    changes_at : when the next is released or expires, milliseconds since the epoch; None where none will be.
    """

    items: tuple[Item, ...] = ()
    finder: TitleFinder = field(default_factory=lambda: TitleFinder(()))
    genres: Mapping[str, int] = field(default_factory=dict)
    n_known: int = 0
    changes_at: int | None = None


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
        """Return all items that may be shown, by id."""
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
        is_there = bool(self._found.n_known)
        self._lookups.note("catalogue", hits=is_there, misses=not is_there)
        if self._renewing is None:
            if time.monotonic() - self._looked_at < _LOOK_S:
                return
            self._renewing = asyncio.create_task(self._renew())
            self._renewing.add_done_callback(self._renewed)
        if not self._found.n_known:
            await asyncio.shield(self._renewing)

    async def _renew(self) -> None:
        is_old = time.monotonic() - self._read_at > _CURRENT_S
        is_changed = self._found.changes_at is not None and _now_ms() >= self._found.changes_at
        if is_old or is_changed or await self._reading.of(Lookups.n_items) != self._found.n_known:
            self._found = await self._reading.of(self._read)
            self._read_at = time.monotonic()

    def _renewed(self, renewing: asyncio.Task[None]) -> None:
        """Note that it was looked; an error was told to who waited, and the next who asks looks again."""
        self._renewing = None
        self._looked_at = time.monotonic()
        if not renewing.cancelled() and renewing.exception() is not None:
            self._looked_at = -_CURRENT_S if not self._found.n_known else self._looked_at
            logger.warning("titles.not_renewed those that were read before are shown: %s", renewing.exception())

    def _read(self, lookups: Lookups) -> _Catalogue:
        known, now_ms = Catalogue.of(lookups.catalogue()), _now_ms()
        items = tuple(known.listed(now_ms))
        changes_at = known.changes_after(now_ms)
        if items == self._found.items:
            return replace(self._found, n_known=len(known), changes_at=changes_at)
        return _Catalogue(items, TitleFinder(items), genre_counts(items), len(known), changes_at)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
