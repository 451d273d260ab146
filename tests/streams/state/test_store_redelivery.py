"""Whatever is delivered twice, in whichever pieces, by whichever worker: the state is that of one clean run."""

import numpy as np
import pytest

from model.catalogue import Catalogue
from streams.records.positions import DAY_MS
from streams.records.records import Action, Origin, Rating, Watch
from streams.redis.connection import connect
from streams.state.store import State, StateConfig

USERS, ITEMS, PARTITIONS, EVENTS = 12, 25, 3, 400
GENRES = ("Comedy", "Drama", "War")
TOPICS = {Watch: "watch-events", Rating: "rate-events", Action: "action-events"}
CONFIG = StateConfig(recent_length=12, recent_returned=8, remembered_events=16)


class Crash(Exception):  # noqa: N818 - what it stands for
    """The worker dies here."""


class MortalState(State):
    """A state whose process dies between the users' round trip and the partitions', when told to."""

    dies = False

    async def _call_all(self, calls):
        calls = list(calls)
        if self.dies and calls and calls[0][1].endswith("_count_items"):
            raise Crash
        return await super()._call_all(calls)


def drawn_stream(rng):
    """Draw events of all partitions: a tenth late by up to 20 days, a tenth a retry of one of the last ten."""
    sent, offsets, ts = [], {}, 1_700_000_000_000
    for number in range(EVENTS):
        ts += int(rng.integers(0, DAY_MS // 4))
        user = int(rng.integers(USERS))
        item, own_ts = str(rng.integers(ITEMS)), ts - int(rng.integers(20 * DAY_MS)) * int(rng.random() < 0.1)
        share = rng.random()
        if share < 0.15:
            event = Action(f"e{number}", f"u{user}", item, own_ts, "hide" if rng.random() < 0.7 else "unhide")
        elif share < 0.55:
            event = Watch(f"e{number}", f"u{user}", item, own_ts, float(rng.integers(0, 101)) / 100)
        else:
            event = Rating(f"e{number}", f"u{user}", item, own_ts, float(rng.integers(1, 11)) / 2)
        if sent and rng.random() < 0.1:
            event = sent[-int(rng.integers(1, min(10, len(sent)) + 1))][1]
        topic = TOPICS[type(event)]
        partition = int(event.user_id[1:]) % PARTITIONS
        offset = offsets.setdefault((topic, partition), 0)
        offsets[topic, partition] += 1
        sent.append((Origin(topic, partition, offset), event, (GENRES[int(event.item_id) % 3],)))
    return sent


async def deliver_in_pieces(states, stream, rng):
    """Deliver in order in random batches; now and then die, or go back, and let any worker go on from there."""
    at = 0
    while at < len(stream):
        state = states[int(rng.integers(len(states)))]
        state.dies = bool(rng.random() < 0.2)
        end = at + int(rng.integers(1, 60))
        try:
            await state.apply(stream[at:end])
            at = end
        except Crash:
            at = max(0, at - int(rng.integers(0, 80)))
        if rng.random() < 0.2:
            at = max(0, at - int(rng.integers(0, 200)))


async def contents(client):
    """Return every key's value, without landmarks, what is relative to them, and marks of the clock."""
    found = {}
    for key in await client.keys("*"):
        kind = await client.type(key)
        if b":hot:" in key or b":newcomers:" in key:
            continue
        if key.endswith(b":hidden"):
            found[key] = sorted((await client.hgetall(key)).items())
        elif kind == b"hash":
            fields = await client.hgetall(key)
            passing = (b"landmark", b"mark:", b"marked:", b"safe:", b"server")
            found[key] = {name: number(value) for name, value in fields.items() if not name.startswith(passing)}
        elif kind == b"list":
            found[key] = await client.lrange(key, 0, -1)
        elif kind == b"set":
            found[key] = await client.smembers(key)
        elif kind == b"zset":
            newest = await client.zrange(key, -CONFIG.remembered_events, -1, withscores=True)
            found[key] = dict(newest)
    return found


def number(value):
    """Return a number where it is one: floats may differ in the last digit."""
    return float(value) if value.replace(b".", b"").isdigit() else value


def assert_alike(got, wanted):
    """Compare values, floats up to rounding: batches cut elsewhere decay in other steps."""
    assert got.keys() == wanted.keys()
    for key, value in wanted.items():
        if not isinstance(value, dict):
            assert got[key] == value, key
            continue
        words = {field for field, one in value.items() if isinstance(one, bytes)}
        assert {field: got[key].get(field) for field in words} == {field: value[field] for field in words}, key
        numbers = {field: one for field, one in value.items() if field not in words}
        assert {field: one for field, one in got[key].items() if field not in words} == pytest.approx(numbers, rel=1e-9)


def counted_by_hand(stream):
    """Count distinct events of each user and item, by event id: what pandas would compute from the file."""
    events = {event.event_id: event for _, event, _ in stream}.values()
    users, items = {}, {}
    for event in events:
        ones = *(int(isinstance(event, kind)) for kind in TOPICS), getattr(event, "rating", 0.0)
        for counters, name in ((users, event.user_id), (items, event.item_id)):
            sums = counters.get(name, (0, 0, 0, 0.0))
            counters[name] = tuple(total + one for total, one in zip(sums, ones, strict=True))
    return users, items


async def item_counters(client):
    """Return watches, ratings, actions and stars of each item over all partitions."""
    totals = {}
    for place, name in enumerate(("watches", "ratings", "actions", "rating_sum")):
        for partition in range(PARTITIONS):
            for item, value in (await client.hgetall(f"items:{{p{partition}}}:{name}")).items():
                totals.setdefault(item.decode(), [0, 0, 0, 0.0])[place] += float(value)
    return {item: tuple(values) for item, values in totals.items()}


@pytest.mark.parametrize("seed", range(8))
async def test_any_redelivery_ends_in_the_state_of_one_clean_run(redis_url, seed):
    """Counters are those of the distinct events, and all else equals a run without cuts, deaths and rewinds."""
    rng = np.random.default_rng(seed)
    stream = drawn_stream(rng)
    client, other = connect(redis_url), connect(redis_url)
    states = [MortalState(client, CONFIG), MortalState(other, CONFIG)]
    await states[0].install()

    await states[0].apply(stream)
    clean, clean_hot = await contents(client), await states[0].merge_trending(PARTITIONS, Catalogue())
    await client.flushdb()
    for state in states:
        await state.know_servers()  # on purpose: it was emptied by us
    await deliver_in_pieces(states, stream, rng)
    pieces, pieces_hot = await contents(client), await states[0].merge_trending(PARTITIONS, Catalogue())
    profiles = await states[0].profiles(f"u{user}" for user in range(USERS))
    by_item = await item_counters(client)
    await client.aclose()
    await other.aclose()

    users, items = counted_by_hand(stream)
    assert {
        name: (p.watches, p.ratings, p.actions, p.rating_sum) for name, p in profiles.items() if p.sequence
    } == users
    assert by_item == items
    assert_alike(pieces, clean)
    assert dict(pieces_hot.everything) == pytest.approx(dict(clean_hot.everything), rel=1e-9)
    assert dict(pieces_hot.newcomers) == pytest.approx(dict(clean_hot.newcomers), rel=1e-9)


async def test_a_retry_keeps_its_verdict_after_its_original_is_forgotten(redis_url):
    """A death after the users' round trip is made good though the ids moved on within that batch."""
    client = connect(redis_url)
    state = MortalState(client, StateConfig(remembered_events=2))
    await state.install()
    first = [_watch(0, "a", "e0")]
    batch = [_watch(1, "a", "e0"), *(_watch(n, "b", f"e{n}") for n in range(2, 9))]
    await state.apply(first)
    state.dies = True
    with pytest.raises(Crash):
        await state.apply(batch)
    state.dies = False
    for offset, event in enumerate(batch):  # redelivered one by one, all old to the user
        applied = await state.apply([event])
        assert applied.counted == int(offset > 0)
    assert await client.hgetall("items:{p0}:watches") == {b"a": b"1", b"b": b"7"}
    await client.aclose()


@pytest.mark.parametrize("size", [1, 3, 16])
async def test_a_verdict_stays_though_the_users_sums_moved_on(redis_url, size):
    """After a death between users and items, what was no endorsement stays none, nor is the eleventh a newcomer's."""
    client = connect(redis_url)
    state = MortalState(client)
    await state.install()
    stars = [4.0] * 5 + [3.5] + [0.5] * 8 + [5.0, 3.5]  # 3.5 is below the middle of 4, and above that of 2.2 later
    batch = [
        (Origin("rate-events", 0, n), Rating(f"e{n}", "u", f"i{n}", 1000, one), ("War",)) for n, one in enumerate(stars)
    ]
    state.dies = True
    with pytest.raises(Crash):
        await state.apply(batch)
    state.dies = False
    told = []
    for first in range(0, len(batch), size):
        applied = await state.apply(batch[first : first + size])
        told.append((applied.counted, applied.fresh))
    assert sum(counted for counted, _ in told) == len(batch)
    assert {fresh for _, fresh in told} == {0}
    assert await client.zrange("items:{p0}:hot:rate", 0, -1) == sorted(f"i{n}".encode() for n in (*range(5), 14, 15))
    assert await client.zrange("items:{p0}:newcomers:rate", 0, -1) == [f"i{n}".encode() for n in range(5)]
    assert await client.hget("user:{u}:genres", "War") == b"5.7"  # 5 * 4 / 5 + 1 + 0.7
    await client.aclose()


async def test_a_forgotten_rating_is_judged_by_the_present_sums(redis_url):
    """Redelivered after its id is forgotten, a rating still counts; it is no newcomer's, as others came since."""
    client = connect(redis_url)
    state = MortalState(client, StateConfig(remembered_events=2))
    await state.install()
    first = (Origin("rate-events", 0, 0), Rating("e0", "u", "a", 1000, 5.0), ())
    state.dies = True
    with pytest.raises(Crash):
        await state.apply([first])
    with pytest.raises(Crash):
        await state.apply([(Origin("rate-events", 0, n), Rating(f"e{n}", "u", "b", 1000, 5.0), ()) for n in (1, 2, 3)])
    with pytest.raises(Crash):  # forgets, oldest first
        await state.apply([(Origin("rate-events", 0, 4), Rating("e4", "u", "b", 1000, 5.0), ())])
    state.dies = False
    assert (await state.apply([first])).counted == 1
    assert await client.zrange("items:{p0}:hot:rate", 0, -1, withscores=True) == [(b"a", 1.0)]
    assert await client.exists("items:{p0}:newcomers:rate") == 0
    await client.aclose()


def _watch(offset, item, event_id):
    return Origin("watch-events", 0, offset), Watch(event_id, "u", item, 1000 + offset, 0.5), ()
