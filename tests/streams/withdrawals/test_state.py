"""Events that are taken back: the state is as if they had never been, on a real server, in any order and any pieces."""

import itertools

import numpy as np
import pytest

from streams.records.positions import DAY_MS
from streams.records.records import Action, Origin, Rating, Watch, Withdrawal
from streams.state.keys import PartitionKeys, SourceKeys, UserKeys
from streams.state.store import OtherOriginals, State, StateConfig

TS = 1_700_000_000_000
TOPICS = {Watch: "watch-events", Rating: "rate-events", Action: "action-events"}
SOURCES = ("watch", "rate", "action")


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


@pytest.fixture
async def state(client):
    """Return an installed state."""
    installed = MortalState(client, StateConfig())
    await installed.install()
    return installed


def watch(offset, item="i", ts=TS, progress=0.5, event_id=None, partition=0):
    """Return a watch of user u at this offset."""
    return (
        Origin("watch-events", partition, offset),
        Watch(event_id or f"e{offset}", "u", item, ts, progress),
        ("Drama",),
    )


def rating(offset, item="i", ts=TS, stars=4.0):
    """Return a rating of user u at this offset."""
    return Origin("rate-events", 0, offset), Rating(f"e{offset}", "u", item, ts, stars), ("War",)


def action(offset, kind, item="i", ts=TS):
    """Return an action of user u at this offset."""
    return Origin("action-events", 0, offset), Action(f"e{offset}", "u", item, ts, kind), ("Drama",)


def withdrawal(offset, of, event_id=None, topic="watch-events", partition=0):
    """Return the withdrawal of an event id at this offset."""
    return Origin(topic, partition, offset), Withdrawal(event_id or f"w{offset}", "u", TS, of), ()


async def apply(state, events, log):
    """Apply events; what withdrawals take back is found as a worker does it, in the log that stands for Kafka."""
    withdrawals = [(origin, event) for origin, event, _ in events if isinstance(event, Withdrawal)]
    by_place = {origin: (origin, None if isinstance(event, Withdrawal) else event, of) for origin, event, of in log}
    looked_up = await state.counted_at(withdrawals)
    places = {origin: at for (origin, _), at in zip(withdrawals, looked_up, strict=True) if at is not None}
    for _ in range(1 + len(withdrawals)):
        try:
            return await state.apply(events, {origin: by_place[at] for origin, at in places.items()})
        except OtherOriginals as error:
            places |= error.origins
    raise AssertionError(places)


async def contents(client):
    """Return what follows from the events: users, item counters, and heat as of one moment; no positions, no clocks."""
    found = {}
    for key in sorted(await client.keys("*")):
        name, kind = key.decode(), await client.type(key)
        if ":ids:" in name or ":clock:" in name or name.endswith(":at"):
            continue
        if kind == b"hash":
            found[name] = what_counts({field.decode(): value for field, value in (await client.hgetall(key)).items()})
        elif kind == b"list":
            found[name] = await client.lrange(key, 0, -1)
        elif kind == b"set":
            found[name] = await client.smembers(key)
        elif kind == b"zset":
            found[name] = await heat_at_one_moment(client, name)
    return {name: value for name, value in found.items() if value}


def what_counts(fields):
    """Return a hash without what passes, weights as numbers; of a user of whom nothing is left, nothing."""
    passing = ("at:", "began", "renewed", "first_ts", "withdrawn")
    fields = {
        field: value if b"hide" in value else float(value)
        for field, value in fields.items()
        if not field.startswith(passing)
    }
    return fields if any(fields.values()) else {}


async def heat_at_one_moment(client, name):
    """Return a zset's weights as of TS, by own time, which is event time here."""
    partition, source = name.partition("}")[0].rpartition("p")[2], name.rpartition(":")[2]
    landmark = float(await client.hget(f"items:{{p{partition}}}:clock:{source}", "landmark"))
    factor = 2 ** ((landmark - TS) / ((7 if ":hot:" in name else 14) * DAY_MS))
    return {item.decode(): weight * factor for item, weight in await client.zrange(name, 0, -1, withscores=True)}


def assert_alike(got, wanted):
    """Compare contents, weights up to rounding."""
    assert got.keys() == wanted.keys()
    for key, value in wanted.items():
        if ":hot:" in key or ":newcomers:" in key or ":genres" in key:
            assert got[key] == pytest.approx(value, rel=1e-6), key
        else:
            assert got[key] == value, key


async def test_what_was_taken_back_had_never_been(client, state):
    """Counters, history, what was seen, genres and heat lose the event; the list after it is the later one."""
    log = [watch(0, "a"), watch(1, "b", TS + 1000), withdrawal(2, "e1")]
    await apply(state, [watch(0, "a")], log)
    alone = await contents(client)
    before = await apply(state, [log[1]], log)
    after = await apply(state, [log[2]], log)
    assert_alike(await contents(client), alone)
    found = after.profiles["u"]
    assert (found.watches, found.withdrawn, found.last_ts, found.seen) == (1, 1, TS, 1)
    assert found.sequence > before.profiles["u"].sequence
    assert (after.counted, after.fresh, after.withdrawn, after.duplicates) == (1, 1, 1, {})
    assert after.latest["u"][1] == log[2][1]


async def test_somebody_of_whom_nothing_is_left_is_as_a_stranger(client, state):
    """Nothing but positions and ids remains, and the profile is that of somebody unknown."""
    log = [watch(0), rating(0), action(0, "hide"), withdrawal(1, "e0")]
    log += [withdrawal(1, "e0", topic="rate-events"), withdrawal(1, "e0", topic="action-events")]
    await apply(state, log, log)
    assert await contents(client) == {}
    found = (await state.profiles(["u"]))["u"]
    assert (found.recent, found.genres, found.first_ts, found.last_ts, found.seen, found.hidden) == ((), {}, 0, 0, 0, 0)
    assert await client.exists(*(key for key in UserKeys.of("u").all() if ":ids:" not in key)) == 1  # the positions


@pytest.mark.parametrize("size", [1, 2, 3, 4])
async def test_a_withdrawal_may_come_first_and_twice(client, state, size):
    """An event that is taken back before it comes does not count; neither a copy of either changes anything."""
    log = [withdrawal(0, "e1"), watch(1), withdrawal(2, "e1"), watch(3, event_id="e1"), withdrawal(4, "e1", "w0")]
    for first in range(0, len(log), size):
        applied = await apply(state, log[first : first + size], log)
        assert (applied.counted, applied.fresh) == (0, 0)
    assert await contents(client) == {}
    await apply(state, [watch(5, "b")], log)
    assert await client.hgetall(PartitionKeys.of(0).watches) == {b"b": b"1"}


async def test_a_copy_of_what_was_taken_back_does_not_count(state):
    """A producer's retry of the event comes late: its id is known as taken back."""
    log = [watch(0), withdrawal(1, "e0"), watch(2, event_id="e0")]
    await apply(state, log[:2], log)
    assert (await apply(state, log[2:], log)).fresh == 0
    assert (await state.profiles(["u"]))["u"].watches == 0


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
async def test_a_death_between_users_and_items_is_made_good(client, state, cut):
    """What the user's call has decided holds when the batch comes again, in other pieces."""
    log = [watch(0, "a"), watch(1, "b"), withdrawal(2, "e1"), watch(3, "c"), withdrawal(4, "e0")]
    await apply(state, log[:cut], log) if cut else None
    state.dies = True
    with pytest.raises(Crash):
        await apply(state, log[cut:], log)
    state.dies = False
    for event in log[cut:]:
        assert (await apply(state, [event], log)).fresh == 0
    assert await client.hgetall(PartitionKeys.of(0).watches) == {b"c": b"1"}
    assert await client.zrange(SourceKeys.of(0, "watch").trending, 0, -1) == [b"c"]


async def test_an_item_that_was_touched_again_stays_seen(client, state):
    """An item leaves what was seen with the last of its touches, however many there were."""
    log = [watch(0, "a"), rating(0, "a"), watch(1, "a"), watch(2, "a")]
    log += [withdrawal(n + 3, f"e{n}") for n in range(3)] + [withdrawal(1, "e0", topic="rate-events")]
    await apply(state, log[:4], log)
    for n, left in enumerate((1, 1, 1, 0), 4):
        await apply(state, [log[n]], log)
        assert await client.scard(UserKeys.of("u").seen) == left, n
    assert not await client.exists(UserKeys.of("u").again)


async def test_a_decision_that_was_taken_back_leaves_the_one_before(client, state):
    """An item is hidden again where the unhiding was taken back, and shown where the hiding was."""
    log = [action(0, "hide", "a", TS), action(1, "unhide", "a", TS + 5)]
    log += [withdrawal(2, "e1", topic="action-events"), withdrawal(3, "e0", topic="action-events")]
    await apply(state, log[:2], log)
    assert (await state.profiles(["u"]))["u"].hidden == 0
    found = (await apply(state, [log[2]], log)).profiles["u"]
    assert (found.hidden, found.last_ts, found.actions) == (1, TS, 1)
    found = (await apply(state, [log[3]], log)).profiles["u"]
    assert (found.hidden, found.actions, await client.exists(UserKeys.of("u").hidden)) == (0, 0, 0)


async def test_an_event_that_nobody_can_read_any_more_stays(client, state):
    """Without its event a withdrawal changes no sum, neither at first nor when it comes again."""
    await apply(state, [watch(0)], [watch(0)])
    back = withdrawal(1, "e0")
    for _ in range(2):
        applied = await state.apply([back], {back[0]: (watch(0)[0], None, ())})
        assert (applied.counted, applied.withdrawn) == (0, 0)
    assert (await state.profiles(["u"]))["u"].watches == 1
    assert await client.hgetall(PartitionKeys.of(0).watches) == {b"i": b"1"}


async def test_an_event_that_came_after_the_look_up_is_asked_for(client, state):
    """Another reader applied the event meanwhile: nothing is written, and the call with the event takes it back."""
    log = [watch(0), withdrawal(1, "e0")]
    await state.apply(log[:1])
    before = {key: await client.dump(key) for key in await client.keys("*")}
    with pytest.raises(OtherOriginals) as raised:
        await state.apply(log[1:])
    assert raised.value.origins == {log[1][0]: log[0][0]}
    assert {key: await client.dump(key) for key in await client.keys("*")} == before
    assert (await state.apply(log[1:], {log[1][0]: log[0]})).withdrawn == 1
    assert await contents(client) == {}


@pytest.mark.parametrize("cuts", [(), (1, 602), (602,), (601, 602)])
async def test_which_of_two_events_of_an_id_is_meant_does_not_depend_on_batches(client, state, cuts):
    """The id was forgotten between them, so both count, and the later one is taken back."""
    log = [watch(0, "first"), *(watch(n, "others") for n in range(1, 600)), watch(600, "second", event_id="e0")]
    log += [watch(601, "last"), withdrawal(602, "e0")]
    for first, end in itertools.pairwise((0, *cuts, len(log))):
        await apply(state, log[first:end], log)
    assert await client.hgetall(PartitionKeys.of(0).watches) == {b"first": b"1", b"others": b"599", b"last": b"1"}


TWO_PARTITIONS = (watch(0, partition=1), withdrawal(0, "e0"), withdrawal(1, "e0"))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
@pytest.mark.parametrize("is_taken_back", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4])
async def test_an_event_of_another_partition_stays(client, state, order, is_taken_back, size):
    """Whichever is first; it goes by a withdrawal of its own partition, wherever that stands among the others."""
    log = [TWO_PARTITIONS[n] for n in order]
    if is_taken_back:
        log.insert(order.index(0) + 1, withdrawal(1, "e0", "v1", partition=1))
    for first in range(0, len(log), size):
        await apply(state, log[first : first + size], log)
    for event in log:  # delivered again
        assert (await apply(state, [event], log)).fresh == 0
    left = {} if is_taken_back else {b"i": b"1"}
    assert await client.hgetall(PartitionKeys.of(1).watches) == left
    assert await client.zcard(SourceKeys.of(1, "watch").trending) == len(left)
    assert not await client.exists(PartitionKeys.of(0).watches, SourceKeys.of(0, "watch").clock)
    assert (await state.profiles(["u"]))["u"].watches == len(left)


async def test_withdrawals_of_two_partitions_before_the_event(client, state):
    """Each awaits the event in its own partition, and there it does not count."""
    log = [withdrawal(0, "e0", "w", partition=1), withdrawal(0, "e0", "v"), watch(1, event_id="e0", partition=1)]
    await apply(state, log, log)
    assert await contents(client) == {}


async def test_genres_that_had_decayed_to_nothing_go(state):
    """Events of 88 years apart: what is left of the older one's genre is nothing, and no number would bring it back."""
    log = [watch(0, ts=0), rating(0, ts=88 * 365 * DAY_MS), withdrawal(1, "e0", topic="rate-events")]
    await apply(state, log[:2], log)
    found = (await apply(state, log[2:], log)).profiles["u"]
    assert (found.genres, found.watches, found.last_ts) == ({}, 1, 0)


async def test_a_key_that_a_withdrawal_alone_makes_expires_too(client, state):
    """The withdrawal is the user's first record on its topic."""
    log = [watch(0), withdrawal(0, "x", topic="rate-events")]
    for one in log:
        await apply(state, [one], log)
    assert {await client.pttl(key) > 0 for key in await client.keys("user:*")} == {True}


async def test_a_withdrawal_cannot_be_taken_back(state):
    """It is no event: the event that it took back does not come back."""
    log = [watch(0), withdrawal(1, "e0"), withdrawal(2, "w1"), withdrawal(3, "w2")]
    await apply(state, log, log)
    assert (await state.profiles(["u"]))["u"].watches == 0


async def test_later_ratings_are_judged_without_it(state):
    """The mean of a user's ratings loses the rating, so that a later one may be positive that would not have been."""
    log = [rating(n, f"i{n}", TS + n, 2.0 if n else 5.0) for n in range(6)]
    log += [withdrawal(6, "e0", topic="rate-events"), rating(7, "x", TS + 9, 2.0)]
    await apply(state, log[:6], log)
    found = (await apply(state, log[6:], log)).profiles["u"]
    assert (found.ratings, found.rating_sum, found.recent[0].is_positive) == (6, 12.0, True)


def drawn_stream(rng, n=160):
    """Draw events of sixteen newcomers; an eighth is taken back, before or after, some twice, some again as a copy."""
    sent, offsets = [], {}

    def send(topic, event, genres):
        offset = offsets.get(topic, 0)
        offsets[topic] = offset + 1
        sent.append((Origin(topic, 0, offset), event, genres))

    waiting = []
    for number in range(n):
        user, item = f"u{rng.integers(16)}", f"i{rng.integers(12)}"
        ts = TS + number * DAY_MS // 8 - int(rng.integers(5 * DAY_MS)) * int(rng.random() < 0.2)
        share, event_id = rng.random(), f"e{number}"
        if share < 0.2:
            event = Action(event_id, user, item, ts, "hide" if rng.random() < 0.5 else "unhide")
        elif share < 0.6:
            event = Watch(event_id, user, item, ts, float(rng.integers(0, 101)) / 100)
        else:
            event = Rating(event_id, user, item, ts, 4.0)
        topic, genres = TOPICS[type(event)], (("Comedy", "Drama", "War")[number % 3],)
        back = Withdrawal(f"w{number}", user, ts, event_id)
        luck = rng.random()
        if luck < 0.04:
            send(topic, back, ())
        send(topic, event, genres)
        if 0.04 <= luck < 0.18:
            waiting.append((number + int(rng.integers(1, 30)), topic, back))
        if 0.15 <= luck < 0.18:
            waiting.append((number + 31, topic, Withdrawal(f"v{number}", user, ts, event_id)))
        if luck < 0.06 or luck > 0.97:
            waiting.append((number + int(rng.integers(1, 40)), topic, event))
        for due, where, what in [one for one in waiting if one[0] <= number]:
            waiting.remove((due, where, what))
            send(where, what, genres if where == topic and what is event else ())
    return sent


def interleaved(stream, rng):
    """Return the same records with the topics mixed in another way."""
    left = {topic: [one for one in stream if one[0].topic == topic] for topic in TOPICS.values()}
    mixed = []
    while any(left.values()):
        topic = str(rng.choice([topic for topic, events in left.items() if events]))
        mixed.append(left[topic].pop(0))
    return mixed


async def deliver(state, stream, rng):
    """Deliver in random batches; now and then die, or go back."""
    at = 0
    while at < len(stream):
        state.dies = bool(rng.random() < 0.2)
        end = at + int(rng.integers(1, 40))
        try:
            await apply(state, stream[at:end], stream)
            at = end
        except Crash:
            at = max(0, at - int(rng.integers(0, 40)))
        if rng.random() < 0.2:
            at = max(0, at - int(rng.integers(0, 80)))


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_ends_as_if_it_had_never_been(client, state, seed):
    """Whatever the pieces, deaths and the order of the topics, the state is that of the other events alone."""
    rng = np.random.default_rng(seed)
    stream = drawn_stream(rng)
    taken = {(one[0].topic, one[1].withdraws) for one in stream if isinstance(one[1], Withdrawal)}
    kept = [
        one for one in stream if not isinstance(one[1], Withdrawal) and (one[0].topic, one[1].event_id) not in taken
    ]
    await state.apply(kept)
    wanted = await contents(client)
    assert len(kept) < len(stream) - 20
    for mixed in (stream, interleaved(stream, rng)):
        await client.flushdb()
        await state.know_servers()  # on purpose: it was emptied by us
        await deliver(state, mixed, rng)
        assert_alike(await contents(client), wanted)
