"""What a scorekeeper makes of single records, without a broker."""

import orjson
import pytest

from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.counting import Counting
from agents.scorekeeper.report import ScorekeeperReport
from streams.records.decoding import RawRecord
from streams.records.records import Origin
from streams.settings import Settings


@pytest.fixture
def counting(tmp_path):
    """Return a counting that stands at the start of every topic."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path))
    counting = Counting(settings, ScorekeeperConfig(), ScorekeeperReport())
    counting.offsets = {"recommendations": {0: 0}, "watch-events": {0: 0}, "rate-events": {0: 0}}
    return counting


def tell(counting, topic, fields):
    """Tell of the first record of a topic: a list at 10, an event at 20."""
    at_ms = 10 if topic == "recommendations" else 20
    counting.tell(RawRecord(Origin(topic, 0, 0, at_ms), b"u", orjson.dumps(fields)))


@pytest.mark.parametrize("began", [0, 100])
def test_the_guard_sees_what_is_counted(counting, began):
    """A counted test is the guard's too, also where topics made anew have offsets below those counting began at."""
    counting.began = {topic: {0: began} for topic in counting.offsets}
    items = [{"item_id": "a"}]
    a_list = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": items}
    tell(counting, "recommendations", a_list)
    tell(counting, "watch-events", {"event_id": "e", "user_id": "u", "item_id": "a", "ts": 1, "progress": 1.0})
    assert counting.board.total.tests == 1
    assert len(counting.guard._tests["v1"]) == 1


def test_a_duplicate_is_no_repeat(tmp_path):
    """Where repeats are kept a second event with an item is tested, and a second delivery of the first one is not."""
    settings = Settings("localhost:1", "redis://localhost:1", str(tmp_path), keep_repeats=True)
    counting = Counting(settings, ScorekeeperConfig(), ScorekeeperReport())
    counting.offsets = {"recommendations": {0: 0}, "watch-events": {0: 0}, "rate-events": {0: 0}}
    a_list = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": [{"item_id": "a"}]}
    tell(counting, "recommendations", a_list)
    for event_id in ("e", "e", "f"):
        tell(counting, "watch-events", {"event_id": event_id, "user_id": "u", "item_id": "a", "ts": 1, "progress": 1.0})
        counting.offsets["watch-events"][0] = 0
    assert counting.board.total.tests == 2
