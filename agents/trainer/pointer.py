"""The model pointer as the trainer sees it: read, moved, and put back where Redis has lost it."""

import asyncio
import logging

from agents.retry import Retry
from agents.trainer.announcer import Announcer
from streams.availability import Availability
from streams.errors import StateAway, StateError
from streams.records.records import ModelVersion
from streams.redis.heartbeat import RENEW_S
from streams.serving.promotion import GUARD, Promotion, pointer_to
from streams.state.store import NO_POINTER, ModelPointer, ModelStanding, State

__all__ = ["PointerKeeper"]

logger = logging.getLogger(__name__)


class PointerKeeper:
    """Keeps the pointer.

    Parameters
    ----------
    state : where it rests.
    announcer : tells everybody of each move.
    retry : waits for Redis and Kafka.
    """

    def __init__(self, state: State, announcer: Announcer, retry: Retry) -> None:
        self._state = state
        self._promotion = Promotion(state, announcer.send)
        self._retry = retry
        self._found: ModelPointer | None = None  # as it was found last, whoever moved it
        self._standing = ModelStanding()  # of what was found
        self._set_aside: str | None = None

    async def serving(self) -> ModelPointer | None:
        """Return what the pointer says, which is put back first where Redis has lost it."""
        return (await self.measured())[0]

    async def measured(self) -> tuple[ModelPointer | None, ModelStanding]:
        """Return what the pointer says and what that version is measured by, put back first where Redis lost both."""
        await self._retry.until_available(self._restore)
        return await self._retry.until_available(self._state.measured_model) or (None, ModelStanding())

    def set_aside(self, version: str | None) -> None:
        """Note which version, though it may serve, is not gone on from: one that was learnt anew takes its place."""
        self._set_aside = version

    async def tuned(self) -> str | None:
        """Return the name of the version to go on from; None where none serves, or the one that does is set aside."""
        return self._name(await self.serving())

    async def current(self) -> ModelPointer | None:
        """Return what the pointer says."""
        return await self._retry.until_available(self._state.current_model)

    async def note(self, standing: ModelStanding, of: str) -> None:
        """Note what a version is measured by, if it still serves."""
        current = await self.serving()
        if current is not None and current.version == of:
            await self._retry.until_available(self._state.note_standing, current, standing)
            self._standing = standing

    async def withdrawn_by_guard(self, version: str) -> ModelPointer | None:
        """Return the pointer to no version where the drift guard has withdrawn this one; None where anything else is.

        To be given to :meth:`move`, which then changes nothing that was chosen since.
        """
        decided = await self._retry.until_available(self._state.withdrawal)
        if decided is None or decided.version != version or decided.by != GUARD:
            return None
        return pointer_to(decided)

    async def serve(
        self, decision: ModelVersion, instead_of: str | None, standing: ModelStanding | None = None
    ) -> bool:
        """Let a version serve in place of another, and announce it, however long that takes.

        Parameters
        ----------
        decision : to serve it, or to withdraw the other one.
        instead_of : the other version; None where none serves, or the one that does is set aside.
        standing : what it is measured by; by default itself.

        Returns
        -------
        Whether it serves: False where somebody else has moved the pointer.
        """
        current = await self.serving()
        if self._name(current) != instead_of:
            return False
        return await self.move(decision, current, standing)

    async def move(
        self, decision: ModelVersion, expected: ModelPointer | None, standing: ModelStanding | None = None
    ) -> bool:
        """Let a version serve as ``serve`` does, in place of exactly what the pointer said; return whether it does."""
        if not await self._retry.until_available(self._promotion.serve, decision, expected, standing):
            return False
        self._found = None if decision.status == "withdrawn" else pointer_to(decision)
        self._standing = standing or ModelStanding()
        return True

    async def finish(self) -> None:
        """Announce what serves where somebody, a trainer that was killed perhaps, has left that undone."""
        finished = await self._retry.until_available(self._promotion.finish)
        if finished is not None:
            logger.info("promotion.finished %s: it served, and was not announced", finished.version)

    async def keep(self) -> None:
        """Look every second whether the pointer is still there, and put it back."""
        redis = Availability("redis", "trainer")
        while True:
            try:
                await self._restore()
            except StateAway:
                pass  # the sign of life says so
            except StateError as error:
                redis.lost(error)
            else:
                redis.found()
            await asyncio.sleep(RENEW_S)

    def _name(self, pointer: ModelPointer | None) -> str | None:
        return None if pointer is None or pointer.version == self._set_aside else pointer.version

    async def _restore(self) -> None:
        """Put the pointer back where there is none any more: a Redis that was emptied, or lost everything."""
        found = await self._state.measured_model()
        if found is not None:
            self._found, self._standing = found
        elif self._found is not None and await self._state.move_model(self._found, NO_POINTER, standing=self._standing):
            logger.warning("trainer.pointer_restored to %s: Redis had lost it", self._found.version)
