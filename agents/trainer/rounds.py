"""Rounds of learning: how one is run, and what is said of it."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from agents.trainer.announcer import Announcer
from agents.trainer.blame import Blame
from agents.trainer.config import TrainerConfig
from agents.trainer.events import TrainingEvents
from agents.trainer.hints import HintTeacher
from agents.trainer.promoting import Promoted, Promoter
from agents.trainer.report import TrainerReport, figures_of
from model.training.gate import GateVerdict, gate
from model.training.rounds import Candidate, run_round
from model.training.update_scale import UpdateScale
from streams.errors import RegistryError
from streams.reading.catalogue import CatalogueFeed
from streams.records.records import ModelVersion, Status

__all__ = ["Outcome", "Rounds"]

Outcome = Promoted | Literal["rolled_back", "withdrawn"]
BECAME: Mapping[Promoted, str] = MappingProxyType(
    {
        "tuned": "it serves",
        "replaced": "it serves, though not in place of the version it was judged against: that was withdrawn meanwhile",
        "overtaken": "it was dropped: the version it was judged against serves no more",
    }
)
logger = logging.getLogger(__name__)


class Rounds:
    """Runs rounds.

    Parameters
    ----------
    config : how to train.
    events : what is learnt.
    feed : the catalogue as it is now.
    promoter : lets a candidate serve.
    blame : told of rounds that diverge.
    announcer : told of every decision.
    report : told how they ended.
    hints : learnt anew with each round.
    took : told how many seconds a round has taken.
    """

    def __init__(
        self,
        config: TrainerConfig,
        events: TrainingEvents,
        feed: CatalogueFeed,
        promoter: Promoter,
        blame: Blame,
        announcer: Announcer,
        report: TrainerReport,
        hints: HintTeacher,
        took: Callable[[float], None],
    ) -> None:
        self._config = config
        self._events = events
        self._feed = feed
        self._promoter = promoter
        self._blame = blame
        self._announcer = announcer
        self._report = report
        self._hints = hints
        self._took = took
        self._training = ThreadPoolExecutor(1)  # one thread for all rounds: the allocator keeps memory for each thread

    async def run(self) -> Outcome:
        """Run one round: train, gate, and do what the gate decides.

        A round that cannot be trained changes nothing, and the next one waits for as many new events again.

        Returns
        -------
        Whether the version tuned here goes on to be tuned, or another serves: ``overtaken`` by somebody's choice,
        ``replaced`` by the candidate where the drift guard withdrew the version that it was made from,
        ``rolled_back`` because rounds diverge or the anchor is better, or ``withdrawn`` where none serves.
        """
        self._report.rounds += 1
        self._report.training = True
        began = time.monotonic()
        new, version = self._events.learner.new_events, self._report.model_version or "nothing"
        logger.info("round.began %s from %s with %s new events", self._report.rounds, version, new)
        try:
            candidate, verdict = await self._trained()
        except (ValueError, FloatingPointError) as error:
            logger.warning("round.failed %s: %s", self._report.rounds, error)
            outcome = await self._fail(error)
        else:
            self._blame.forget()
            outcome, became = await self._decide(candidate, verdict)
            logger.info(
                "round.ended %s in %.1f s: %s, %s; %s; %s",
                self._report.rounds,
                time.monotonic() - began,
                verdict.decision,
                verdict.reason or "nothing is ahead",
                became,
                verdict,
            )
        self._report.training = False
        self._took(time.monotonic() - began)
        return outcome

    async def _trained(self) -> tuple[Candidate, GateVerdict]:
        generator = np.random.default_rng((self._config.seed, self._report.rounds))
        run = asyncio.get_running_loop().run_in_executor
        learner = self._events.learner
        await self._hints.write(await run(self._training, self._hints.learn, learner))  # nothing observes meanwhile
        material = await run(self._training, learner.material, self._feed.catalogue)
        candidate = await run(self._training, run_round, material, learner.scaled_rounds(), generator)
        judge = partial(gate, candidate, min_events=self._config.learner.least_held_out)
        return candidate, await run(self._training, judge)

    async def _decide(self, candidate: Candidate, verdict: GateVerdict) -> tuple[Outcome, str]:
        """Do what the gate decides; return the outcome, and what became of the candidate in words."""
        self._report.gate = figures = figures_of(verdict)
        outcome: Outcome = "tuned"
        became = "it is not kept"
        try:
            if verdict.promote:
                draws = _draws(self._report.rounds, self._events.learner.update_scale)
                promoted = await self._promoter.promote(candidate, verdict, figures | draws)
                outcome, became = promoted, BECAME[promoted]
                if outcome != "overtaken":
                    self._blame.note_promoted()
                    self._report.promoted += 1
                if outcome != "tuned":
                    return outcome, became
            elif verdict.decision == "return":
                await self._promoter.go_back(verdict, figures)
                outcome = "rolled_back"
            elif verdict.decision == "withdraw":
                await self._promoter.withdraw(verdict, figures)
                outcome = "withdrawn"
            elif verdict.decision == "hold":
                await self._say("held", metrics=figures)
            else:
                await self._promoter.keep(candidate, verdict)
                await self._say("rejected", metrics=figures, cause=verdict.reason)
        except RegistryError as error:  # a full disk: the next round has its events too
            logger.error("round.failed %s: %s", self._report.rounds, error)  # noqa: TRY400 - one line
            return await self._fail(error), f"it came to nothing: {error}"
        self._events.learner.settle(candidate, verdict)
        self._report.rejected += verdict.decision == "reject"
        self._report.held += verdict.decision == "hold"
        return outcome, became

    async def _fail(self, error: ValueError | FloatingPointError | RegistryError) -> Outcome:
        """Announce a round that led to no candidate, or to one that could not be stored.

        Where nobody has two events yet there is just nothing to learn. Where loss or weights went out of bounds the
        next round is more cautious, and after some of these in a row the version they start from is to blame.
        """
        self._report.failed += 1
        self._events.learner.abandon_round(diverged=isinstance(error, FloatingPointError))
        await self._say("failed", cause=str(error))
        if isinstance(error, FloatingPointError) and await self._blame.diverged(error):
            return "rolled_back"
        return "tuned"

    async def _say(self, status: Status, **more: Any) -> None:
        """Announce what became of a candidate that is not kept."""
        now_ms = time.time_ns() // 1_000_000
        decided = ModelVersion(None, status, self._report.model_version, None, now_ms, by="trainer", **more)
        await self._announcer.announce(decided)


def _draws(number: int, scale: UpdateScale) -> dict[str, float]:
    """Return what a round's draws and steps are repeated by, beside the seed: its number, and its update scale."""
    return {"round": float(number), "rate": scale.rate, "work": scale.work}
