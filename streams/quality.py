"""The live figures in Redis: ``quality:live`` with the position that they include, and ``quality:series``.

Figures and position are one string, written at once, so every event counts once whenever the scorekeeper dies. What
the figures are is ``model.scoreboard``'s; readers outside find both keys in docs/lookups.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from streams.connection import answered
from streams.errors import StateError
from streams.keys import QUALITY, QUALITY_SERIES
from streams.reader import Offsets

__all__ = ["SERIES", "LiveQuality", "QualityPoint", "QualityShelf", "find_quality", "find_series"]

SERIES = 8640  # points: a day of ten seconds each


@dataclass(frozen=True, slots=True)
class LiveQuality:
    """What the scorekeeper has counted, and up to where.

    Parameters
    ----------
    figures : as ``model.scoreboard.Scoreboard`` describes them.
    began, offsets : topic with the prefix -> partition -> offset: counted are the records from the one to before the
        other.
    at_ms : wall clock of the writing, milliseconds.
    drifting : version of which it was announced that it drifts and cannot be rolled back, if that was the last one.
    """

    figures: Mapping[str, Any]
    began: Offsets
    offsets: Offsets
    at_ms: int
    drifting: str | None = None


@dataclass(frozen=True, slots=True)
class QualityPoint:
    """One point of the series.

    Parameters
    ----------
    at_ms : wall clock, milliseconds.
    tests : all tests so far.
    hit_rate, popularity_hit_rate : over the latest tests, the window of the figures.
    version : that served, None before the first.
    """

    at_ms: int
    tests: int
    hit_rate: float
    popularity_hit_rate: float
    version: str | None


class QualityShelf:
    """Writes and reads the figures for the scorekeeper.

    Parameters
    ----------
    client : a connected redis-py client that returns bytes; closed by who opened it.
    series : points that are kept.
    """

    def __init__(self, client: AsyncRedis, series: int = SERIES) -> None:
        self._client: Any = client
        self._series = series

    async def read(self) -> LiveQuality | None:
        """Return the stored figures, or None before the first; raise StateError if they are not ours."""
        with answered("quality: reading the live figures"):
            found = await self._client.get(QUALITY)
        return None if found is None else _restored(found)

    async def write(self, quality: LiveQuality) -> None:
        """Store the figures in place of the earlier ones."""
        with answered("quality: writing the live figures"):
            await self._client.set(QUALITY, orjson.dumps(quality, option=orjson.OPT_NON_STR_KEYS))

    async def add(self, point: QualityPoint) -> None:
        """Put a point before the others, and forget the oldest beyond the bound."""
        with answered("quality: writing a point of the series"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.lpush(QUALITY_SERIES, orjson.dumps(point))
            pipeline.ltrim(QUALITY_SERIES, 0, self._series - 1)
            await pipeline.execute()


def find_quality(client: Redis) -> LiveQuality | None:
    """Return the stored figures for somebody who looks them up, or None where nobody has stored any."""
    with answered("quality: reading the live figures"):
        found: Any = client.get(QUALITY)
    return None if found is None else _restored(found)


def find_series(client: Redis, most: int = SERIES) -> tuple[QualityPoint, ...]:
    """Return the latest points, newest first."""
    with answered("quality: reading the series"):
        found: Any = client.lrange(QUALITY_SERIES, 0, most - 1)
    return tuple(QualityPoint(**orjson.loads(point)) for point in found)


def _offsets(described: Mapping[str, Mapping[str, int]]) -> Offsets:
    return {topic: {int(at): offset for at, offset in partitions.items()} for topic, partitions in described.items()}


def _restored(stored: bytes | str) -> LiveQuality:
    try:
        found = orjson.loads(stored)
        return LiveQuality(
            found["figures"], _offsets(found["began"]), _offsets(found["offsets"]), found["at_ms"], found["drifting"]
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise StateError(
            f"quality: figures of a scorekeeper are required under {QUALITY}, got {error!r}; "
            "delete that key to count anew"
        ) from error
