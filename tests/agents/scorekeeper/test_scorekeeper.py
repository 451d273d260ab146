"""What a scorekeeper makes of single records, without a broker."""

import orjson
import pytest

from agents.scorekeeper.scorekeeper import Scorekeeper
from streams.records.decoding import RawRecord
from streams.records.records import Origin
from streams.settings import Settings


@pytest.fixture
async def keeper(redis_url, tmp_path):
    """Return a scorekeeper that is connected to Redis only and stands at the start of every topic."""
    keeper = Scorekeeper(Settings("localhost:1", redis_url, str(tmp_path)))
    keeper._offsets = {"recommendations": {0: 0}, "watch-events": {0: 0}, "rate-events": {0: 0}}
    yield keeper
    await keeper._client.aclose()


def tell(keeper, topic, fields):
    """Tell of the first record of a topic: a list at 10, an event at 20."""
    at_ms = 10 if topic == "recommendations" else 20
    keeper._tell(RawRecord(Origin(topic, 0, 0, at_ms), b"u", orjson.dumps(fields)))


@pytest.mark.parametrize("began", [0, 100])
async def test_the_guard_sees_what_is_counted(keeper, began):
    """A counted test is the guard's too, also where topics made anew have offsets below those counting began at."""
    keeper._began = {topic: {0: began} for topic in keeper._offsets}
    items = [{"item_id": "a"}]
    a_list = {"rec_id": "r", "user_id": "u", "mode": "personalized", "model_version": "v1", "items": items}
    tell(keeper, "recommendations", a_list)
    tell(keeper, "watch-events", {"event_id": "e", "user_id": "u", "item_id": "a", "ts": 1, "progress": 1.0})
    assert keeper._board.total.tests == 1
    assert len(keeper._guard._tests["v1"]) == 1
