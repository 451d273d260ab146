"""Rounds that diverge: after some in a row the version they start from is to blame, and its parent serves again."""

import logging
import time

from agents.trainer.announcer import Announcer
from agents.trainer.config import TrainerConfig
from agents.trainer.pointer import PointerKeeper
from agents.trainer.report import TrainerReport
from agents.trainer.versions import VersionKeeper
from streams.records.records import ModelVersion
from streams.serving.promotion import decide

__all__ = ["Blame"]

logger = logging.getLogger(__name__)


class Blame:
    """Counts diverged rounds in a row, and rolls the version back that they start from.

    Parameters
    ----------
    config : how many are too many.
    versions : knows the parent.
    pointer : lets it serve.
    announcer : told where nothing can serve instead.
    report : says which version is tuned.
    """

    def __init__(
        self,
        config: TrainerConfig,
        versions: VersionKeeper,
        pointer: PointerKeeper,
        announcer: Announcer,
        report: TrainerReport,
    ) -> None:
        self._config = config
        self._versions = versions
        self._pointer = pointer
        self._announcer = announcer
        self._report = report
        self._diverged = 0  # rounds in a row from the version that serves
        self._is_back = False  # whether it serves because rounds from its child diverged
        self._drifting: str | None = None  # version of which it was said that nothing can serve in its place

    def forget(self) -> None:
        """Begin to count anew: a round ended well, or another version serves."""
        self._diverged = 0

    def note_promoted(self) -> None:
        """Note that a version serves because it is better."""
        self._is_back = False

    async def diverged(self, error: FloatingPointError) -> bool:
        """Count a round that diverged; return whether another version serves therefore."""
        self._diverged += 1
        serving = self._report.model_version
        if serving is None or self._diverged < self._config.diverged_rounds:
            return False
        cause = f"{self._diverged} rounds in a row from {serving} diverged: {error}"
        self._diverged = 0
        return await self._roll_back(serving, cause)

    async def _roll_back(self, serving: str, cause: str) -> bool:
        """Let the parent of the version that serves serve again.

        Where there is none, or where rounds from the parent diverge as well, it is not the version that is to blame:
        that is said, once for each version.
        """
        parent, why_not = await self._versions.parent_of(serving)
        if parent is None or self._is_back:
            if self._drifting != serving:
                self._drifting = serving
                why_not = why_not or "as did those from the version after it, so the events or the rate are to blame"
                await self._say_drifting(serving, f"{cause}; {why_not}")
            return False
        _, standing = await self._pointer.measured()  # goes on, so that no way back leads out of it
        measured = None if standing.anchor == parent.version_id else standing
        decision = decide(parent, "rolled_back", cause, by="trainer")
        if await self._pointer.serve(decision, instead_of=serving, standing=measured):
            logger.warning("model.rolled_back %s to %s: %s", serving, parent.version_id, cause)
            self._report.rolled_back += 1
            self._is_back = True
        return True

    async def _say_drifting(self, serving: str, cause: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        await self._announcer.announce(ModelVersion(serving, "drifting", None, None, now_ms, cause=cause, by="trainer"))
