"""What ``live`` sends and what comes back: a steady crowd, new users who take turns, and every list as it arrives."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model.ranking.modes import ModeConfig
from replay.datasets.dataset import Dataset
from replay.live import ListFeed
from replay.producer import replay
from replay.schedule import PlannedDelivery, Speed, plan
from streams.settings import Settings

PERSONALIZE_AT = ModeConfig().personalize_at
AT_ONCE = 50  # newcomers who take turns, so that half a second lies between two events of one
MIXED = 2000  # neighbouring events that are mixed
MAX_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """Events a second, and how long new users come, seconds."""

    rate: float
    seconds: float

    @property
    def users(self) -> int:
        """How many new users half of the rate gives in that time, at least a thousand."""
        return max(1000, int(self.rate / 2 * self.seconds / (PERSONALIZE_AT + 1)))

    @property
    def rows(self) -> int:
        """More events than a part sends."""
        return int(self.rate * 4 * (MAX_WAIT_S + self.seconds))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A list that an event led to; times in milliseconds."""

    user_id: str
    mode: str
    sequence: int
    sent_ms: float
    arrived_ms: float

    @property
    def delay_ms(self) -> float:
        """From the event to the list."""
        return self.arrived_ms - self.sent_ms


class Arrivals(ListFeed):
    """A feed that keeps what it saw of every list."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.all: list[Arrival] = []

    def _take(self, found: dict[str, Any], arrived_ms: float) -> None:
        super()._take(found, arrived_ms)
        sent_ms = found["trigger"]["timestamp"]
        self.all.append(Arrival(found["user_id"], found["mode"], found["sequence"], sent_ms, arrived_ms))


def crowd(log: Dataset, number: int, n: int) -> Dataset:
    """Return ``n`` rows of the log from its half on, other ones for each number; after its end it has other users.

    A recorded user sends in bursts; here some twenty users at a time are mixed, so that nearly each event has its list.
    """
    first = len(log.interactions) // 2 + number * n
    mixed = first + np.argsort(np.arange(n) // MIXED + np.random.default_rng(number).random(n))
    lap, row = np.divmod(mixed, len(log.interactions))
    rows = log.interactions.iloc[row].reset_index(drop=True)
    rows["user_id"] = [user if turn == 0 else f"{user}.{turn}" for user, turn in zip(rows["user_id"], lap, strict=True)]
    return replace(log, interactions=rows)


def newcomers(log: Dataset, known: Sequence[str], users: int) -> Dataset:
    """Return events of new users, who take turns; each sends one more than makes personalised."""
    each = PERSONALIZE_AT + 1
    generator = np.random.default_rng(0)
    chosen = [generator.choice(len(known), each, replace=False) for _ in range(users)]
    groups = [range(first, min(first + AT_ONCE, users)) for first in range(0, users, AT_ONCE)]
    turns = [(user, chosen[user][turn]) for group in groups for turn in range(each) for user in group]
    rows = crowd(log, 0, len(turns)).interactions
    rows["user_id"] = [f"new{user}" for user, _ in turns]
    rows["item_id"] = [known[item] for _, item in turns]
    return replace(log, name="live", interactions=rows)


@contextmanager
def traffic(settings: Settings, events: Dataset, rate: float) -> Iterator[None]:
    """Send at a steady rate until the ``with`` block ends."""
    stop = threading.Event()

    def until_stopped(schedule: Iterable[PlannedDelivery]) -> Iterator[PlannedDelivery]:
        for planned in schedule:
            if stop.is_set():
                return
            yield planned

    schedule = plan(events, speed=Speed(rate=rate))
    sender = threading.Thread(target=lambda: replay(settings, until_stopped(schedule)), name="sender", daemon=True)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join()


def percentiles(delays: Sequence[float], *percents: float) -> dict[str, float]:
    """Return them by name, milliseconds."""
    found = np.percentile(delays, percents) if delays else [float("nan")] * len(percents)
    return {f"p{percent:g}_ms": round(float(one), 1) for percent, one in zip(percents, found, strict=True)}


def delays_within(feed: Arrivals, seconds: float) -> dict[str, float]:
    """Let a period pass and return the percentiles of the lists for events sent within it."""
    begin = time.time() * 1000
    time.sleep(seconds)
    end = time.time() * 1000
    time.sleep(1.0)
    lists = [one for one in list(feed.all) if begin <= one.sent_ms < end]
    degraded = sum(one.mode == "degraded" for one in lists)
    return {**percentiles([one.delay_ms for one in lists], 50, 99), "lists": len(lists), "degraded": degraded}
