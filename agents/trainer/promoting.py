"""What follows when the gate lets a candidate through: it is stored, serves, and its events are done."""

import logging
from collections.abc import Mapping

from agents.trainer.events import TrainingEvents
from agents.trainer.pointer import PointerKeeper
from agents.trainer.report import TrainerReport
from agents.trainer.versions import VersionKeeper
from model.training.rounds import Candidate
from streams.kafka.cluster_watch import ClusterWatch
from streams.serving.promotion import decide

__all__ = ["Promoter"]

logger = logging.getLogger(__name__)


class Promoter:
    """Promotes candidates.

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

    async def promote(self, candidate: Candidate, metrics: Mapping[str, float]) -> bool:
        """Let a candidate serve.

        Steps: 1 store it with the offsets it contains; 2 let it serve, and announce it; 3 commit the offsets. A crash
        after any step is made good by the next start, which follows the pointer and finishes the announcement.

        Returns
        -------
        Whether it serves: False, with nothing announced, where somebody moved the pointer while it was trained.
        """
        # Step 1
        contained = candidate.material.trained_to
        offsets = self._events.contained(contained)
        topic_ids = {topic: self._cluster.ids[topic] for topic in offsets if topic in self._cluster.ids}
        version = await self._versions.store(candidate, metrics, offsets, topic_ids)
        self._events.note_stored(contained)
        # Step 2
        if not await self._pointer.serve(decide(version, "promoted"), instead_of=self._report.model_version):
            logger.warning("promotion.dropped %s: another version was chosen meanwhile", version.version_id)
            return False
        # Step 3
        await self._events.note_serving(offsets)
        self._report.model_version = version.version_id
        await self._versions.prune(version.version_id)
        return True
