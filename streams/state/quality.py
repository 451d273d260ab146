"""The live figures in Redis: ``quality:live`` with the position that they include, and ``quality:series``.

Figures and position are one string, written at once, so every event counts once whenever the scorekeeper dies. Tests
and hits of the users of the experiment that runs are a hash beside it, changed in the same transaction; it also holds
the time of the writing, which tells whether another Redis answers than the one that took the writing before. What the
figures are is ``model.metrics.live``'s; readers outside find the keys in docs/reference/redis.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from model.metrics.live import ExperimentUser, ExperimentUsers, Scoreboard, Tally
from streams.errors import StateError
from streams.records.positions import Offsets, TopicIds
from streams.redis.connection import answered
from streams.state.keys import QUALITY, QUALITY_SERIES, QUALITY_USERS

__all__ = [
    "SERIES",
    "ExperimentUserCounts",
    "LiveQuality",
    "QualityPoint",
    "QualityShelf",
    "find_quality",
    "find_quality_and_users",
    "find_series",
    "restored",
]

ExperimentUserCounts = dict[ExperimentUser, tuple[int, int]]  # tests and hits

SERIES = 8640  # points: a day of ten seconds each
_WRITTEN = b"at_ms"  # field of the users' hash; a user's has a line break
_NOBODY = ExperimentUsers()
# Puts a point before the others unless it is the first already, as after an answer that got lost.
_ADD = """
if redis.call('LINDEX', KEYS[1], 0) == ARGV[1] then return 0 end
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
return 1
"""


@dataclass(frozen=True, slots=True)
class LiveQuality:
    """What the scorekeeper has counted, and up to where.

    Parameters
    ----------
    figures : as ``model.metrics.live.Scoreboard`` describes them.
    began, offsets : topic with the prefix -> partition -> offset: counted are the records from the one to before the
        other.
    at_ms : wall clock of the writing, milliseconds.
    topics : ids of the topics that the offsets belong to.
    forgotten : the ids that stand for the users who were forgotten in the figures.
    recent : the latest tests, as the scorekeeper describes them; None where an earlier build stored none.
    """

    figures: Mapping[str, Any]
    began: Offsets
    offsets: Offsets
    at_ms: int
    topics: TopicIds = field(default_factory=dict)
    forgotten: tuple[str, ...] = ()
    recent: Mapping[str, Any] | None = None


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
        self._written_ms: int | None = None

    async def read(self) -> LiveQuality | None:
        """Return the stored figures, or None before the first; raise StateError if they are not ours."""
        with answered("quality: reading the live figures"):
            found = await self._client.get(QUALITY)
        return None if found is None else restored(found)

    async def users(self) -> ExperimentUserCounts:
        """Return the stored users of the experiment that ran; raise StateError if they are not ours."""
        with answered("quality: reading the users of an experiment"):
            found = await self._client.hgetall(QUALITY_USERS)
        return _users(found)

    async def write(self, quality: LiveQuality, drawn: ExperimentUsers = _NOBODY) -> bool:
        """Store figures and users at once, in place of the earlier figures and of all users or of those that changed.

        Returns
        -------
        Whether all users are stored now. Where only changed ones were given, and the earlier writing is not what was
        found (another Redis took over), all are to be given next time.
        """
        fields: dict[str | bytes, bytes | int] = {
            f"{arm}\n{user}": orjson.dumps(counts) for (arm, user), counts in drawn.users.items()
        }
        with answered("quality: writing the live figures"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hget(QUALITY_USERS, _WRITTEN)
            pipeline.set(QUALITY, orjson.dumps(quality, option=orjson.OPT_NON_STR_KEYS))
            if drawn.is_whole:
                pipeline.delete(QUALITY_USERS)
            pipeline.hset(QUALITY_USERS, mapping=fields | {_WRITTEN: quality.at_ms})
            found, *_ = await pipeline.execute()
        is_expected = found is not None and int(found) == self._written_ms
        self._written_ms = quality.at_ms
        return drawn.is_whole or is_expected

    async def add(self, point: QualityPoint) -> None:
        """Put a point before the others, once, and forget the oldest beyond the bound."""
        with answered("quality: writing a point of the series"):
            await self._client.eval(_ADD, 1, QUALITY_SERIES, orjson.dumps(point), str(self._series))


def find_quality(client: Redis) -> LiveQuality | None:
    """Return the stored figures for somebody who looks them up, or None where nobody has stored any."""
    with answered("quality: reading the live figures"):
        found: Any = client.get(QUALITY)
    return None if found is None else restored(found)


def find_quality_and_users(client: Redis) -> tuple[LiveQuality | None, ExperimentUserCounts]:
    """Return the stored figures, and the users of the experiment that ran, of one moment.

    Raises
    ------
    StateError
        If either is not what a scorekeeper stored.
    """
    with answered("quality: reading the live figures"), client.pipeline(transaction=True) as pipeline:
        pipeline.get(QUALITY)
        pipeline.hgetall(QUALITY_USERS)
        figures, users = pipeline.execute()
    return None if figures is None else restored(figures), _users(users)


def find_series(client: Redis, most: int = SERIES) -> tuple[QualityPoint, ...]:
    """Return the latest points, newest first."""
    with answered("quality: reading the series"):
        found: Any = client.lrange(QUALITY_SERIES, 0, most - 1)
    return tuple(QualityPoint(**orjson.loads(point)) for point in found)


def _checked(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures; raise if anything is missing that readers look for."""
    Scoreboard().restore(figures)
    if not all(isinstance(one[name], str) for one in figures["arms"] for name in ("experiment", "arm")):
        raise ValueError("the experiment and the arm of figures must be strings")
    for tally in (figures["latest"], *(one["latest"] for one in (*figures["versions"], *figures["arms"]))):
        Tally.restored(tally)
    int(figures["k"]), int(figures["window"])
    return figures


def _offsets(described: Mapping[str, Mapping[str, int]]) -> Offsets:
    return {topic: {int(at): offset for at, offset in partitions.items()} for topic, partitions in described.items()}


def _users(stored: Mapping[Any, Any]) -> ExperimentUserCounts:
    """Return the users that a hash holds, whether its client decodes what it reads or not."""
    try:
        return {
            _drawn(who): _counts(counts) for who, counts in stored.items() if who not in (_WRITTEN, _WRITTEN.decode())
        }
    except ValueError as error:
        raise StateError(
            f"quality: users of an experiment are required under {QUALITY_USERS}, got {error!r}; "
            "delete that key to count the experiment anew"
        ) from error


def _drawn(field: bytes | str) -> ExperimentUser:
    arm, user_id = (field if isinstance(field, str) else field.decode()).split("\n", maxsplit=1)
    return arm, user_id


def _counts(stored: bytes | str) -> tuple[int, int]:
    found = orjson.loads(stored)
    if not (isinstance(found, list) and len(found) == 2 and all(isinstance(value, int) for value in found)):  # noqa: PLR2004 - tests and hits
        raise ValueError(f"[tests, hits] is required, got {found!r}")
    return found[0], found[1]


def restored(stored: bytes | str) -> LiveQuality:
    """Return the figures that a scorekeeper has stored; raise StateError if they are none."""
    try:
        found = orjson.loads(stored)
        return LiveQuality(
            _checked(found["figures"]),
            _offsets(found["began"]),
            _offsets(found["offsets"]),
            int(found["at_ms"]),
            found.get("topics", {}),
            tuple(map(str, found.get("forgotten", ()))),
            None if found.get("recent") is None else dict(found["recent"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise StateError(
            f"quality: figures of a scorekeeper are required under {QUALITY}, got {error!r}; "
            "delete that key to count anew"
        ) from error
