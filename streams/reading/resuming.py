"""Faust goes on after a rebalance, however slow Kafka is, and starts without waiting for tables that we do not have.

After each rebalance a task of Faust 0.15.3 seeks to the committed offsets and lets the streams go on. It waits with
``broker_request_timeout``, and takes that timeout for the end of the service: the task ends without a word and no later
rebalance starts it again. A brokers' pause of half a minute then left a worker that was in its group, showed signs of
life and read nothing ever again.
"""

import logging
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery

__all__ = ["PatientTables"]


class _PatientRecovery(Recovery):  # type: ignore[misc]  # Faust ships no types we could use
    logger = logging.getLogger(Recovery.__module__)  # else each step of each rebalance is a line of ours

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ARG002, ASYNC109 - Faust's signature
        """Wait until it is done, another rebalance begins, or the service stops; for any time."""
        await super()._wait(coro)


class PatientTables(TableManager):  # type: ignore[misc]  # same
    """An app's tables, of which we have none; what belongs to them lets the streams go on."""

    logger = logging.getLogger(TableManager.__module__)

    @property
    def recovery(self) -> Recovery:
        """Return the service that lets the streams go on after a rebalance."""
        if self._recovery is None:  # type: ignore[has-type]  # same
            self._recovery = _PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Let the app subscribe at once; Faust sleeps for a second, in which code may still make tables."""
        await self._update_channels()
        await self.recovery.start()
