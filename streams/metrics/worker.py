"""What a worker measures while it works: durations and sizes, and what is counted by label.

Totals stand in the worker's report; here is what a total does not tell.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.context_managers import Timer

from streams.metrics.collector import Figures, ReportCollector
from streams.metrics.endpoint import histogram
from streams.metrics.families import (
    BATCH_RECORDS,
    DEAD_LETTERS,
    EVENT_TO_LIST,
    EVENTS,
    LISTS,
    MODE_CHANGES,
    REDELIVERED,
    STAGE_SECONDS,
    STAGE_WORKED,
    WITHDRAWALS,
    Family,
)
from streams.metrics.latency import LatencyWindow
from streams.metrics.working import Working

__all__ = ["STAGES", "WorkerMetrics"]

T = TypeVar("T")

STAGES = (
    "decode",
    "apply",
    "answer",
    "publish",
    "keep",
    "acknowledge",
    "ask",
)  # the steps of a batch; a request's lists


class WorkerMetrics:
    """Measures one worker.

    Parameters
    ----------
    registry : of the process.
    wall_ms : wall clock, milliseconds since the epoch, as the times of Kafka's records.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, wall_ms: Callable[[], float] = lambda: time.time() * 1000
    ) -> None:
        self._registry = registry or CollectorRegistry()
        self._wall_ms = wall_ms
        self._events = self._counter(EVENTS)
        withdrawals = self._counter(WITHDRAWALS)
        self._withdrawals = {outcome: withdrawals.labels(outcome) for outcome in ("applied", "without_event")}
        self._redelivered = self._counter(REDELIVERED)
        self._lists = self._counter(LISTS)
        self._mode_changes = self._counter(MODE_CHANGES)
        self._dead_letters = self._counter(DEAD_LETTERS)
        sizes, stages = histogram(BATCH_RECORDS, self._registry), histogram(STAGE_SECONDS, self._registry)
        waited = histogram(EVENT_TO_LIST, self._registry)
        self._sizes = {of: sizes.labels(of) for of in ("events", "requests")}
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        worked = self._counter(STAGE_WORKED)
        self._worked = {stage: worked.labels(stage) for stage in STAGES}
        self._waited = {trigger: waited.labels(trigger) for trigger in ("event", "request")}
        for before, after in (("cold_start", "personalized"), ("personalized", "cold_start")):
            self._mode_changes.labels(before, after)  # none so far is a number too
        self.latest = LatencyWindow(time.monotonic)  # of lists for events

    def collect(self, read: Callable[[], Figures]) -> None:
        """Let figures of others be read with these."""
        self._registry.register(ReportCollector(read))

    def stage(self, name: str) -> Timer:
        """Return a context that measures one step; ``name`` is one of ``STAGES``."""
        return self._stages[name].time()

    def working(self, name: str, coroutine: Coroutine[Any, Any, T]) -> Working[T]:
        """Return what is awaited in the place of a coroutine, so that the loop's work on that step is counted."""
        return Working(coroutine, self._worked[name].inc)

    def note_batch(self, of: str, size: int) -> None:
        """Count a batch of ``events`` or ``requests``."""
        self._sizes[of].observe(size)

    def note_events(self, topic: str, outcome: str, n: int) -> None:
        """Count records of an event topic, named without its prefix."""
        if n:
            self._events.labels(topic, outcome).inc(n)

    def note_redelivered(self, n: int) -> None:
        """Count events that had been applied before."""
        if n:
            self._redelivered.inc(n)

    def note_withdrawals(self, applied: int, without_event: int) -> None:
        """Count withdrawals that took an event back, and those whose event is not known, or was taken back before."""
        self._withdrawals["applied"].inc(applied)
        self._withdrawals["without_event"].inc(without_event)

    def note_lists(self, lists: Iterable[tuple[str, str | None]], changes: Iterable[tuple[str | None, str]]) -> None:
        """Count lists by mode and tier, and users by the mode before and after."""
        for (mode, tier), n in Tally(lists).items():
            self._lists.labels(mode, tier or "none").inc(n)
        for before, after in changes:
            self._mode_changes.labels(before or "none", after).inc()

    def note_dead_letters(self, letters: Sequence[tuple[str, str]]) -> None:
        """Count dead letters by topic, without its prefix, and cause."""
        for topic, cause in letters:
            self._dead_letters.labels(topic, cause).inc()

    def note_delivered(self, trigger: str, since_ms: Iterable[int]) -> None:
        """Note lists that the brokers have now, by the Kafka times of what they answer: an ``event`` or ``request``."""
        now, waited = self._wall_ms(), self._waited[trigger]
        for at in since_ms:
            seconds = max(0.0, (now - at) / 1000)  # producers' clocks may be ahead
            waited.observe(seconds)
            if trigger == "event":
                self.latest.add(seconds)

    def _counter(self, family: Family) -> Counter:
        return Counter(family.name, family.help, family.labels, registry=self._registry)
