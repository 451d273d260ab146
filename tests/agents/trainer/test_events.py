"""What a trainer learns of events of own kinds."""

import orjson

from agents.retry import Retry
from agents.trainer.config import TrainerConfig
from agents.trainer.events import TrainingEvents
from agents.trainer.report import TrainerReport
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.records.decoding import RawRecord
from streams.records.records import Origin
from streams.settings import Settings

OWN = (EventKind("like", 0.8, is_positive=True), EventKind("skip", 0.1, is_positive=False))


class Read:
    """A reader of what was given to it."""

    lost = 0

    def __init__(self, records):
        self._records = records

    async def read(self, *_):
        """Return the records."""
        return self._records

    def lag_by_partition(self):
        """Return that nothing is left."""
        return {}


async def test_actions_are_learnt_as_their_kinds_say(tmp_path):
    """A like and a skip are events to learn from; hiding is none, but its record is read all the same."""
    kinds = KindTable.of((*DEFAULT_KINDS.rows, *OWN))
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), partitions=1, kinds=kinds)
    told = [
        {"event_id": f"e{n}", "user_id": "u", "item_id": f"i{n}", "ts": n, "kind": kind}
        for n, kind in enumerate(("like", "skip", "hide", "gone"))
    ]
    records = [RawRecord(Origin("action-events", 0, n), b"u", orjson.dumps(fields)) for n, fields in enumerate(told)]
    events = TrainingEvents(settings, TrainerConfig(), Read(records), Retry("trainer"), TrainerReport())
    await events.read()
    assert events.learner.observed == 2
    assert events.contained(2) == {"action-events": {0: 3}}


async def test_only_a_users_own_event_of_one_topic_is_a_duplicate(tmp_path):
    """One id is two events where two users, or two topics, have it; the same user's again is a producer's retry."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), partitions=1)
    told = [
        ("watch-events", "u", {"progress": 1.0}),
        ("watch-events", "v", {"progress": 1.0}),
        ("rate-events", "u", {"rating": 4}),
        ("watch-events", "u", {"progress": 1.0}),
    ]
    records = [
        RawRecord(
            Origin(topic, 0, n),
            user.encode(),
            orjson.dumps({"event_id": "1", "user_id": user, "item_id": "i", "ts": 1, **fields}),
        )
        for n, (topic, user, fields) in enumerate(told)
    ]
    events = TrainingEvents(settings, TrainerConfig(), Read(records), Retry("trainer"), TrainerReport())
    await events.read()
    assert events.learner.observed == 3
