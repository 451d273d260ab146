import asyncio
from dataclasses import replace

import pytest

from model.catalogue import Item
from model.history import Interaction, Profile
from model.metrics.paired_lead import PairedLead
from model.similar import SimilarItems
from model.training.standing import Standing
from streams.errors import StateError, StateMoved
from streams.records.positions import DAY_MS
from streams.records.records import Action, Origin, Rating, Watch
from streams.redis.connection import connect
from streams.state.store import (
    NO_POINTER,
    ModelPointer,
    ModelStanding,
    Position,
    State,
    StateConfig,
    StoredList,
)


@pytest.fixture
async def state(client):
    """Return an installed state of the usual configuration."""
    installed = State(client)
    await installed.install()
    return installed


def watch(offset, item, ts, progress=0.5, *, user="u", genres=(), event_id=None, partition=0):
    """Return a watch with its origin and its item's genres."""
    event = Watch(event_id or f"w{offset}", user, item, ts, progress)
    return Origin("watch-events", partition, offset), event, genres


def rate(offset, item, ts, stars, *, user="u", genres=(), event_id=None, partition=0):
    """Return a rating with its origin and its item's genres."""
    event = Rating(event_id or f"r{offset}", user, item, ts, stars)
    return Origin("rate-events", partition, offset), event, genres


async def applied_to(state, partition=0):
    """Return the last applied offset of watches and of ratings in a partition; -1 for none."""
    found = await state.positions([("watch-events", partition), ("rate-events", partition)])
    return tuple(position.applied for position in found.values())


def places(profile):
    """Return item and time of each recent interaction."""
    return [(interaction.item_id, interaction.ts) for interaction in profile.recent]


async def test_a_batch_returns_the_profile_after_it(state):
    """Counters, times, distinct items and the newest-first history are those of the batch's events."""
    batch = [watch(0, "a", 1000, 0.25), rate(0, "b", 3000, 4.5), rate(1, "a", 4000, 2.0)]
    applied = await state.apply(batch)
    assert applied.profiles["u"] == Profile(
        "u",
        watches=1,
        ratings=2,
        rating_sum=6.5,  # 4.5 + 2.0
        first_ts=1000,
        last_ts=4000,
        seen=2,
        recent=(
            Interaction("a", 4000, "rate", 0.4, is_positive=False),  # 2.0 / 5
            Interaction("b", 3000, "rate", 0.9),  # 4.5 / 5
            Interaction("a", 1000, "watch", 0.25),
        ),
        genres={},
    )
    assert (applied.counted, applied.fresh) == (3, 3)
    assert applied.latest == {"u": batch[2][:2]}


async def test_reading_returns_what_applying_returned(state):
    """A profile read later equals the one that the last batch returned, affinities to the last digit."""
    applied = await state.apply([watch(n, str(n), n * 7 * DAY_MS, 0.1 * n, genres=("Drama",)) for n in range(9)])
    assert await state.profiles(["u"]) == dict(applied.profiles)


async def test_reading_creates_nothing(state, client):
    """Asking for the profile or the seen items of strangers leaves Redis empty."""
    assert await state.profiles(["x", "y", "x"]) == {"x": Profile("x"), "y": Profile("y")}
    assert await state.seen_among([(Profile("x"), ["a"]), (Profile("y"), [])]) == [frozenset(), frozenset()]
    assert await state.positions([("watch-events", 0)]) == {("watch-events", 0): Position(-1, -1)}
    assert await state.trending(5) == ()
    assert await state.current_model() is None
    assert await client.keys("*") == []


async def test_a_redelivered_batch_changes_nothing(state, client):
    """The second delivery counts the same events, applies none, and no value in Redis differs."""
    batch = [watch(0, "a", 1000), rate(0, "b", 900, 4.0), watch(1, "c", 2000)]
    first = await state.apply(batch)
    before = {key: await client.dump(key) for key in await client.keys("*")}
    again = await state.apply(batch)
    assert again.profiles == first.profiles
    assert (again.counted, again.fresh) == (3, 0)
    assert {key: await client.dump(key) for key in await client.keys("*")} == before


async def test_a_rating_is_positive_from_the_users_own_middle_on(state):
    """Until five ratings the middle is 3 stars, then the mean of those before, 4; a watch is positive from 0.1 on."""
    stars = [3.0, 2.5, 5.0, 5.0, 4.5, 3.5, 4.0, 5.0]
    batch = [rate(n, f"i{n}", n, one) for n, one in enumerate(stars)]
    await state.apply(batch[:3])
    applied = await state.apply([*batch[3:], watch(0, "w", 8, 0.1), watch(1, "w", 9, 0.09)])
    positive = {(one.item_id, one.ts): one.is_positive for one in applied.profiles["u"].recent}
    assert [positive[f"i{n}", n] for n in range(8)] == [True, False, True, True, True, False, True, True]
    assert (positive["w", 8], positive["w", 9]) == (True, False)
    assert (await state.profiles(["u"]))["u"] == applied.profiles["u"]


@pytest.mark.parametrize("stars", [3.1, 3.7, 4.1])
async def test_who_always_gives_the_same_stars_likes_them(state, stars):
    """However sums of such stars round, of 200 equal ratings none is below the user's own middle."""
    heard = [
        await state.apply([rate(n, f"i{n}", n, stars) for n in range(part, part + 50)]) for part in (0, 50, 100, 150)
    ]
    positive = [one.is_positive for applied in heard for one in applied.profiles["u"].recent]
    assert len(positive) >= 200
    assert all(positive)


async def test_what_was_not_liked_is_no_affinity(state):
    """Two stars of War and a watch left at 5 % add no genre, though time passes for those that are there."""
    await state.apply([watch(0, "a", 0, 1.0, genres=("Drama",))])
    later = 30 * DAY_MS
    applied = await state.apply(
        [rate(0, "b", later, 2.0, genres=("War",)), watch(1, "c", later, 0.05, genres=("War",))]
    )
    assert applied.profiles["u"].genres == pytest.approx({"Drama": 0.5})


async def test_a_producers_retry_is_not_counted(state, client):
    """The same event id at a later offset counts neither for the user nor for the item, also when redelivered."""
    original, retry = watch(0, "a", 1000, event_id="e"), watch(1, "a", 1000, event_id="e")
    await state.apply([original])
    for _ in range(2):
        applied = await state.apply([retry])
        assert (applied.counted, applied.fresh) == (0, 0)
    assert applied.profiles["u"].watches == 1
    assert await client.hgetall("items:{p0}:watches") == {b"a": b"1"}
    assert await applied_to(state) == (1, -1)


async def test_a_retry_inside_one_batch_is_not_counted(state):
    """Of two events with one id in a batch, the first counts."""
    applied = await state.apply([watch(0, "a", 1000, event_id="e"), watch(1, "b", 2000, event_id="e")])
    assert (applied.counted, applied.profiles["u"].watches, places(applied.profiles["u"])) == (1, 1, [("a", 1000)])


async def test_watches_and_ratings_have_ids_of_their_own(state):
    """An event id used on both topics names two events."""
    applied = await state.apply([watch(0, "a", 1000, event_id="e"), rate(0, "a", 2000, 5.0, event_id="e")])
    assert applied.fresh == 2


async def test_ids_are_remembered_up_to_the_bound_and_forgotten_past_it(client):
    """With room for 3, a retry is known while its original is among the last 3 events, and not one event later."""
    state = State(client, StateConfig(remembered_events=3))
    await state.install()
    for offset in range(4):  # holds e1, e2, e3 once the next batch begins
        await state.apply([watch(offset, "a", offset, event_id=f"e{offset}")])
    assert (await state.apply([watch(4, "a", 4, event_id="e1")])).fresh == 0
    assert (await state.apply([watch(5, "a", 5, event_id="e0")])).fresh == 1


@pytest.mark.parametrize("size", [1, 2, 5, 40])
async def test_the_memory_of_ids_does_not_depend_on_batches(client, size):
    """With room for 3: a retry counts again exactly where three others counted since, however the events are cut."""
    ids = ["a", "b", "c", "a", "d", "a", "b", "e", "f", "b", "g", "h", "i", "b", "b"]
    fresh = [
        1,
        1,
        1,
        0,
        1,
        1,
        1,
        1,
        1,
        0,
        1,
        1,
        1,
        1,
        0,
    ]  # 0: among the last three that counted
    state = State(client, StateConfig(remembered_events=3))
    await state.install()
    stream = [watch(offset, "x", offset, event_id=event_id) for offset, event_id in enumerate(ids)]
    applied = [await state.apply(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert sum(batch.fresh for batch in applied) == sum(fresh)
    assert [batch.fresh for batch in applied] == [sum(fresh[at : at + size]) for at in range(0, len(stream), size)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 3, 0, 1), (2, 0, 3, 1)])
async def test_at_one_time_a_rating_is_newer_than_a_watch(state, order):
    """However the two topics interleave, the history is by time, then watch before rate, then offset."""
    events = [watch(0, "w0", 1000), watch(1, "w1", 1000), rate(0, "r0", 1000, 5.0), rate(1, "r1", 1000, 5.0)]
    for number in order:
        applied = await state.apply([events[number]])
    assert [item for item, _ in places(applied.profiles["u"])] == ["r1", "r0", "w1", "w0"]


async def test_another_server_is_refused_before_anything_changes(state, client):
    """A state that knows another server than the one that answers applies nothing; looking again cures it."""
    assert await state.know_servers()
    assert not await state.know_servers()
    state._servers = frozenset({"0" * 40})
    with pytest.raises(StateMoved, match="another one"):
        await state.apply([watch(0, "a", 1)])
    assert await client.keys("*") == []
    await client.hset("user:{u}", "watches", 1)
    with pytest.raises(StateMoved, match="another one"):
        await state.remove_users(["u"])
    assert await client.keys("*") == [b"user:{u}"]
    assert await state.has_moved()
    assert await state.know_servers()
    assert await state.remove_users(["u"]) == 1
    assert (await state.apply([watch(0, "a", 1)])).fresh == 1


async def test_a_server_without_our_functions_counts_as_another_one(state, client):
    """A server that came back without anything is noticed, not taken for an error."""
    await client.function_flush()
    with pytest.raises(StateMoved):
        await state.apply([watch(0, "a", 1)])
    await state.install()
    assert (await state.apply([watch(0, "a", 1)])).fresh == 1


async def test_the_position_of_ten_seconds_ago_is_kept(state, client):
    """A mark is set at the first event, and once it is ten seconds old it is the safe position."""
    await state.apply([watch(0, "a", 1)])
    fields = await client.hgetall("items:{p0}:at")
    assert (fields[b"mark:watch-events:0"], fields[b"safe:watch-events:0"]) == (b"-1", b"-1")
    for offset, expected in ((1, b"-1"), (2, b"0"), (3, b"1")):
        fields = await client.hgetall("items:{p0}:at")
        await client.hset("items:{p0}:at", "marked:watch-events:0", int(fields[b"marked:watch-events:0"]) - 10_000)
        await state.apply([watch(offset, "a", 1)])
        assert await client.hget("items:{p0}:at", "safe:watch-events:0") == expected


async def test_a_user_is_forgotten_after_idling(client):
    """Every key of a user expires together, later with each event, and a configuration of 0 keeps them for good."""
    state = State(client, StateConfig(idle_ms=60_000))
    await state.install()
    await state.apply([watch(0, "a", 1, genres=("Drama",)), rate(0, "a", 1, 5.0)])
    await state.store_lists([StoredList("u", 2, "cold_start", b"{}")])
    keys = sorted(await client.keys("user:*"))
    assert len(keys) == 8  # profile, recent, seen, again, genres, recs, event ids of both topics
    assert all([59_000 < await client.pttl(key) <= 60_000 for key in keys])
    await state.apply([watch(1, "late", 0)])
    assert all([59_000 < await client.pttl(key) <= 60_000 for key in keys])
    keeping = State(client, StateConfig(idle_ms=0))
    await keeping.apply([watch(2, "a", 2, user="v")])
    assert await client.pttl("user:{v}") == -1


async def test_a_late_event_takes_its_place_in_the_history(state):
    """Order is by event time, then arrival: the later arrival of two with one time stands first."""
    await state.apply([watch(0, "a", 1000), watch(1, "b", 3000)])
    applied = await state.apply([watch(2, "c", 2000), watch(3, "d", 500), watch(4, "e", 3000), watch(5, "f", 1000)])
    profile = applied.profiles["u"]
    assert places(profile) == [("e", 3000), ("b", 3000), ("c", 2000), ("f", 1000), ("a", 1000), ("d", 500)]
    assert (profile.first_ts, profile.last_ts) == (500, 3000)


async def test_the_history_is_bounded_for_prompt_and_late_events(client):
    """Three of four are kept and two returned; a late one past the end is counted but not kept."""
    state = State(client, StateConfig(recent_length=3, recent_returned=2))
    await state.install()
    applied = await state.apply([watch(n, str(n), 1000 + n) for n in range(4)])
    assert places(applied.profiles["u"]) == [("3", 1003), ("2", 1002)]
    assert await client.llen("user:{u}:recent") == 3
    applied = await state.apply([watch(4, "late", 5)])
    assert (applied.profiles["u"].watches, applied.profiles["u"].seen) == (5, 5)
    assert b"late" not in b"".join(await client.lrange("user:{u}:recent", 0, -1))


async def test_affinity_halves_with_every_half_life(client):
    """Two events one half-life apart and a third, late, two half-lives old add up with their own decay."""
    state = State(client, StateConfig(genre_half_life_ms=1000))
    await state.install()
    await state.apply([watch(0, "a", 10_000, 0.8, genres=("Drama", "War"))])
    applied = await state.apply([watch(1, "b", 11_000, 0.5, genres=("Drama",))])
    assert applied.profiles["u"].genres == pytest.approx({"Drama": 0.8 / 2 + 0.5, "War": 0.8 / 2})
    applied = await state.apply([watch(2, "c", 9000, 0.4, genres=("War",))])
    assert applied.profiles["u"].genres == pytest.approx({"Drama": 0.9, "War": 0.4 + 0.4 / 4})


async def test_items_are_counted_by_source_partition(state, client):
    """Each partition counts its own events; the sum of stars stands beside the number of ratings."""
    await state.apply(
        [
            watch(0, "a", 1),
            watch(1, "a", 2, user="v"),
            rate(0, "a", 3, 3.5),
            rate(0, "a", 4, 4.0, user="w", partition=5),
        ]
    )
    assert await client.hgetall("items:{p0}:watches") == {b"a": b"2"}
    assert await client.hgetall("items:{p0}:ratings") == {b"a": b"1"}
    assert await client.hgetall("items:{p5}:rating_sum") == {b"a": b"4"}
    assert await applied_to(state) == (1, 0)


async def test_large_offsets_keep_their_last_digit(state):
    """The last two offsets below 2**39, of the last partition, are told apart, as event and as position."""
    large = 2**39 - 2
    await state.apply([watch(large, "a", 1, event_id="e", partition=4095)])
    assert (await state.apply([watch(large + 1, "a", 1, event_id="e", partition=4095)])).counted == 0
    assert (await state.apply([watch(large, "a", 1, event_id="e", partition=4095)])).counted == 1
    assert await applied_to(state, 4095) == (large + 1, -1)


async def test_a_batch_larger_than_one_command_is_applied_whole(state):
    """9,000 events of one user, more than Lua's stack holds, are counted to the last."""
    applied = await state.apply([watch(n, str(n), n) for n in range(9000)])
    assert (applied.profiles["u"].watches, applied.profiles["u"].seen) == (9000, 9000)


async def test_seen_among_answers_in_the_order_asked(state):
    """Each answer belongs to its question; an empty question has an empty answer."""
    await state.apply([watch(0, "a", 1), watch(1, "b", 2, user="v")])
    wanted = [(Profile("v"), ["a", "b"]), (Profile("x"), []), (Profile("u"), ["a", "b"])]
    assert await state.seen_among(wanted) == [frozenset("b"), frozenset(), frozenset("a")]


async def test_an_older_list_does_not_replace_a_newer(state, client):
    """A list of the same sequence replaces, of a lower one does not, and the mode goes with the list."""
    await state.apply([watch(0, "a", 1)])
    newer, older = StoredList("u", 7, "personalized", b"new"), StoredList("u", 6, "cold_start", b"old")
    assert await state.store_lists([newer, older]) == 1
    assert await client.get("user:{u}:recs") == b"new"
    assert (await state.profiles(["u"]))["u"].mode == "personalized"
    assert await state.store_lists([StoredList("u", 7, "personalized", b"again")]) == 1
    assert await client.get("user:{u}:recs") == b"again"


async def test_a_list_of_before_a_forgetting_is_not_kept_for_who_comes_back(state, client):
    """Nor if it had seen as many events or more, or those of another topic; a list of since is."""
    await state.know_servers()
    applied = await state.apply([watch(0, "a", 1), watch(1, "b", 2)])
    before = applied.profiles["u"].began
    assert before == "w0:0"
    assert (await state.apply([watch(2, "c", 3)])).profiles["u"].began == before
    assert (await state.profiles(["u"]))["u"].began == before
    old = StoredList("u", 3, "personalized", b"old", began=before)
    assert await state.store_lists([old]) == 1
    await state.remove_users(["u"])
    assert await state.store_lists([old]) == 0
    since = (await state.apply([rate(0, "d", 4, 4.0)])).profiles["u"].began
    assert since == "r0:0"
    assert await state.store_lists([old]) == 0
    assert (await state.apply([watch(3, "d", 5)])).profiles["u"].began == "r0:0 w0:3"
    assert await state.store_lists([old]) == 0
    assert await client.get("user:{u}:recs") is None
    assert await state.store_lists([StoredList("u", 1, "cold_start", b"new", began=since)]) == 1
    assert await client.get("user:{u}:recs") == b"new"


async def test_what_a_user_began_with_keeps_the_hash_small(state, client):
    """However far the topics are: a value beyond 64 bytes would make Redis keep the hash as a table of its own."""
    far = 123_456_789_012
    await state.apply([watch(far, "a", 1), rate(far, "a", 2, 4.0)])
    await state.apply([(Origin("action-events", 0, far), Action("x", "u", "a", 3, "hide"), ())])
    assert (await state.profiles(["u"]))["u"].began == f"a0:{far} r0:{far} w0:{far}"
    assert await client.object("ENCODING", "user:{u}") == b"listpack"


async def test_a_list_that_saw_less_of_its_user_is_kept(state, client):
    """Of somebody who has begun with another topic since, with events of guests alone, or under an earlier release."""
    began = (await state.apply([watch(0, "a", 1)])).profiles["u"].began
    await state.apply([rate(0, "a", 2, 4.0)])
    assert await state.store_lists([StoredList("u", 1, "cold_start", b"one", began=began)]) == 1
    assert await state.store_lists([StoredList("u", 9, "cold_start", b"guests", began="")]) == 1
    await client.hdel("user:{u}", "began")
    assert (await state.apply([watch(1, "b", 3)])).profiles["u"].began == ""
    assert await state.store_lists([StoredList("u", 10, "cold_start", b"earlier", began="")]) == 1


async def test_impressions_are_counted_once_and_forgotten_with_the_user(client):
    """They come back with the profile; a list that is stored again, or none, changes nothing; they expire too."""
    state = State(client, StateConfig(idle_ms=60_000))
    await state.install()
    assert (await state.apply([watch(0, "a", 1)])).profiles["u"].impressions == {}
    assert await state.store_lists([StoredList("u", 1, "cold_start", b"{}", {'x\n"1': 1.5, "y": 1.0})]) == 1
    assert await state.store_lists([StoredList("u", 1, "cold_start", b"{}", {"y": 2.0})]) == 1  # redelivered
    assert (await state.profiles(["u"]))["u"].impressions == {'x\n"1': 1.5, "y": 1.0}
    assert (await state.apply([watch(1, "b", 2)])).profiles["u"].impressions == {'x\n"1': 1.5, "y": 1.0}
    await state.store_lists([StoredList("u", 2, "cold_start", b"{}")])
    assert (await state.profiles(["u"]))["u"].impressions == {'x\n"1': 1.5, "y": 1.0}
    assert {await client.pttl(key) > 0 for key in await client.keys("user:*")} == {True}
    await state.apply([watch(2, "c", 3)])
    await state.store_lists([StoredList("u", 3, "cold_start", b"{}", {})])
    assert (await state.profiles(["u"]))["u"].impressions == {}


async def test_the_model_pointer_moves(state):
    """The pointer is what was moved last."""
    await state.move_model(ModelPointer("v1", "file:///models/v1", 5))
    await state.move_model(ModelPointer("v2", "file:///models/v2", 6))
    assert await state.current_model() == ModelPointer("v2", "file:///models/v2", 6)


async def test_the_model_pointer_moves_only_from_where_it_was_expected(state):
    """Two trainers that both start from no version: the first moves the pointer, the second is told no."""
    assert await state.move_model(ModelPointer("v1", "m/v1", 5), expected=None)
    assert not await state.move_model(ModelPointer("v2", "m/v2", 6), expected=None)
    assert await state.current_model() == ModelPointer("v1", "m/v1", 5)
    assert await state.move_model(ModelPointer("v3", "m/v3", 7), expected="v1")
    assert await state.current_model() == ModelPointer("v3", "m/v3", 7)


async def test_what_a_version_is_measured_by_moves_with_it(state):
    """It comes with the move, is replaced while that version serves, and is gone with a move that brings none."""
    standing = ModelStanding("v0", Standing(anchor=PairedLead(-3, 9)), {"watch-events": {0: 7}})
    first, second = ModelPointer("v1", "m/v1", 5), ModelPointer("v2", "m/v2", 6)
    await state.move_model(first, standing=standing)
    assert await state.measured_model() == (first, standing)
    later = replace(standing, judged={"watch-events": {0: 9}})
    await state.note_standing(second, ModelStanding("v9"))
    await state.note_standing(replace(first, promoted_at=4), ModelStanding("v9"))
    await state.note_standing(first, later)
    assert await state.measured_model() == (first, later)
    await state.move_model(second)
    assert await state.measured_model() == (second, ModelStanding())


@pytest.mark.parametrize("stored", ["?", "[]", '{"anchor":"v1"}', '{"anchor":"v1","leads":{"x":[1,2]},"judged":{}}'])
async def test_a_foreign_standing_is_refused_with_its_cure(state, client, stored):
    """Somebody else's value in the field is one error that says what to delete."""
    await client.hset("model:current", "standing", stored)
    with pytest.raises(StateError, match=r"in the field standing of model:current, got .* delete that field"):
        await state.measured_model()


async def test_a_pointer_that_names_no_version_is_not_a_lost_one(state):
    """Withdrawn, no model serves, and who puts a lost pointer back changes nothing; a lost one is put back."""
    pointer = ModelPointer("v1", "m/v1", 5)
    assert await state.measured_model() is None
    assert await state.move_model(pointer, NO_POINTER, standing=ModelStanding("v0"))
    assert await state.measured_model() == (pointer, ModelStanding("v0"))
    assert await state.move_model(ModelPointer("", "", 6), pointer)
    assert await state.measured_model() == (None, ModelStanding())
    assert await state.current_model() is None
    assert not await state.move_model(pointer, NO_POINTER)
    later = ModelPointer("v2", "m/v2", 7)
    assert await state.move_model(later, expected=None)
    assert await state.measured_model() == (later, ModelStanding())


async def test_the_catalogue_and_similar_items_are_written(state, client):
    """What left the catalogue is gone; the rest is JSON by item."""
    await state.put_catalogue([Item("1", "Heat", 1995, ("Crime",)), Item("2", "Out")])
    await state.put_similar({"1": SimilarItems((("9", 0.5),), (), (("9", 0.5),)), "2": SimilarItems((), (), ())})
    assert await state.catalogue_ids() == {"1", "2"}
    await state.put_catalogue([], remove=["2"])
    assert await client.hgetall("catalog:items") == {b"1": b'{"title":"Heat","year":1995,"genres":["Crime"]}'}
    assert await client.get("similar:1") == b'{"content":[["9",0.5]],"behaviour":[],"both":[["9",0.5]]}'
    assert await client.get("similar:2") is None


@pytest.mark.parametrize("user", ["a}:seen", "{", "%7B", "Ω:{x}", 'q"\\', "a b"])
async def test_any_printable_id_has_a_state_of_its_own(state, user):
    """Ids with braces, quotes and spaces are stored and found like any other."""
    await state.apply([watch(0, user, 1, user=user), watch(1, "z", 2, user="a")])
    profiles = await state.profiles([user, "a"])
    assert places(profiles[user]) == [(user, 1)]
    assert places(profiles["a"]) == [("z", 2)]


@pytest.mark.parametrize("field", ["recent_length", "trending_half_life_ms"])
def test_a_configuration_of_nothing_is_refused(field):
    """Zero is named with its field."""
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        StateConfig(**{field: 0})


async def test_an_unreachable_server_is_told_in_one_line(unused_tcp_port):
    """Installing names what was wanted and what came back."""
    client = connect(f"redis://127.0.0.1:{unused_tcp_port}/0", attempts=0)
    with pytest.raises(StateError, match=r"installing the functions.*required, got ConnectionError") as raised:
        await State(client).install()
    await client.aclose()
    assert "\n" not in str(raised.value)


async def test_a_server_without_functions_is_refused_by_its_version(unused_tcp_port):
    """Redis 6.2 is refused with the version it gave."""
    server = await asyncio.start_server(answer_as_redis_6, "127.0.0.1", unused_tcp_port)
    client = connect(f"redis://127.0.0.1:{unused_tcp_port}/0?protocol=2", attempts=0)
    async with server:
        with pytest.raises(StateError, match=r"Redis 7 or newer .* got version '6\.2\.14'"):
            await State(client).install()
        await client.aclose()


async def answer_as_redis_6(reader, writer):
    """Answer INFO with version 6.2.14, PING, and everything else with OK, as far as a client needs it."""
    body = b"redis_version:6.2.14\r\n"
    answers = {b"INFO": b"$%d\r\n%s\r\n" % (len(body), body), b"PING": b"+PONG\r\n"}
    while line := await reader.readline():
        words = []
        for _ in range(int(line[1:])):
            length = int((await reader.readline())[1:])
            words.append((await reader.readexactly(length + 2))[:-2].upper())
        writer.write(answers.get(words[0], b"+OK\r\n"))
        await writer.drain()
    writer.close()
