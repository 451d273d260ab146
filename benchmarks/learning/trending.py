"""Which heat says best what users with few events touch next, and what a wrong clock does to it.

The log is read in time order. Each of a user's events 2 to 5 is tested before it is learnt: a hit is its item among the
ten hottest without what the user has touched. The list is made anew every 100 events.

    python -m benchmarks.learning.trending ml-100k.zip           # which events count, how much, and for how long
    python -m benchmarks.learning.trending ml-100k.zip --clocks  # the state's own lists, after events of other times
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.catalogue import Catalogue
from model.feedback import NEWCOMER_EVENTS, is_positive_rating
from replay.datasets.readers import Dataset, read_dataset
from replay.prequential.state import OfflineState
from streams.records.records import Event, Rating

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
EVENTS_PER_REFRESH = 100
MAX_PAST_EVENTS = 4
LIST_LENGTH = 10
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


def state_rates(log: Log, before: Sequence[Event], strays: dict[int, int]) -> tuple[float, float]:
    """Return HR@10 of trending and of newcomers' trending as the state makes them.

    ``before`` are events of other times that come first, and ``strays`` moves the times of events, by their place.
    """
    state = OfflineState()
    state.apply(before)
    testers = Tester(log), Tester(log)
    for part in parts(len(log.ts)):
        trends = state.trends(Catalogue())
        for tester, ranked in zip(testers, (trends.everything, trends.newcomers), strict=True):
            tester.test(part, [int(item) for item, _ in ranked[: LIST_LENGTH + MAX_PAST_EVENTS]])
        state.apply(
            Rating(str(at), f"u{log.users[at]}", str(log.items[at]), int(log.ts[at]) + strays.get(at, 0), log.stars[at])
            for at in range(part.start, part.stop)
        )
    return testers[0].rate, testers[1].rate


def print_clocks(log: Log) -> None:
    """Print how the state's lists fare after events of other times."""
    n, newest = len(log.ts), int(log.ts[-1])
    now = newest + 27 * YEAR_MS
    rng = np.random.default_rng(1)
    unlucky = rng.choice(n, n // 100, replace=False).tolist()
    cases: dict[str, tuple[list[Event], dict[int, int]]] = {
        "as it is": ([], {}),
        "after ten events of 27 years later": (
            [Rating(f"n{at}", "now", str(at), now + at * 60_000, 5.0) for at in range(10)],
            {},
        ),
        "one event six years ahead, in the middle": ([], {n // 2: 6 * YEAR_MS}),
        "one event in a hundred six years ahead": ([], dict.fromkeys(unlucky, 6 * YEAR_MS)),
        "a tenth of the events up to six hours late": (
            [],
            {int(at): -int(rng.integers(DAY_MS // 4)) for at in rng.choice(n, n // 10, replace=False)},
        ),
    }
    print(f"{'HR@10':44}{'trending':>10}{'newcomers':>11}")
    for name, (before, strays) in cases.items():
        trending, newcomers = state_rates(log, before, strays)
        print(f"{name:44}{trending:10.4f}{newcomers:11.4f}", flush=True)


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("dataset", help="a MovieLens archive or folder")
    parser.add_argument("--clocks", action="store_true", help="test the state's lists after events of other times")
    options = parser.parse_args()
    log = read_log(read_dataset(Path(options.dataset)))
    print(f"{options.dataset}: {len(log.ts)} events, {log.positive.mean():.3f} positive")
    print_clocks(log) if options.clocks else print_heats(log)


if __name__ == "__main__":
    main()
