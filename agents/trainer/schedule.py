"""When a round is due, and saying so where one is due but waits for events to be read."""

import logging
import time
from collections.abc import Callable

from agents.trainer.config import TrainerConfig
from agents.trainer.events import TrainingEvents
from agents.trainer.report import TrainerReport

__all__ = ["RoundSchedule"]

GRACE_S = 10.0  # between two rounds a trainer that keeps up reads for a few seconds at most
SAY_AGAIN_S = 60.0  # a line a minute shows that it lasts
logger = logging.getLogger(__name__)


class RoundSchedule:
    """Says when to train.

    Parameters
    ----------
    config : when to train.
    events : what is learnt.
    report : told for how long a round has waited.
    clock : monotonic seconds.
    """

    def __init__(
        self,
        config: TrainerConfig,
        events: TrainingEvents,
        report: TrainerReport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._events = events
        self._report = report
        self._clock = clock
        self._ended_at = clock()
        self._waits_since: float | None = None
        self._said_at: float | None = None

    async def is_due(self) -> bool:
        """Return whether to train now: enough is new, or enough time has passed, and few events wait to be read."""
        lag = await self._events.lag() if self._has_enough() else None
        if lag is not None and lag >= self._config.every_events:
            self._wait(lag)
            return False
        self._waits_since = self._said_at = self._report.round_waits_s = None
        return lag is not None

    def note_ended(self) -> None:
        """Note that a round has ended: the next one comes after as long again."""
        self._ended_at = self._clock()

    def _has_enough(self) -> bool:
        config, new = self._config, self._events.learner.new_events
        if self._events.learner.champion is None:
            return new >= config.first_events
        waited = self._clock() - self._ended_at
        return new >= config.every_events or (new >= config.least_events and waited >= config.every_s)

    def _wait(self, lag: int) -> None:
        """Say that a round waits, once that has lasted and then once a minute."""
        now = self._clock()
        if self._waits_since is None:
            self._waits_since = now
        waited = now - self._waits_since
        if waited < GRACE_S:
            return
        self._report.round_waits_s = round(waited, 1)
        if self._said_at is None or now - self._said_at >= SAY_AGAIN_S:
            self._said_at = now
            logger.warning(
                "round.waits for %.0f s: fewer than %s events that are not read yet are required (--every-events), "
                "got %s; no version is made meanwhile, and %s",
                waited,
                self._config.every_events,
                lag,
                f"{self._report.model_version} serves on" if self._report.model_version else "none serves",
            )
