"""What becomes of a candidate whose champion was withdrawn while it was trained, on a real Redis and registry."""

import logging
import re

import numpy as np
import pytest

from agents.retry import Retry
from agents.trainer.blame import Blame
from agents.trainer.config import TrainerConfig
from agents.trainer.events import TrainingEvents
from agents.trainer.hints import HintTeacher
from agents.trainer.pointer import PointerKeeper
from agents.trainer.promoting import Promoter
from agents.trainer.report import TrainerReport
from agents.trainer.rounds import Rounds
from agents.trainer.versions import VersionKeeper
from model.catalogue import Catalogue, Item
from model.history import Interaction
from model.metrics.paired_lead import PairedLead
from model.training.fit import TrainingConfig, TrainingResult
from model.training.gate import GateVerdict, HeldOutQuality
from model.training.heat import Heat
from model.training.learner import LearnerConfig
from model.training.rounds import Candidate, Material, RoundConfig
from model.training.standing import Standing
from streams.reading.catalogue import CatalogueFeed
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.user_profiles import HintsFeed
from streams.serving.promotion import GUARD, Promotion, decide, pointer_to, withdraw
from streams.settings import Settings
from streams.state.pointer import ModelStanding
from streams.state.store import State
from tests.toy import toy_snapshot

N_ITEMS = 80
ITEMS = tuple(f"i{at}" for at in range(N_ITEMS))


class Reader:
    """A reader that is told what to commit, and has nothing to read."""

    lost = 0

    def __init__(self):
        self.committed = []

    async def commit(self, offsets):
        """Note it."""
        self.committed.append(offsets)


class Announced:
    """Takes what is announced."""

    def __init__(self):
        self.taken = []

    async def send(self, decided):
        """Take one."""
        self.taken.append(decided)


class Topics:
    """A cluster whose topics have no ids, as brokers before 2.8."""

    ids: dict[str, str] = {}  # noqa: RUF012 - never changed


class Trainer:
    """The parts of a trainer that decide, on a version that serves."""

    def __init__(self, state, folder):
        settings = Settings("localhost:1", "redis://localhost:1", folder, partitions=1)
        short = RoundConfig(tuning=TrainingConfig(epochs=1))
        config = TrainerConfig(learner=LearnerConfig(held_out_share=0.0), rounds=short)  # so every candidate passes
        retry = Retry("trainer")
        self.state, self.told, self.reader, self.report = state, Announced(), Reader(), TrainerReport()
        self.pointer = PointerKeeper(state, self.told, retry)
        asked = DataRequestsFeed(settings)
        self.events = TrainingEvents(settings, config, self.reader, retry, self.report, asked)
        self.versions = VersionKeeper(folder, config, self.pointer, state, self.report)
        self.promoter = Promoter(self.events, self.versions, self.pointer, Topics(), self.report)
        blame = Blame(config, self.versions, self.pointer, self.told, self.report)
        feed = CatalogueFeed(settings, lambda _: None)
        feed.catalogue = Catalogue({item_id: Item(item_id, item_id) for item_id in ITEMS})
        hints = HintTeacher(HintsFeed(settings, lambda: 0), state, retry)
        self.rounds = Rounds(
            config, self.events, feed, self.promoter, blame, self.told, self.report, hints, lambda _: None
        )
        self.promotion = Promotion(state, self.told.send)

    async def serve_first(self):
        """Store a version that has learnt nothing, let it serve and tune it."""
        champion = toy_snapshot(ITEMS, users=(), item_genres=np.zeros((N_ITEMS, 1)), seed=0)
        first = await self.versions.store(self.candidate(champion), {}, {}, {})
        assert await self.pointer.serve(decide(first, "promoted", by="trainer"), instead_of=None)
        self.report.model_version = first.version_id
        self.events.learner.champion = champion
        return first

    def candidate(self, snapshot=None):
        """Return a candidate that nobody has trained."""
        trends = Heat().lists()
        of_first = self.events.learner.champion
        material = Material(of_first, Catalogue({}), {}, {}, (), {}, trends, (), trends, trained_to=0, observed_to=0)
        return Candidate(snapshot or toy_snapshot(ITEMS, seed=2), material, TrainingResult(0, 0, 0.0, 0))

    async def withdraw(self, by):
        """Let nothing serve."""
        serving = await self.state.current_model()
        assert await self.promotion.serve(withdraw(serving, "it drifted", {"z": -4.0}, by=by), serving)


@pytest.fixture
async def trainer(client, tmp_path):
    """Return a trainer's parts."""
    state = State(client)
    await state.install()
    return Trainer(state, str(tmp_path))


def passed(counts):
    """Return that a candidate is 9 hits ahead of the champion and of popularity, and so many of the counts."""
    quality = HeldOutQuality(0.14, 0.07)
    leads = {"champion": PairedLead(9, 19), "popularity": PairedLead(9, 19), "counts": PairedLead(counts, 16)}
    return GateVerdict("promote", quality, dict.fromkeys(leads, quality), 100, leads, (), Standing(), False, 10)


async def test_it_serves_where_the_guard_withdrew_its_champion(trainer):
    """Ahead of popularity and counts it is a first version: its own anchor, with the cause, and its offsets told."""
    first = await trainer.serve_first()
    await trainer.withdraw(by=GUARD)
    assert await trainer.promoter.promote(trainer.candidate(), passed(counts=0), {"hr@10": 0.14}) == "replaced"
    pointer, standing = await trainer.state.measured_model()
    said = trainer.told.taken[-1]
    assert (said.version, said.status, said.parent) == (pointer.version, "promoted", first.version_id)
    assert said.cause.startswith(f"{first.version_id} was withdrawn while it was trained")
    assert said.metrics["z"] == pytest.approx(9 / 19**0.5)
    assert "champion_hr@10" not in said.metrics
    assert standing == ModelStanding()
    assert trainer.reader.committed == [{}]


@pytest.mark.parametrize(("by", "counts"), [("trainer", 0), ("ann@host", 0), (GUARD, -6)])
async def test_nothing_serves_where_it_does_not_pass_or_somebody_else_decided(trainer, by, counts):
    """6 hits behind the counts on 16 apart it was better than the champion alone; what others withdrew stays so."""
    await trainer.serve_first()
    await trainer.withdraw(by=by)
    assert await trainer.promoter.promote(trainer.candidate(), passed(counts), {}) == "overtaken"
    assert await trainer.state.current_model() is None
    assert trainer.told.taken[-1].status == "withdrawn"


async def test_what_somebody_chose_after_the_withdrawal_stays(trainer):
    """A person's version serves on, though the guard withdrew the champion before, and though that was seen."""
    first = await trainer.serve_first()
    await trainer.withdraw(by=GUARD)
    seen = await trainer.pointer.withdrawn_by_guard(first.version_id)
    other = await trainer.versions.store(trainer.candidate(), {}, {}, {})
    assert await trainer.promotion.serve(decide(other, "promoted", by="ann@host"))
    assert not await trainer.pointer.move(decide(first, "promoted", by="trainer"), seen)
    assert await trainer.promoter.promote(trainer.candidate(), passed(counts=0), {}) == "overtaken"
    assert (await trainer.state.current_model()).version == other.version_id


async def test_a_withdrawal_is_known_before_and_after_it_is_announced(trainer, client):
    """It rests beside the pointer first, and in the history afterwards; of another version it is none."""
    first = await trainer.serve_first()
    assert await trainer.pointer.withdrawn_by_guard(first.version_id) is None
    await trainer.withdraw(by=GUARD)
    nothing = await trainer.pointer.withdrawn_by_guard(first.version_id)
    assert (nothing.version, nothing.uri) == ("", "")
    assert await trainer.pointer.withdrawn_by_guard("v000009-00000000") is None
    await client.delete("model:history:moves")
    assert await trainer.state.withdrawal() is None
    assert await trainer.promotion.serve(decide(first, "promoted", by="trainer"))
    decided = withdraw(await trainer.state.current_model(), "it drifted", {}, by=GUARD)
    assert await trainer.state.move_model(pointer_to(decided), first.version_id, decided)
    assert await trainer.state.withdrawal() == decided


@pytest.mark.parametrize(("by", "outcome"), [(GUARD, "replaced"), ("trainer", "overtaken")])
async def test_a_round_says_what_became_of_its_candidate(trainer, caplog, by, outcome):
    """From where it begins, and whether it serves beside the verdict or was dropped; only the former counts."""
    first = await trainer.serve_first()
    starts = np.random.default_rng(1).integers(0, N_ITEMS, 200)
    trainer.events.learner.observe(
        (f"u{user}", Interaction(ITEMS[(starts[user] + step) % N_ITEMS], step * 1000, "watch", 1.0))
        for step in range(6)
        for user in range(200)
    )
    await trainer.withdraw(by=by)
    with caplog.at_level(logging.INFO):
        assert await trainer.rounds.run() == outcome
    begun, line = (one.getMessage() for one in caplog.records if one.getMessage().startswith("round."))
    assert begun == f"round.began 1 from {first.version_id} with 1200 new events"
    became = "it serves, though" if outcome == "replaced" else "it was dropped: "
    assert re.match(rf"round.ended 1 in \S+ s: promote, nothing is ahead; {became}", line)
    assert trainer.report.promoted == (outcome == "replaced")
    assert (await trainer.state.current_model() is None) == (outcome == "overtaken")
