"""The own time of a stream: the clock that trending decays with, as ``functions.lua`` keeps it in Redis.

Event times come from producers' clocks, and some of these are wrong; others replay an old log. So the newest event
time may say little about what is present. This clock follows the greater part of a stream instead. It is a function of
the events of one topic of a partition in their order, which is always the same.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAR", "OLDEST", "OwnTime"]

FAR = 3  # half-lives; one event that far ahead weighs as eight of now, and with ten it weighed as a thousand
ONE_BY_ONE = 256  # events after one that is far off, which often come with others
OLDEST = 10  # half-lives; what is older would count less than a thousandth


@dataclass(slots=True)
class OwnTime:
    """A clock and the other one, which may take its place.

    An event near ``newest`` counts as of its time. One that is further away than ``FAR`` half-lives counts as of now if
    it is ahead, and as of its time if it is behind, but as no older than ``OLDEST``. It moves no clock but the other
    one, which follows such events. Once that one is the warmer, both change places, and own time goes on from there.

    Parameters
    ----------
    half_life_ms : of trending.
    newest : event time of the newest event that the clock follows.
    own : own time at that event, milliseconds. It begins as event time and stays so while nothing far off takes over.
    warm : how many events the clock follows, each decayed from its own time to ``own``.
    other, other_warm : the same of the other clock, which decays as its own time passes too.
    """

    half_life_ms: int
    newest: int
    own: int
    warm: float = 0.0
    other: int = 0
    other_warm: float = 0.0

    @classmethod
    def beginning(cls, ts: int, half_life_ms: int) -> Self:
        """Return the clock of a stream whose first event is of this time; the event is still to be taken."""
        return cls(half_life_ms, newest=ts, own=ts)

    def take(self, ts: int) -> int:
        """Take the next event and return its own time; ``ts`` is its event time, both in milliseconds."""
        far = FAR * self.half_life_ms
        ahead = ts - self.newest
        if abs(ahead) > far:
            self._take_other(ts, far)
        else:
            if ahead > 0:
                self.newest, self.own = ts, self.own + ahead
                decay = 2.0 ** (-ahead / self.half_life_ms)
                self.warm *= decay
                self.other_warm *= decay
            self.warm += 1.0
        return self.own + max(-OLDEST * self.half_life_ms, min(0, ts - self.newest))

    def take_all(self, stamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take the next events and return their own times, as :meth:`take` does one by one; both int64 (E,)."""
        found = np.empty_like(stamps)
        at = 0
        while at < len(stamps):
            at += self._take_near(stamps[at:], found[at:])
            for place in range(at, min(at + ONE_BY_ONE, len(stamps))):
                found[place] = self.take(int(stamps[place]))
            at += ONE_BY_ONE
        return found

    def _take_near(self, stamps: NDArray[np.int64], found: NDArray[np.int64]) -> int:
        """Take the events before the first one that is far off, fill in their own times and return how many."""
        newest = np.maximum(np.maximum.accumulate(stamps), self.newest)
        before = np.concatenate([[self.newest], newest[:-1]])
        is_far = np.abs(stamps - before) > FAR * self.half_life_ms
        n = int(is_far.argmax()) if is_far.any() else len(stamps)
        if n == 0:
            return 0
        passed = newest[:n] - self.newest
        behind = np.clip(stamps[:n] - newest[:n], -OLDEST * self.half_life_ms, 0)
        found[:n] = self.own + passed + behind
        last = int(passed[-1])
        decay = 2.0 ** (-last / self.half_life_ms)
        self.warm = self.warm * decay + float(np.exp2((passed - last) / self.half_life_ms).sum())
        self.other_warm *= decay
        self.newest, self.own = self.newest + last, self.own + last
        return n

    def _take_other(self, ts: int, far: int) -> None:
        further = ts - self.other
        if self.other_warm > 0.0 and abs(further) <= far:
            if further > 0:
                self.other = ts
                self.other_warm *= 2.0 ** (-further / self.half_life_ms)
            self.other_warm += 1.0
        elif self.other_warm > 1.0:
            self.other_warm -= 1.0
        else:
            self.other, self.other_warm = ts, 1.0
        if self.other_warm > self.warm:
            self.newest, self.other = self.other, self.newest
            self.warm, self.other_warm = self.other_warm, self.warm
