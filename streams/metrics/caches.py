"""How often what a process keeps in memory was asked for, and was there."""

from collections.abc import Sequence

from streams.metrics.collector import Figures
from streams.metrics.families import CACHE_LOOKUPS

__all__ = ["CacheLookups"]


class CacheLookups:
    """Counts look-ups in the caches of one process; to be noted in one thread, and read in any.

    Parameters
    ----------
    caches : their names.
    """

    def __init__(self, caches: Sequence[str]) -> None:
        self._counts: dict[tuple[str, ...], float] = {
            (cache, outcome): 0 for cache in caches for outcome in ("hit", "miss")
        }

    def note(self, cache: str, *, hits: int = 0, misses: int = 0) -> None:
        """Count what was there, and what had to be read or made."""
        self._counts[cache, "hit"] += hits
        self._counts[cache, "miss"] += misses

    def put(self, cache: str, *, hits: int, misses: int) -> None:
        """Take over counts that somebody else keeps, which only grow."""
        self._counts[cache, "hit"], self._counts[cache, "miss"] = hits, misses

    def figures(self) -> Figures:
        """Give what Prometheus is told of them."""
        yield CACHE_LOOKUPS, dict(self._counts)
