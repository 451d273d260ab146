"""Scoring off the event loop: one thread, a time budget, and a breaker that stops asking a sick model.

A list must always be published; when scoring raises or is late, the caller serves its fallback instead.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Breaker", "BreakerConfig", "BudgetedScorer"]

UNHURRIED = 8  # budgets of a call that is not urgent: where it hangs, three of them pass before the breaker opens
TOLD_S = 600.0  # of a failure: where calls are rare, the next one that could close the breaker may come days later

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When to stop asking.

    Parameters
    ----------
    failures : consecutive failures that open the breaker.
    rest_s : how long it stays open before one call is tried again, seconds.
    """

    failures: int = 3
    rest_s: float = 5.0


class Breaker:
    """Counts consecutive failures; open means "do not call"."""

    def __init__(self, config: BreakerConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._failures = 0
        self._opened_at = 0.0

    def is_open(self) -> bool:
        """Return whether calls are refused now; after the rest one call is let through."""
        if self._failures < self._config.failures:
            return False
        return self._clock() - self._opened_at < self._config.rest_s

    @property
    def is_tripped(self) -> bool:
        """Whether enough calls have failed in a row, the last of them lately; it stays so while one more is tried."""
        return self._failures >= self._config.failures and self._clock() - self._opened_at < TOLD_S

    def succeeded(self) -> None:
        """Note a success: the breaker closes."""
        self._failures = 0

    def failed(self) -> None:
        """Note a failure; enough in a row open the breaker, and so does a failed trial."""
        self._failures += 1
        self._opened_at = self._clock()


class BudgetedScorer:
    """Runs scoring functions in one thread under a budget.

    ``fallbacks`` counts the calls that it answered with the fallback, by cause: ``late``, ``failed``, ``breaker`` or
    ``closed``.

    Parameters
    ----------
    budget_s : seconds a call may take, from when those before it are done or given up.
    breaker : consulted before each call.
    """

    def __init__(self, budget_s: float, breaker: Breaker) -> None:
        self.fallbacks = Counter(dict.fromkeys(("late", "failed", "breaker", "closed"), 0))
        self._budget_s = budget_s
        self._breaker = breaker
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._turn = asyncio.Lock()  # so that waiting for a call before it costs no call its budget

    async def within_budget(self, score: Callable[[], T], fallback: Callable[[], T], *, is_urgent: bool = True) -> T:
        """Return ``score()``, or ``fallback()`` where scoring fails, is late, or has lately kept failing.

        What is not urgent has eight times the budget: lists out of a backlog are late anyway.
        """
        async with self._turn:
            return await self._within(self._budget_s if is_urgent else UNHURRIED * self._budget_s, score, fallback)

    async def _within(self, budget_s: float, score: Callable[[], T], fallback: Callable[[], T]) -> T:
        if self._breaker.is_open():
            return self._fallen("breaker", fallback)
        try:
            scoring = asyncio.get_running_loop().run_in_executor(self._pool, score)
        except RuntimeError as error:  # the pool is closed: the worker is ending, and this is its last batch
            logger.warning("scoring.closed %r", error)
            return self._fallen("closed", fallback)
        await asyncio.wait({scoring}, timeout=budget_s)
        if not scoring.done():
            await asyncio.sleep(0)  # where the loop itself was held up, timer and result come in one turn
        if not scoring.done():
            scoring.cancel()
            await asyncio.sleep(0)  # the cancellation reaches the pool with the loop's next turn
            logger.warning("scoring.late, over %s s", budget_s)
            cause = "late"
        else:
            try:
                scored = scoring.result()
            except Exception as error:  # noqa: BLE001 - whatever ails the model, a list must be published
                logger.warning("scoring.failed %r", error)
                cause = "failed"
            else:
                self._breaker.succeeded()
                return scored
        self._breaker.failed()
        return self._fallen(cause, fallback)

    @property
    def is_tripped(self) -> bool:
        """Whether its breaker is, see there."""
        return self._breaker.is_tripped

    def _fallen(self, cause: str, fallback: Callable[[], T]) -> T:
        self.fallbacks[cause] += 1
        return fallback()

    def close(self) -> None:
        """Let the thread finish what it does and take nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
