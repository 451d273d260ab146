"""The digest tells equal event states from different ones, whatever made them and however they lie in Redis."""

import struct

import numpy as np
import pytest
from redis import Redis

from streams.rebuild.digest import SECTIONS, compare_databases, take_digest
from streams.records.records import Action, Origin, Rating, Watch
from streams.redis.connection import connect
from streams.state.store import State, StateConfig, StoredList

TS = 1_700_000_000_000
HOUR = 3_600_000


def drawn_events(seed=1, n=600):
    """Draw events of two partitions: watches, ratings and hidden items, with repeated ids among them."""
    rng = np.random.default_rng(seed)
    offsets, events = {}, []
    for number in range(n):
        user, item, ts = int(rng.integers(20)), f"i{rng.integers(30)}", TS + number * HOUR - int(rng.integers(9 * HOUR))
        id_number = number - int(rng.integers(1, 9)) if rng.random() < 0.1 else number
        share = rng.random()
        if share < 0.4:
            event, topic = Watch(f"w{id_number}", f"u{user}", item, ts, 0.25), "watch-events"
        elif share < 0.6:
            kind = "hide" if rng.random() < 0.7 else "unhide"
            event, topic = Action(f"a{id_number}", f"u{user}", item, ts, kind), "action-events"
        else:
            event, topic = Rating(f"r{id_number}", f"u{user}", item, ts, int(rng.integers(1, 51)) / 10), "rate-events"
        place = topic, user % 2
        offsets[place] = offsets.get(place, -1) + 1
        events.append((Origin(*place, offsets[place]), event, ("Drama",) if number % 3 else ("War", "Drama")))
    return events


async def fill(url, events, batch, config=None):
    """Apply events in batches to an empty database."""
    client = connect(url)
    state = State(client, config)
    await state.install()
    for start in range(0, len(events), batch):
        await state.apply(events[start : start + batch])
    await client.aclose()


async def compared(first, second):
    """Return the comparison of two databases."""
    clients = connect(first), connect(second)
    try:
        return await compare_databases(*clients)
    finally:
        for client in clients:
            await client.aclose()


async def digest_of(url):
    """Return the digest of a database."""
    client = connect(url)
    try:
        return await take_digest(client)
    finally:
        await client.aclose()


async def test_the_same_events_in_other_batches_and_order_give_the_same_digest(redis_url, beside):
    """One batch, or batches of seven and one topic after the other: same digest, weights within the tolerance."""
    events = drawn_events()
    await fill(redis_url, events, len(events))
    topic_by_topic = sorted(events, key=lambda event: event[0].topic)
    await fill(beside, topic_by_topic, 7)
    found = await compared(redis_url, beside)
    assert found.is_equal, found.examples
    assert found.first == found.second == await digest_of(redis_url) == await digest_of(beside)
    assert 0 < found.largest < 1e-6
    distinct = {(event.user_id, event.event_id) for _, event, _ in events}
    assert (found.first.users, found.first.partitions, found.first.events) == (20, 2, len(distinct))
    assert {section.name: section.keys for section in found.first.sections} == {
        **dict.fromkeys(SECTIONS, 20), "items": 2,
    }  # fmt: skip


async def test_what_is_no_function_of_the_events_is_left_out(redis_url):
    """A stored list, a mode, signs of life, a hold, positions and an expiry change no digit of the digest."""
    await fill(redis_url, drawn_events(), 50)
    before = await digest_of(redis_url)
    client = connect(redis_url)
    await State(client).store_lists([StoredList("u1", 3, "personalized", b"{}")])
    await client.set("alive:worker:here:1", "{}")
    await client.set("state:hold", "x")
    await client.hset("user:{u2}", "at:watch-events:1", 99_999)
    await client.hset("items:{p0}:at", "mark:watch-events:0", 5)
    await client.expire("user:{u3}", 1000)
    await client.set("hot:all", "x")
    await client.aclose()
    assert await digest_of(redis_url) == before


CHANGES = {
    "users": ("HINCRBY", "user:{u4}", "watches", 1),
    "recents": ("LSET", "user:{u4}:recent", 0, '["i1",1,"watch",0.25]'),
    "seen": ("SADD", "user:{u4}:seen", "i99"),
    "hidden": ("HSET", "user:{u4}:hidden", "i99", "hide 5"),
    "event_ids": ("SETRANGE", "user:{u4}:ids:rate", 8, struct.pack(">d", 4096 * 4 * 10_000)),
    "items": ("HINCRBY", "items:{p1}:ratings", "i3", 1),
    "weights": ("HINCRBYFLOAT", "user:{u4}:genres", "Drama", 0.001),
}


@pytest.mark.parametrize("section", CHANGES)
async def test_one_field_changed_is_found_and_shown(redis_url, beside, section):
    """A counter raised by one, an entry, an item, an id's offset or a weight: that section differs, and no other."""
    events = drawn_events()
    for url in (redis_url, beside):
        await fill(url, events, 100)
    with Redis.from_url(beside) as client:
        client.execute_command(*CHANGES[section])
    found = await compared(redis_url, beside)
    assert {name: n for name, n in found.different.items() if n} == {section: 1}
    [example] = found.examples
    key = str(CHANGES[section][1])
    assert (example.section, example.first != example.second) == (section, True)
    assert key.startswith(example.key)
    assert (found.first.sha256 == found.second.sha256) == (section == "weights")


async def test_a_user_that_one_side_lacks_is_found_from_either_side(redis_url, beside):
    """A user of one database alone differs in each of its sections, whichever is named first."""
    events = drawn_events()
    await fill(redis_url, events, 100)
    await fill(beside, [event for event in events if event[1].user_id != "u7"], 100)
    there, back = await compared(redis_url, beside), await compared(beside, redis_url)
    for found, lacking in ((there, "second"), (back, "first")):
        assert {name: n for name, n in found.different.items() if name not in {"items", "weights"}} == {
            "users": 1, "recents": 1, "seen": 1, "hidden": 1, "event_ids": 1,
        }  # fmt: skip
        shown = [example for example in found.examples if example.key == "user:{u7}"]
        assert [getattr(example, lacking) for example in shown if example.section == "users"] == ["nothing"]


async def test_only_the_promised_event_ids_are_compared(redis_url, beside):
    """Of 600 ids of a user the newest 512 are promised; that one side still holds older ones is no difference."""
    events = [(Origin("watch-events", 0, n), Watch(f"w{n}", "u", "i", TS + n, 1.0), ()) for n in range(600)]
    await fill(redis_url, events, 600)
    await fill(beside, events, 50)
    with Redis.from_url(redis_url) as one, Redis.from_url(beside) as other:
        assert one.strlen("user:{u}:ids:watch") != other.strlen("user:{u}:ids:watch")
    assert (await compared(redis_url, beside)).is_equal


async def test_empty_databases_are_equal(redis_url, beside):
    """Two empty databases have the same digest, of no users."""
    found = await compared(redis_url, beside)
    assert (found.is_equal, found.first.users, found.largest) == (True, 0, 0.0)


async def test_a_weight_beyond_the_tolerance_differs(redis_url, beside):
    """Trending weights a millionth apart differ; where only the landmark differs they are equal."""
    config = StateConfig(trending_half_life_ms=2 * HOUR)  # 600 events over 300 half-lives: the landmark moves
    events = drawn_events()
    await fill(redis_url, events, 600, config)
    await fill(beside, events, 13, config)
    with Redis.from_url(redis_url) as one, Redis.from_url(beside) as other:
        assert one.hget("items:{p0}:clock:watch", "landmark") != other.hget("items:{p0}:clock:watch", "landmark")
        assert (await compared(redis_url, beside)).is_equal
        item, weight = other.zrange("items:{p0}:hot:watch", 0, 0, desc=True, withscores=True)[0]
        other.zadd("items:{p0}:hot:watch", {item: weight * (1 + 3e-6)})
    found = await compared(redis_url, beside)
    assert found.different["weights"] == 1
    assert found.largest == pytest.approx(3e-6, rel=0.01)
