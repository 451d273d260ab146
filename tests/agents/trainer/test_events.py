"""What a trainer learns of events of own kinds."""

import orjson

from agents.retry import Retry
from agents.trainer.config import TrainerConfig
from agents.trainer.events import TrainingEvents
from agents.trainer.report import TrainerReport
from model.catalogue import Catalogue, Item
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from model.renames import Renames
from streams.reading.data_requests import DataRequestsFeed
from streams.records.data_requests import DataRequest
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
    asked = DataRequestsFeed(settings)
    events = TrainingEvents(settings, TrainerConfig(), Read(records), Retry("trainer"), TrainerReport(), asked)
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
    asked = DataRequestsFeed(settings)
    events = TrainingEvents(settings, TrainerConfig(), Read(records), Retry("trainer"), TrainerReport(), asked)
    await events.read()
    assert events.learner.observed == 3


def taken_back(event_id, of):
    """Return a withdrawal's JSON."""
    return {"event_id": event_id, "user_id": "u", "ts": 9, "withdraws": of}


def rated(event_id, item, stars=4):
    """Return a rating's JSON."""
    return {"event_id": event_id, "user_id": "u", "item_id": item, "ts": 1, "rating": stars}


async def test_who_was_forgotten_is_new_with_the_same_ids(tmp_path):
    """Events that come back after a forgetting are no repeats of those of before."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), partitions=1)
    records = [RawRecord(Origin("rate-events", 0, 0), b"u", orjson.dumps(rated("a", "ia", 2)))]
    asked = DataRequestsFeed(settings)
    events = TrainingEvents(settings, TrainerConfig(), Read(records), Retry("trainer"), TrainerReport(), asked)
    for _ in range(2):
        await events.read()
    assert events.learner.observed == 1
    events.forget_users({"u": "nobody"})
    await events.read()
    assert events.learner.observed == 2


async def test_what_is_taken_back_is_forgotten_with_the_next_round(tmp_path):
    """Before or after its event, and twice: the next round has nothing of it, nor of its stars; its record is read."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), partitions=1)
    told = [
        taken_back("w1", "b"),
        *(rated(name, f"i{name}", 2) for name in "abcde"),
        rated("f", "if", 5),
        taken_back("w2", "f"),
        taken_back("w2", "f"),
        taken_back("w3", "f"),
        rated("f", "if", 5),
        taken_back("w4", "w2"),
        rated("g", "ig", 3),  # not positive beside a 5
        rated("h", "ih", 2),
    ]
    records = [RawRecord(Origin("rate-events", 0, n), b"u", orjson.dumps(fields)) for n, fields in enumerate(told)]
    asked = DataRequestsFeed(settings)
    events = TrainingEvents(settings, TrainerConfig(), Read(records), Retry("trainer"), TrainerReport(), asked)
    await events.read()
    material = events.learner.material(Catalogue.of(Item(f"i{name}", name) for name in "abcdefgh"))
    held_out = [one.item_id for one in material.held_out]
    assert [one.item_id for one in material.histories["u"]] + held_out == ["ia", "ic", "id", "ie", "ig", "ih"]
    assert "if" not in material.popularity
    assert "if" not in material.trends.everybody.scores
    assert events.contained(events.learner.observed) == {"rate-events": {0: len(told)}}
    assert events._intake.tallies.judge("u", 2.0) is False  # the mean of 2, 2, 2, 2, 3 and 2, and no 5
    assert len(events.learner) == 6


async def test_of_whom_nothing_is_left_nothing_is_remembered(tmp_path):
    """A user's only event is taken back: the user is as one who never was, and may come again."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), partitions=1)
    told = [rated("a", "i"), taken_back("w", "a"), rated("c", "i2")]
    records = [RawRecord(Origin("rate-events", 0, n), b"u", orjson.dumps(fields)) for n, fields in enumerate(told)]
    reader = Read(records[:2])
    asked = DataRequestsFeed(settings)
    events = TrainingEvents(settings, TrainerConfig(), reader, Retry("trainer"), TrainerReport(), asked)
    await events.read()
    assert (len(events.learner), events.learner.material(Catalogue()).histories) == (0, {})
    reader._records = records[2:]
    await events.read()
    assert list(events.learner.beginnings()) == [("u", ("i2",))]


async def test_events_of_a_renamed_item_are_learnt_under_its_first_id(tmp_path):
    """An event that names the new id, and one that names the old, are of one item, which versions know already."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), partitions=1)
    told = [rated("a", "old"), rated("b", "new"), rated("c", "other")]
    records = [RawRecord(Origin("rate-events", 0, n), b"u", orjson.dumps(fields)) for n, fields in enumerate(told)]
    renames = Renames.of({"new": ("old",)})
    asked = DataRequestsFeed(settings)
    events = TrainingEvents(
        settings, TrainerConfig(), Read(records), Retry("trainer"), TrainerReport(), asked, lambda: renames
    )
    await events.read()
    [(_, first)] = events.learner.beginnings()
    assert first == ("old", "old", "other")
    assert events.learner.observed == 3
    events.forget()
    await events.read()
    assert list(events.learner.beginnings()) == [("u", ("old", "old", "other"))]


async def test_an_event_is_taken_back_for_as_long_as_the_learner_holds_it(tmp_path):
    """Its id was forgotten among the latest; the learner still holds it, so it is found and goes."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), partitions=1)
    told = [rated("a", "ia"), rated("b", "ib"), rated("c", "ic"), taken_back("w", "a")]
    records = [RawRecord(Origin("rate-events", 0, n), b"u", orjson.dumps(fields)) for n, fields in enumerate(told)]
    config, asked = TrainerConfig(remembered_events=1), DataRequestsFeed(settings)
    events = TrainingEvents(settings, config, Read(records), Retry("trainer"), TrainerReport(), asked)
    await events.read()
    assert list(events.learner.beginnings()) == [("u", ("ib", "ic"))]


def merged(guest, account, request):
    """Return what a guest asks for."""
    return DataRequest(guest, request, 1, "merge", (), account)


async def test_a_guests_events_are_learnt_as_the_accounts(tmp_path):
    """Merged after the events or before, by way of another, undone, or read again after a restart: each event once."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), partitions=1)
    told = [("ann", "a1"), ("guest", "g2"), ("late", "l3"), ("ann", "a4")]
    records = [
        RawRecord(
            Origin("watch-events", 0, n),
            user.encode(),
            orjson.dumps({"event_id": item, "user_id": user, "item_id": item, "ts": n, "progress": 1.0}),
        )
        for n, (user, item) in enumerate(told)
    ]
    asked, reader = DataRequestsFeed(settings), Read(records[:2])
    catalogue = Catalogue.of(Item(item, item) for _, item in told)

    def learnt(events):
        return {
            user: [one.item_id for one in history]
            for user, history in events.learner.material(catalogue).histories.items()
        }

    def begun():
        return TrainingEvents(settings, TrainerConfig(), reader, Retry("trainer"), TrainerReport(), asked)

    events = begun()
    await events.read()
    asked.note(0, merged("guest", "between", "m-1"))
    asked.note(0, merged("between", "ann", "m-2"))
    asked.note(0, merged("late", "ann", "m-3"))
    reader._records = records[2:]
    await events.read()
    assert learnt(events) == {"ann": ["a1", "g2", "l3", "a4"]}
    again = begun()
    reader._records = records
    await again.read()
    assert learnt(again) == learnt(events)
    events.forget()
    await events.read()
    assert learnt(events) == learnt(again)
    asked.note(0, DataRequest("between", "f-1", 2))
    assert learnt(events) == {"ann": ["a1", "l3", "a4"], "between": ["g2"]}
