"""Lists that were made without scoring, made again once there is scoring: the last of all that a worker does.

A user whose list is degraded may not come back for days, and would find what it holds then. So it is made again for the
same event, by the events that the user has now, under the id that it would have had; it is published and kept as any
other list. This happens while the worker is not behind, a few lists at a time, and is given up with the process.
"""

import logging
from collections.abc import Callable, Collection

from agents.worker.batch import publish
from agents.worker.runtime import Worker
from streams.records.positions import TopicPartition

__all__ = ["ListRemaker"]

logger = logging.getLogger(__name__)
PERIOD_S = 5.0  # as long as a breaker rests before a call is tried again, which may be one of these
AT_ONCE = 16  # lists, which are explained too; a batch that comes meanwhile waits for no more than these. After a try
# that failed it is one, until one succeeds: so a single list that cannot be scored is found, and no other suffers.


class ListRemaker:
    """Makes a worker's degraded lists again.

    Parameters
    ----------
    worker : whose.
    assigned : returns the partitions whose users are this worker's now.
    """

    is_needed_to_serve = False
    period_s = PERIOD_S

    def __init__(self, worker: Worker, assigned: Callable[[], Collection[TopicPartition]]) -> None:
        self._worker = worker
        self._assigned = assigned
        self._at_once = AT_ONCE

    async def refresh(self) -> None:
        """Make as many again as wait, while scoring answers and nothing else is to be done."""
        worker, n_made = self._worker, 0
        while len(worker.degraded) and self._may():
            async with worker.turns.alone():
                made, failed = await self._remake()
            n_made += made
            self._at_once = 1 if failed else AT_ONCE
            if failed:  # there is no scoring yet, at least not of these
                break
        if n_made:
            logger.info("worker.remade %s lists that were degraded", n_made)

    def _may(self) -> bool:
        worker = self._worker
        return worker.report.lag <= worker.config.batch and not worker.current.recommender.lacks_model

    async def _remake(self) -> tuple[int, int]:
        """Return how many were made again and how many not; others, with a newer list or worker, are let go."""
        worker, mine = self._worker, self._assigned()
        waiting = worker.degraded.oldest(self._at_once)
        profiles = await worker.state.profiles([one.user_id for one in waiting])
        wanted = [one for one in waiting if one.partition in mine and profiles[one.user_id].sequence == one.sequence]
        asked = [(worker.hinted(profiles[one.user_id]), one.trigger) for one in wanted]
        worker.catalogue.keep_up()
        answers = await worker.arms.answer(worker.serving, worker.current.recommender, asked)
        made = [
            (one, answer)
            for one, answer in zip(wanted, answers, strict=True)
            if answer.recommendation.mode != "degraded"
        ]
        lists = await publish(worker, [answer for _, answer in made], (), [one.headers for one, _ in made])
        await worker.state.store_lists(lists)
        done = [one for one, _ in made]
        failed = [one for one in wanted if one not in done]
        worker.degraded.forget([one for one in waiting if one not in failed])
        worker.degraded.postpone(failed)
        return len(made), len(failed)
