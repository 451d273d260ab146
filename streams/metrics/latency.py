"""The durations of the last minute, for the quantiles that a report tells; a histogram would only tell its buckets."""

import math
from collections import deque
from collections.abc import Callable

__all__ = ["LatencyWindow"]

WINDOW_S = 60.0
MAX_DURATIONS = 4096  # sorting them takes half a millisecond, once a second


class LatencyWindow:
    """Keeps durations, at most the latest 4,096 of the last minute.

    Parameters
    ----------
    clock : seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._found: deque[tuple[float, float]] = deque(maxlen=MAX_DURATIONS)

    def add(self, seconds: float) -> None:
        """Note a duration that ended now."""
        self._found.append((self._clock(), seconds))

    def quantiles(self, *shares: float) -> tuple[float, ...] | None:
        """Return the smallest durations that such shares of all do not exceed; None where there was none lately."""
        while self._found and self._clock() - self._found[0][0] > WINDOW_S:
            self._found.popleft()
        if not self._found:
            return None
        ordered = sorted(seconds for _, seconds in self._found)
        return tuple(ordered[_place(share, len(ordered))] for share in shares)


def _place(share: float, n: int) -> int:
    """Return how many of n durations come before the one that such a share does not exceed."""
    return max(0, math.ceil(share * n - 1e-9) - 1)  # 0.07 x 100 is a little more than seven
