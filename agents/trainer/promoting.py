"""What follows from the gate's verdict: a candidate is stored and serves, the anchor serves again, or nothing does."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from agents.trainer.events import TrainingEvents
from agents.trainer.pointer import PointerKeeper
from agents.trainer.report import TrainerReport, figures_of
from agents.trainer.versions import VersionKeeper
from model.training.gate import GateVerdict
from model.training.rounds import Candidate
from streams.errors import RegistryError
from streams.kafka.cluster_watch import ClusterWatch
from streams.registry.versions import Version
from streams.serving.promotion import decide, withdraw
from streams.state.store import ModelStanding

__all__ = ["Promoted", "Promoter"]

Promoted = Literal["tuned", "replaced", "overtaken"]
logger = logging.getLogger(__name__)


class Promoter:
    """Lets candidates serve, or what is better.

    Parameters
    ----------
    events : says which events a candidate contains.
    versions : where it is stored.
    pointer : lets it serve.
    cluster : knows the topics' ids.
    report : told which version is tuned.
    """

    def __init__(
        self,
        events: TrainingEvents,
        versions: VersionKeeper,
        pointer: PointerKeeper,
        cluster: ClusterWatch,
        report: TrainerReport,
    ) -> None:
        self._events = events
        self._versions = versions
        self._pointer = pointer
        self._cluster = cluster
        self._report = report

    async def promote(self, candidate: Candidate, verdict: GateVerdict, metrics: Mapping[str, float]) -> Promoted:
        """Let a candidate serve.

        Steps: 1 store it with the offsets it contains; 2 let it serve, and announce it; 3 commit the offsets. A crash
        after any step is made good by the next start, which follows the pointer and finishes the announcement.

        Returns
        -------
        ``tuned`` where it serves. ``overtaken``, with nothing announced, where somebody moved the pointer while it was
        trained. ``replaced`` where the drift guard did, and it serves as what is better than nothing: what the learner
        holds is of the version that was withdrawn, so the next round begins with what serves.
        """
        # Step 1
        champion = self._report.model_version
        standing = self._standing(candidate, verdict)
        if verdict.is_anchored:
            standing = replace(standing, anchor=champion)
        contained = candidate.material.trained_to
        offsets = self._events.contained(contained)
        topic_ids = {topic: self._cluster.ids[topic] for topic in offsets if topic in self._cluster.ids}
        version = await self._versions.store(candidate, metrics, offsets, topic_ids)
        self._events.note_stored(contained)
        # Step 2
        decision = decide(version, "promoted", by="trainer")
        if not await self._pointer.serve(decision, instead_of=champion, standing=standing):
            if not await self._replace(version, verdict, standing):
                return "overtaken"
            await self._events.note_serving(offsets)
            return "replaced"
        # Step 3
        await self._events.note_serving(offsets)
        self._report.model_version, self._report.anchor = version.version_id, standing.anchor
        await self._versions.prune(version.version_id)
        return "tuned"

    async def keep(self, candidate: Candidate, verdict: GateVerdict) -> None:
        """Note what a round that changed nothing says of the version that serves."""
        champion = self._report.model_version
        if champion is not None:
            standing = self._standing(candidate, verdict)
            await self._pointer.note(standing, champion)
            self._report.anchor = standing.anchor

    async def go_back(self, verdict: GateVerdict, metrics: Mapping[str, float]) -> None:
        """Let the anchor serve again, which is its own anchor from then on.

        Raises
        ------
        RegistryError
            If it cannot be read; the version that serves is its own anchor then.
        """
        champion, anchor = self._report.model_version, self._report.anchor
        assert champion is not None, "something serves"
        assert anchor is not None, "it is measured by another version"
        cause = f"{verdict.reason}; its anchor {anchor} serves again"
        try:
            version = await self._versions.find(anchor)
        except RegistryError:
            await self._forget_anchor(champion)
            raise
        decision = decide(version, "rolled_back", cause, metrics, by="trainer")
        if await self._pointer.serve(decision, instead_of=champion):
            logger.warning("model.rolled_back %s to %s: %s", champion, anchor, cause)
            self._report.rolled_back += 1

    async def withdraw(self, verdict: GateVerdict, metrics: Mapping[str, float]) -> None:
        """Let nothing serve."""
        current = await self._pointer.serving()
        if current is None or current.version != self._report.model_version:
            return
        cause = f"{verdict.reason}; nothing serves until a version is better"
        decision = withdraw(current, cause, metrics, by="trainer")
        if await self._pointer.serve(decision, instead_of=current.version):
            logger.warning("model.withdrawn %s: %s", current.version, cause)
            self._report.withdrawn += 1

    async def _replace(self, version: Version, verdict: GateVerdict, standing: ModelStanding) -> bool:
        """Let a stored version serve where the drift guard has withdrawn its parent; return whether it serves.

        Nothing serves then, so it is judged as a first version is. Whoever chooses a version meanwhile wins.
        """
        nothing = None if version.parent is None else await self._pointer.withdrawn_by_guard(version.parent)
        if nothing is None:
            logger.warning("promotion.dropped %s: another version was chosen meanwhile", version.version_id)
            return False
        alone = verdict.as_first()
        if not alone.promote:
            logger.warning(
                "promotion.dropped %s: %s was withdrawn meanwhile; %s", version.version_id, version.parent, alone.reason
            )
            return False
        cause = f"{version.parent} was withdrawn while it was trained, and it passes the gate of a first version"
        decision = decide(version, "promoted", cause, figures_of(alone), by="trainer")
        if not await self._pointer.move(decision, nothing, ModelStanding(judged=standing.judged)):
            logger.warning("promotion.dropped %s: another version was chosen meanwhile", version.version_id)
            return False
        logger.warning("promotion.replaced %s: %s", version.version_id, cause)
        return True

    async def _forget_anchor(self, champion: str) -> None:
        self._report.anchor = None
        self._events.measure_by(None, ModelStanding())
        await self._pointer.note(ModelStanding(), champion)

    def _standing(self, candidate: Candidate, verdict: GateVerdict) -> ModelStanding:
        """Return what the champion is measured by after a round."""
        anchor = None if verdict.is_anchored else self._report.anchor
        return ModelStanding(anchor, verdict.standing, self._events.contained(candidate.material.observed_to))
