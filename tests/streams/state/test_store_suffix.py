"""Redelivering any suffix of any partition changes nothing, to the last byte, wherever it is cut and however mixed."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.records.records import Action, Origin, Rating, Watch
from streams.redis.connection import connect
from streams.state.store import State, StateConfig

USERS, ITEMS, GENRES = ("ann", "bob", "{p0}"), ("a", "b", "c", "d"), ("Comedy", "War")
TOPICS = {"watch-events": Watch, "rate-events": Rating, "action-events": Action}
KINDS = KindTable.of((*DEFAULT_KINDS.rows, EventKind("like", 0.7, is_positive=True)))
PLACES = [(topic, partition) for topic in TOPICS for partition in range(3)]
SMALL = StateConfig(recent_length=6, recent_returned=4, remembered_events=5)  # so that every bound is passed
MOVES = (b"mark:", b"marked:", b"safe:")  # fields that follow the clock, not the events


class Ground:
    """An empty database with the functions in it, driven from synchronous code."""

    def __init__(self, url, config):
        self._loop = asyncio.new_event_loop()
        self._client = connect(url)
        self._state = State(self._client, config, KINDS)
        self._run(self._state.install())

    def close(self):
        """Disconnect."""
        self._run(self._client.aclose())
        self._loop.close()

    def clear(self):
        """Forget everything."""
        self._run(self._client.flushdb())
        self._run(self._state.know_servers())  # on purpose: it was emptied by us

    def apply(self, events):
        """Apply one batch."""
        return self._run(self._state.apply(events))

    def contents(self):
        """Return every key with its bytes as Redis dumps them; positions by field, without what follows the clock."""
        return self._run(self._contents())

    async def _contents(self):
        found = {}
        for key in await self._client.keys("*"):
            if key.endswith(b":at"):
                fields = await self._client.hgetall(key)
                found[key] = {name: value for name, value in fields.items() if not name.startswith(MOVES)}
            else:
                found[key] = await self._client.dump(key)
        return found

    def _run(self, wanted):
        return self._loop.run_until_complete(wanted)


@pytest.fixture(params=[SMALL, StateConfig()], ids=["small bounds", "usual bounds"])
def ground(redis_url, request):
    """Return a database of this test's own, once with bounds that a short stream passes."""
    made = Ground(redis_url, request.param)
    yield made
    made.close()


@st.composite
def streams(draw):
    """Draw each topic partition's records: few ids, so that many are a producer's retries; any order of time."""
    drawn = {}
    for topic, partition in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=5, unique=True)):
        drawn[topic, partition] = records = []
        offset = -1
        for _ in range(draw(st.integers(1, 14))):
            offset += draw(st.integers(1, 3))  # compaction and transactions leave gaps
            names = (f"e{draw(st.integers(0, 11))}", draw(st.sampled_from(USERS)), draw(st.sampled_from(ITEMS)))
            ts = draw(st.integers(0, 9)) * 40_000_000_000  # 463 days apart: heat gets new landmarks in between
            told = KINDS.own if topic == "action-events" else [0.5, 0.7, 1.0]
            event = TOPICS[topic](*names, ts, draw(st.sampled_from(told)))
            genres = tuple(draw(st.lists(st.sampled_from(GENRES), max_size=2, unique=True)))
            records.append((Origin(topic, partition, offset), event, genres))
    return drawn


def batches(draw, queues):
    """Cut the queues into batches, each queue in its order, mixed as drawn, until all are empty."""
    waiting = {place: list(records) for place, records in queues.items() if records}
    while waiting:
        batch = []
        for _ in range(draw(st.integers(1, 12))):
            if not waiting:
                break
            place = draw(st.sampled_from(sorted(waiting)))
            n = draw(st.integers(1, 5))
            batch += waiting[place][:n]
            waiting[place] = waiting[place][n:]
            if not waiting[place]:
                del waiting[place]
        yield batch


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_redelivering_any_suffix_of_any_partition_changes_nothing(ground, data):
    """After a random stream in random batches, random rewinds of random partitions leave every byte as it was."""
    ground.clear()
    stream = data.draw(streams())
    for batch in batches(data.draw, stream):
        ground.apply(batch)
    before = ground.contents()
    for _ in range(data.draw(st.integers(1, 3))):
        rewound = {
            place: records[data.draw(st.integers(0, len(records) - 1)) :]
            for place, records in stream.items()
            if data.draw(st.booleans())
        }
        for batch in batches(data.draw, rewound):
            assert ground.apply(batch).fresh == 0
        assert ground.contents() == before


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_suffix_redelivered_in_the_middle_changes_nothing_of_the_end(ground, data):
    """A stream with rewinds between its batches ends with the bytes of the same batches without them."""
    ground.clear()
    stream = data.draw(streams())
    cut = list(batches(data.draw, stream))
    for batch in cut:
        ground.apply(batch)
    clean = ground.contents()
    ground.clear()
    for number, batch in enumerate(cut, start=1):
        ground.apply(batch)
        if data.draw(st.booleans()):
            before = ground.contents()
            known = {
                place: [one for past in cut[:number] for one in past if (one[0].topic, one[0].partition) == place]
                for place in stream
            }
            rewound = {
                place: records[data.draw(st.integers(0, len(records) - 1)) :]
                for place, records in known.items()
                if records and data.draw(st.booleans())
            }
            for again in batches(data.draw, rewound):
                ground.apply(again)
            assert ground.contents() == before
    assert ground.contents() == clean
