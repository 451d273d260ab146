"""Forgetting users: in the learner's memory, and in every stored version."""

import asyncio
import logging
import time
from collections.abc import Mapping

from agents.trainer.events import TrainingEvents
from agents.trainer.report import TrainerReport
from streams.errors import RegistryError
from streams.reading.data_requests import DataRequestsFeed
from streams.records.data_requests import Forgetting
from streams.registry.forgotten import note_forgotten, read_forgotten
from streams.registry.registry import Registry

__all__ = ["LearnerForgetter"]

RETRY_S = 10.0  # until a registry is tried again that cannot be written
logger = logging.getLogger(__name__)


class LearnerForgetter:
    """Carries out between rounds what workers have decided.

    Parameters
    ----------
    url : of the registry, which also knows what was carried out before.
    asked : knows who was forgotten.
    events : what is learnt.
    report : told how many forgettings are carried out.
    """

    def __init__(self, url: str, asked: DataRequestsFeed, events: TrainingEvents, report: TrainerReport) -> None:
        self._registry = Registry(url)
        self._asked = asked
        self._events = events
        self._report = report
        self._known: tuple[tuple[str, Forgetting], ...] = ()
        self._unlearnt: frozenset[str] = frozenset()  # what the learner has forgotten: who comes back stays
        self._done: frozenset[str] | None = None
        self._due = 0.0

    async def carry_out(self) -> None:
        """Forget those who are new; where the registry cannot be written, later."""
        known = self._asked.forgotten.all()
        if known == self._known or time.monotonic() < self._due:
            return
        try:
            done = await asyncio.to_thread(read_forgotten, self._registry) if self._done is None else self._done
            names = {user_id: one.nobody for user_id, one in known if one.nobody not in done}
            if names:
                self._forget_learnt(names)
                rewritten = await asyncio.to_thread(self._registry.forget_users, names)
                done |= {one.nobody for _, one in known}
                await asyncio.to_thread(note_forgotten, self._registry, done)
                logger.info("trainer.forgot %s users, %s versions were rewritten", len(names), len(rewritten))
        except RegistryError as error:
            self._due = time.monotonic() + RETRY_S
            logger.error("trainer.not_forgotten %s", error)  # noqa: TRY400 - one line
            return
        self._known, self._done, self._report.forgotten = known, done, len(known)

    def _forget_learnt(self, names: Mapping[str, str]) -> None:
        new = {user_id: nobody for user_id, nobody in names.items() if nobody not in self._unlearnt}
        self._events.forget_users(new)
        self._unlearnt |= frozenset(new.values())
