"""How long a process has been awake, told by itself: one that was stopped, or suspended with its machine, overslept.

While it stood still nobody could answer it, so that time counts against no server.
"""

import math
import time
from collections.abc import Callable

__all__ = ["Awake"]


class Awake:
    """Notices that its process overslept, by how late it is called.

    Parameters
    ----------
    late_s : seconds between two calls after which the process must have stood still.
    clock : seconds, which go on while the machine is suspended.
    """

    def __init__(self, late_s: float, clock: Callable[[], float] = time.time) -> None:
        self._late_s = late_s
        self._clock = clock
        self._called_at = math.inf
        self._since = -math.inf

    def look(self) -> float:
        """Return for how many seconds the process has been awake; infinite if it never overslept."""
        now = self._clock()
        if now - self._called_at > self._late_s:
            self._since = now
        self._called_at = now
        return now - self._since
