"""Which heat says best what users with few events touch next, and what a wrong clock does to it.

The log is read in time order. Each of a user's events 2 to 5 is tested before it is learnt: a hit is its item among the
ten hottest without what the user has touched. The list is made anew every 100 events.

    python -m benchmarks.learning.trending ml-100k.zip           # which events count, how much, and for how long
    python -m benchmarks.learning.trending ml-100k.zip --clocks  # the state's own lists, after events of other times
    python -m benchmarks.learning.trending ml-100k.zip --clocks --redis URL  # with 8 partitions in an empty database
"""

import argparse
import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Catalogue
from model.feedback import NEWCOMER_EVENTS, is_positive_rating
from replay.datasets.readers import Dataset, read_dataset
from replay.prequential.state import OfflineState
from streams.records.records import Event, Origin, Rating, Watch
from streams.redis.connection import connect
from streams.state.store import State
from streams.state.trending import Trends

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
EVENTS_PER_REFRESH = 100
MAX_PAST_EVENTS = 4
LIST_LENGTH = 10
PARTITIONS = 8
HALF_LIVES = (7.0, 14.0, 30.0, 90.0, 365.0, 1e7)  # days; the last is no decay
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """A log as arrays over its events: rows of users and items, stars, times, events of the user before, verdicts."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    stars: Floats
    ts: NDArray[np.int64]
    past: NDArray[np.int64]
    positive: NDArray[np.bool_]


def read_log(dataset: Dataset) -> Log:
    """Turn a data set into arrays, and judge each rating by its user's ratings before it."""
    table = dataset.interactions
    users = np.asarray(table["user_id"].astype("category").cat.codes, dtype=np.int64)
    items = np.asarray(table["item_id"].astype("category").cat.codes, dtype=np.int64)
    stars, ts = table["rating"].to_numpy(np.float64), table["ts"].to_numpy(np.int64)
    past, positive = np.zeros(len(table), np.int64), np.zeros(len(table), np.bool_)
    sums: dict[int, tuple[int, float]] = {}
    for at, (user, given) in enumerate(zip(users.tolist(), stars.tolist(), strict=True)):
        ratings, rating_sum = sums.get(user, (0, 0.0))
        past[at], positive[at] = ratings, is_positive_rating(given, ratings, rating_sum)
        sums[user] = ratings + 1, rating_sum + given
    return Log(users, items, stars, ts, past, positive)


def parts(n: int) -> Iterator[slice]:
    """Give the events between two lists."""
    return (slice(first, min(first + EVENTS_PER_REFRESH, n)) for first in range(0, n, EVENTS_PER_REFRESH))


class Tester:
    """Counts the hits of short lists; a user with four past events has touched four items at most."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._seen: dict[int, set[int]] = {}
        self.hits = self.tests = 0

    def test(self, part: slice, ranked: Sequence[int]) -> None:
        """Test and learn the events of a part on the rows of the hottest items, best first."""
        for at in range(part.start, part.stop):
            user, item = int(self._log.users[at]), int(self._log.items[at])
            seen = self._seen.setdefault(user, set())
            if 1 <= self._log.past[at] <= MAX_PAST_EVENTS:
                listed = [row for row in ranked if row not in seen][:LIST_LENGTH]
                self.hits += item in listed
                self.tests += 1
            seen.add(item)

    @property
    def rate(self) -> float:
        """HR@10."""
        return self.hits / max(self.tests, 1)


def hit_rate(log: Log, chosen: NDArray[np.bool_], heat: Floats, days: float) -> float:
    """Return HR@10 of lists by the decayed heat of the chosen events."""
    weights, landmark, half_life = np.zeros(log.items.max() + 1), int(log.ts[0]), days * DAY_MS
    tester = Tester(log)
    for part in parts(len(log.ts)):
        hottest = np.argsort(-weights, kind="stable")[: LIST_LENGTH + MAX_PAST_EVENTS]
        tester.test(part, hottest.tolist())
        newest = int(log.ts[part.stop - 1])
        weights *= 2.0 ** ((landmark - newest) / half_life)
        landmark = newest
        some = chosen[part]
        ages = (log.ts[part][some] - landmark) / half_life
        np.add.at(weights, log.items[part][some], heat[part][some] * 2.0**ages)
    return tester.rate


def print_heats(log: Log) -> None:
    """Print a line for each way to count, a column for each half-life."""
    everything, newcomers = np.ones(len(log.ts), np.bool_), log.past < NEWCOMER_EVENTS
    one, stars = np.ones(len(log.ts)), log.stars / 5.0
    half = 0.5 + 0.5 * stars
    lines = {
        "all events, half by stars": (everything, half),
        "all events, 1 each": (everything, one),
        "positive, half by stars": (log.positive, half),
        "positive, by stars": (log.positive, stars),
        "positive, 1 each (trending)": (log.positive, one),
        "newcomers' events, 1 each": (newcomers, one),
        "newcomers' positive, by stars": (newcomers & log.positive, stars),
        "newcomers' positive, 1 each (newcomers)": (newcomers & log.positive, one),
    }
    print(f"{'HR@10 by half-life in days':42}" + "".join(f"{days:9g}" for days in HALF_LIVES))
    for name, (chosen, heat) in lines.items():
        rates = "".join(f"{hit_rate(log, chosen, heat, days):9.4f}" for days in HALF_LIVES)
        print(f"{name:42}{rates}", flush=True)


def events_of(log: Log, part: slice, strays: Mapping[int, int]) -> list[Event]:
    """Return the events of a part; ``strays`` moves the times of some, by their place."""
    columns = (column[part].tolist() for column in (log.users, log.items, log.ts, log.stars))
    return [
        Rating(str(at), f"u{user}", str(item), ts + strays.get(at, 0), stars)
        for at, (user, item, ts, stars) in enumerate(zip(*columns, strict=True), part.start)
    ]


class RedisState:
    """The same calls as those of ``OfflineState``, of a state in Redis whose partitions are told by the user id."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = connect(url)
        self._state = State(self._client)
        self._offsets: dict[tuple[str, int], int] = {}
        self._loop.run_until_complete(self._client.flushdb())
        self._loop.run_until_complete(self._state.install())

    def apply(self, events: Iterable[Event]) -> None:
        """Take events in their order."""
        sourced = [(self._origin(event), event, ()) for event in events]
        if sourced:
            self._loop.run_until_complete(self._state.apply(sourced))

    def trends(self, catalogue: Catalogue) -> Trends:
        """Return the trending lists as a worker merges them."""
        return self._loop.run_until_complete(self._state.merge_trending(PARTITIONS, catalogue))

    def _origin(self, event: Event) -> Origin:
        at = "rate-events" if isinstance(event, Rating) else "watch-events", crc32(event.user_id.encode()) % PARTITIONS
        self._offsets[at] = self._offsets.get(at, -1) + 1
        return Origin(*at, self._offsets[at])


def state_rates(
    log: Log, state: OfflineState | RedisState, before: Sequence[Event], strays: Mapping[int, int]
) -> tuple[float, float]:
    """Return HR@10 of trending and of newcomers' trending as the state makes them.

    ``before`` are events of other times that come first, and ``strays`` moves the times of events, by their place.
    """
    state.apply(before)
    testers = Tester(log), Tester(log)
    for part in parts(len(log.ts)):
        trends = state.trends(Catalogue())
        for tester, ranked in zip(testers, (trends.everything, trends.newcomers), strict=True):
            tester.test(part, [int(item) for item, _ in ranked[: LIST_LENGTH + MAX_PAST_EVENTS]])
        state.apply(events_of(log, part, strays))
    return testers[0].rate, testers[1].rate


def print_clocks(log: Log, url: str | None) -> None:
    """Print how the state's lists fare after events of other times, in memory or in the Redis of ``url``."""
    n, now = len(log.ts), int(log.ts[-1]) + 27 * YEAR_MS
    rng = np.random.default_rng(1)
    ratings: list[Event] = [Rating(f"n{at}", f"n{at}", str(at), now + at * 60_000, 5.0) for at in range(10)]
    watches: list[Event] = [Watch(f"n{at}", f"n{at}", str(at), now + at * 60_000, 1.0) for at in range(10)]
    unlucky = rng.choice(n, n // 100, replace=False).tolist()
    late = {int(at): -int(rng.integers(DAY_MS // 4)) for at in rng.choice(n, n // 10, replace=False)}
    cases: tuple[tuple[str, list[Event], dict[int, int]], ...] = (
        ("as it is", [], {}),
        ("after ten ratings of 27 years later", ratings, {}),
        ("after ten watches of 27 years later", watches, {}),
        ("one event six years ahead, in the middle", [], {n // 2: 6 * YEAR_MS}),
        ("one event in a hundred six years ahead", [], dict.fromkeys(unlucky, 6 * YEAR_MS)),
        ("a tenth of the events up to six hours late", [], late),
    )
    print(f"{'HR@10':44}{'trending':>10}{'newcomers':>11}")
    for name, before, strays in cases:
        state = OfflineState() if url is None else RedisState(url)
        trending, newcomers = state_rates(log, state, before, strays)
        print(f"{name:44}{trending:10.4f}{newcomers:11.4f}", flush=True)


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("dataset", help="a MovieLens archive or folder")
    parser.add_argument("--clocks", action="store_true", help="test the state's lists after events of other times")
    parser.add_argument("--redis", metavar="URL", help="with --clocks: the state in this database, which is emptied")
    options = parser.parse_args()
    log = read_log(read_dataset(Path(options.dataset)))
    print(f"{options.dataset}: {len(log.ts)} events, {log.positive.mean():.3f} positive")
    print_clocks(log, options.redis) if options.clocks else print_heats(log)


if __name__ == "__main__":
    main()
