"""Saying that a server is away, and that it is back: the same two events in every process, with its role beside them.

The events are ``redis.unavailable`` and ``redis.available``, ``kafka.unavailable`` and ``kafka.available``. A process
that cannot reach a server says so and goes on waiting. Nothing is decided here.
"""

import logging
import time
from typing import Literal

__all__ = ["SAY_AGAIN_S", "Availability"]

SAY_AGAIN_S = 10.0  # often enough to see that it lasts, seldom enough to leave a log readable
logger = logging.getLogger(__name__)


class Availability:
    """Whether one server answers one process; a change is said once, a lasting absence every few seconds.

    Parameters
    ----------
    server : ``redis`` or ``kafka``.
    role : of the process, as ``health`` names it.
    grace_s : seconds without an answer that are nothing yet.
    again_s : seconds after which it is said again.
    """

    def __init__(
        self, server: Literal["redis", "kafka"], role: str, grace_s: float = 0.0, again_s: float = SAY_AGAIN_S
    ) -> None:
        self._server = server
        self._role = role
        self._grace_s = grace_s
        self._again_s = again_s
        self._since: float | None = None
        self._said_at: float | None = None
        self._failures = 0

    @property
    def away_s(self) -> float | None:
        """Seconds since its last answer; None while it answers, and until its absence has been said."""
        return None if self._since is None or self._said_at is None else time.monotonic() - self._since

    def lost(self, cause: object, since: float | None = None) -> None:
        """Note an attempt that failed.

        Parameters
        ----------
        cause : what was got instead of an answer.
        since : monotonic seconds of the last answer; by default it is away since its first failed attempt.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now if since is None else since
        self._failures += 1
        waited_s = now - self._since
        if waited_s < self._grace_s or (self._said_at is not None and now - self._said_at < self._again_s):
            return
        self._said_at = now
        logger.error(
            "%s.unavailable %s for %.0f s: %s", self._server, self._role, waited_s, cause, extra={"role": self._role}
        )

    def found(self) -> None:
        """Note an answer."""
        if self._since is not None and self._said_at is not None:
            logger.warning(
                "%s.available %s after %.1f s and %d attempts",
                self._server,
                self._role,
                time.monotonic() - self._since,
                self._failures,
                extra={"role": self._role},
            )
        self._since, self._said_at, self._failures = None, None, 0
