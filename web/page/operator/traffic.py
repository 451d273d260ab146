"""How much comes in and goes out, how late lists are, and which modes users are in: what the workers report."""

import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from web.page.operator.figures import MISSING, Tiles, number, panel
from web.page.words import mode_words

__all__ = ["Traffic"]

WINDOW_S = 10.0  # over which rates are taken: shorter ones jump
Reports = Mapping[str, Mapping[str, Any]]


class Traffic:
    """A part with rates and delays."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, tuple[int, int]]]] = deque()
        _, body = panel("Traffic", "panel whole")
        body.clear()
        with body:
            self._tiles = Tiles("Events", "Lists", "Lag", "Half of lists within", "99 of 100 within", "Users by mode")

    def show(self, workers: Reports) -> None:
        """Show what the workers have just reported."""
        events, lists = self._rates(workers)
        self._tiles.set("Events", number(events, "/s", 1))
        self._tiles.set("Lists", number(lists, "/s", 1))
        lags = [report["lag"] for report in workers.values() if report.get("lag") is not None]
        self._tiles.set("Lag", number(sum(lags)) if lags else MISSING, "records not done yet")
        for name, field in (("Half of lists within", "list_p50_ms"), ("99 of 100 within", "list_p99_ms")):
            slowest = max((report[field] for report in workers.values() if report.get(field) is not None), default=None)
            self._tiles.set(name, number(slowest, " ms"), "event to list, last minute")
        self._users(workers)

    def _users(self, workers: Reports) -> None:
        users: Counter[str] = Counter()
        for report in workers.values():
            users.update(report.get("users") or {})
        shown = ", ".join(f"{n:,} {mode_words(mode)[0].lower()}" for mode, n in users.most_common())
        self._tiles.set("Users by mode", number(users.total()) if users else MISSING, shown)

    def _rates(self, workers: Reports) -> tuple[float | None, float | None]:
        """Return events and lists a second; a worker that was not there before counts from now on."""
        now = time.monotonic()
        counts = {name: (report.get("events", 0), report.get("lists", 0)) for name, report in workers.items()}
        self._seen.append((now, counts))
        while now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        began, before = self._seen[0]
        if now == began:
            return None, None
        grown = [(counts[name][0] - was[0], counts[name][1] - was[1]) for name, was in before.items() if name in counts]
        took = now - began
        return sum(max(0, events) for events, _ in grown) / took, sum(max(0, lists) for _, lists in grown) / took
