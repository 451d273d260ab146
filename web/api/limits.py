"""How much one process takes: of one key in a second, of one request at once, and for how long."""

import math
import time
from dataclasses import dataclass

from streams.errors import SettingsError

__all__ = ["KEY_NAME", "OWE", "ApiConfig", "RateLimits", "is_local"]

OWE = "reelstream.owe"  # of a request's scope: counts further events of its key; absent without keys

KEY_NAME = "reelstream.key_name"  # of a request's scope: whose key it shows; absent without keys
_LOCAL = ("127.0.0.1", "localhost", "::1")
_KEPT = 10_000  # buckets; keys are made by hand, so nobody has so many


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """What one process of the API takes.

    Parameters
    ----------
    host, port : where it listens; without keys only on this machine.
    rate : requests a second of each key that names no rate of its own, each event of a batch as one; 0 for no limit.
    body_bytes : largest body: a batch of 1,000 events has 0.2 MB.
    batch : most events of one request.
    time_s : longest answer; a stream of lists has no end.
    budget_ms : what a fresh list may take unless the request says so.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    rate: float = 1000.0
    body_bytes: int = 2_000_000
    batch: int = 1000
    time_s: float = 30.0
    budget_ms: int = 1000

    def __post_init__(self) -> None:
        numbers = (self.rate, self.body_bytes, self.batch, self.time_s, self.budget_ms)
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise SettingsError(f"api: limits must be numbers of 0 or more, got {self!r}")


class RateLimits:
    """A token bucket for each key: it holds what the key may ask in one second, and fills up at that rate.

    A batch is taken where there is one token, whatever its length; the rest is owed, and paid before the next request.
    So a batch of any size passes with any rate, and no key sends more events in the long run than its rate.
    """

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when they were counted

    def wait_s(self, key_id: str, rate: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        if rate <= 0:
            return 0.0
        now = time.monotonic()
        most = max(1.0, rate)
        tokens, at = self._buckets.get(key_id, (most, now))
        tokens = min(most, tokens + (now - at) * rate)
        if tokens < 1.0:
            return (1.0 - tokens) / rate
        if len(self._buckets) >= _KEPT:
            self._buckets.clear()
        self._buckets[key_id] = (tokens - 1.0, now)
        return 0.0

    def owe(self, key_id: str, rate: float, n: int) -> None:
        """Take n tokens more for a request that was let in, whether they are there or not."""
        if rate > 0 and n > 0 and key_id in self._buckets:
            tokens, at = self._buckets[key_id]
            self._buckets[key_id] = (tokens - n, at)


def is_local(host: str) -> bool:
    """Tell whether only this machine can reach what listens there."""
    return host in _LOCAL
