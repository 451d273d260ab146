"""When a round is due, and that it is said where it waits for events to be read."""

import logging

import pytest

from agents.retry import Retry
from agents.trainer.config import TrainerConfig
from agents.trainer.events import TrainingEvents
from agents.trainer.report import TrainerReport
from agents.trainer.schedule import RoundSchedule
from model.history import Interaction
from streams.reading.data_requests import DataRequestsFeed
from streams.settings import Settings
from tests.toy import toy_snapshot


class Unread:
    """A reader of which a test says how much it has not read."""

    records = 0

    async def lag(self):
        """Return that."""
        return self.records


class Trainer:
    """A schedule with what it goes by, and the time, all of which a test sets."""

    def __init__(self, folder):
        settings = Settings("localhost:1", "redis://localhost:1", str(folder), partitions=1)
        config = TrainerConfig(every_events=100, every_s=20.0, least_events=10, first_events=50)
        self.unread, self.report, self.now, self.taught = Unread(), TrainerReport(), 1000.0, 0
        asked = DataRequestsFeed(settings)
        self.events = TrainingEvents(settings, config, self.unread, Retry("trainer"), self.report, asked)
        self.schedule = RoundSchedule(config, self.events, self.report, lambda: self.now)

    def serve(self):
        """Let a version serve."""
        self.events.learner.champion = toy_snapshot(("a", "b"), users=())
        self.report.model_version = "v7"

    def read(self, n):
        """Read n new events."""
        self.events.learner.observe(
            (f"u{n}", Interaction("a", n, "watch", 1.0)) for n in range(self.taught, self.taught + n)
        )
        self.taught += n

    async def after(self, seconds):
        """Return whether a round is due so much later."""
        self.now += seconds
        return await self.schedule.is_due()


@pytest.fixture
def trainer(tmp_path):
    """Return one that has read nothing."""
    return Trainer(tmp_path)


def said(caplog):
    """Return what was said of waiting."""
    return [one.getMessage() for one in caplog.records if one.getMessage().startswith("round.waits")]


async def test_a_first_version_is_due_after_so_many_events(trainer):
    """50 of them, however long that takes."""
    trainer.read(49)
    assert not await trainer.after(1000)
    trainer.read(1)
    assert await trainer.after(0)


async def test_a_round_is_due_after_enough_events_or_enough_time(trainer):
    """100 at once, or 10 and 20 seconds since the last round; 9 never are."""
    trainer.serve()
    trainer.read(9)
    assert not await trainer.after(1000)
    trainer.schedule.note_ended()
    trainer.read(1)
    assert not await trainer.after(19)
    assert await trainer.after(1)
    trainer.schedule.note_ended()
    assert not await trainer.after(0)
    trainer.read(90)
    assert await trainer.after(0)


async def test_a_round_waits_while_too_much_is_not_read(trainer, caplog):
    """100 events are too many; said after ten seconds, then once a minute, and no more once it is over."""
    trainer.serve()
    trainer.read(100)
    trainer.unread.records = 100
    assert not await trainer.after(0)
    assert not await trainer.after(9.9)
    assert (said(caplog), trainer.report.round_waits_s) == ([], None)
    trainer.unread.records = 54321
    for _ in range(60):
        assert not await trainer.after(1)
    [line] = said(caplog)
    assert line == (
        "round.waits for 11 s: fewer than 100 events that are not read yet are required (--every-events), got 54321; "
        "no version is made meanwhile, and v7 serves on"
    )
    assert trainer.report.round_waits_s == pytest.approx(69.9)
    assert not await trainer.after(1)
    assert [line[:20] for line in said(caplog)] == ["round.waits for 11 s", "round.waits for 71 s"]
    trainer.unread.records = 99
    assert await trainer.after(60)
    assert (len(said(caplog)), trainer.report.round_waits_s) == (2, None)


async def test_short_waits_between_rounds_are_not_said(trainer, caplog):
    """A trainer that keeps up reads what came during a round, and that is nothing to tell."""
    trainer.serve()
    trainer.read(100)
    for _ in range(20):
        trainer.unread.records = 1000
        assert not await trainer.after(8)
        trainer.unread.records = 0
        assert await trainer.after(1)
    assert said(caplog) == []


async def test_it_is_said_as_well_where_nothing_serves(trainer, caplog):
    """As where a first version waits for the log to be read; nothing waits that has too few events."""
    trainer.unread.records = 1000
    with caplog.at_level(logging.WARNING):
        assert not await trainer.after(100)
        assert not await trainer.after(100)
        assert said(caplog) == []
        trainer.read(50)
        assert not await trainer.after(1)
        assert not await trainer.after(30)
    [line] = said(caplog)
    assert line.endswith("got 1000; no version is made meanwhile, and none serves")
