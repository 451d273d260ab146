"""Events of own kinds in Redis: what they count as, and hiding an item from one user, against a real server."""

import pytest

from model.history import Interaction
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from model.renames import Renames
from streams.records.records import Action, Origin, Rating, Watch
from streams.serving.renamed import without_hidden
from streams.state.keys import PartitionKeys, SourceKeys, UserKeys
from streams.state.store import State, StateConfig

OWN = (
    EventKind("like", 0.75, is_positive=True),
    EventKind("skip", 0.25, is_positive=False),
    EventKind("watch", 0.5, is_positive=True),
)
KINDS = KindTable.of((*OWN, *(row for row in DEFAULT_KINDS.rows if row.name != "watch")))


@pytest.fixture
async def state(client):
    """Return a state under a table of own kinds."""
    installed = State(client, StateConfig(), KINDS)
    await installed.install()
    return installed


def action(offset, kind, item="i", ts=1000, user="u", event_id=None):
    """Return an action at this offset of partition 0."""
    event = Action(event_id or f"e{offset}", user, item, ts, kind)
    return Origin("action-events", 0, offset), event, ("Drama",)


async def profile(state, user="u"):
    """Return a user's profile."""
    return (await state.profiles([user]))[user]


async def hidden_among(state, *items):
    """Return which of the items may not be listed to the user."""
    [found] = await state.seen_among([(await profile(state), items)])
    return found


async def test_an_action_counts_as_its_kind_says(client, state):
    """A like is positive history, heat and affinity of its weight; a skip is history alone; both were touched."""
    await state.apply([action(0, "like", "a", 1000), action(1, "skip", "b", 2000)])
    found = await profile(state)
    assert (found.watches, found.ratings, found.actions, found.sequence) == (0, 0, 2, 2)
    assert found.recent == (
        Interaction("b", 2000, "skip", 0.25, is_positive=False),
        Interaction("a", 1000, "like", 0.75, is_positive=True),
    )
    assert (found.seen, found.genres) == (2, pytest.approx({"Drama": 0.75}))
    assert await client.hgetall(PartitionKeys.of(0).actions) == {b"a": b"1", b"b": b"1"}
    assert await client.zrange(SourceKeys.of(0, "action").trending, 0, -1, withscores=True) == [
        (b"a", pytest.approx(0.75, rel=1e-5))
    ]


async def test_the_table_scales_watches(state):
    """Half of a watch of 0.8 weighs 0.4."""
    await state.apply([(Origin("watch-events", 0, 0), Watch("e", "u", "i", 5, 0.8), ())])
    assert (await profile(state)).recent == (Interaction("i", 5, "watch", 0.4, is_positive=True),)


async def test_an_action_is_newer_than_a_rating_of_its_time(state):
    """Of one moment the order is watch, rating, action, however they come."""
    watch = (Origin("watch-events", 0, 0), Watch("w", "u", "w", 9, 1.0), ())
    rating = (Origin("rate-events", 0, 0), Rating("r", "u", "r", 9, 4.0), ())
    for events in ([action(0, "like", "a", 9)], [rating], [watch]):
        await state.apply(events)
    assert [one.item_id for one in (await profile(state)).recent] == ["a", "r", "w"]


async def test_an_action_sent_twice_counts_once(client, state):
    """The same id at two offsets is a producer's retry; the same offset again is a redelivery."""
    first = await state.apply([action(0, "like", event_id="e"), action(1, "like", event_id="e")])
    again = await state.apply([action(0, "like", event_id="e"), action(1, "like", event_id="e")])
    assert (first.counted, first.fresh) == (1, 1)
    assert (again.counted, again.fresh) == (1, 0)
    assert (await profile(state)).actions == 1
    assert await client.hgetall(PartitionKeys.of(0).actions) == {b"i": b"1"}


async def test_a_hidden_item_may_not_be_listed(client, state):
    """Hiding touches the user's hidden items and the counters of events alone: no history, no heat, no affinity."""
    await state.apply([action(0, "hide", "a"), action(1, "like", "b")])
    found = await profile(state)
    assert (found.actions, found.seen, found.hidden, found.sequence) == (2, 1, 1, 2)
    assert [one.item_id for one in found.recent] == ["b"]
    assert found.genres == pytest.approx({"Drama": 0.75})
    assert await hidden_among(state, "a", "b", "c") == {"a", "b"}
    assert await client.zrange(SourceKeys.of(0, "action").trending, 0, -1) == [b"b"]
    assert await client.hgetall(PartitionKeys.of(0).actions) == {b"a": b"1", b"b": b"1"}


async def test_only_hiding_is_a_profile_too(state):
    """A user who has only hidden an item gets no list with it."""
    await state.apply([action(0, "hide", "a")])
    found = await profile(state)
    assert (found.seen, found.hidden, found.recent, found.last_ts) == (0, 1, (), 1000)
    assert await hidden_among(state, "a", "b") == {"a"}
    await state.apply([action(1, "like", "b", 1000)])  # as new as the hiding, and the first entry of the history
    assert [one.item_id for one in (await profile(state)).recent] == ["b"]


async def test_hiding_is_undone(state):
    """An unhidden item may be listed again, unless it was touched; and it may be hidden once more."""
    await state.apply([action(0, "hide", "a", 10), action(1, "like", "b", 11), action(2, "hide", "b", 12)])
    assert (await profile(state)).recent == ()
    await state.apply([action(3, "unhide", "a", 13), action(4, "unhide", "b", 14)])
    found = await profile(state)
    assert (found.hidden, [one.item_id for one in found.recent]) == (0, ["b"])
    assert await hidden_among(state, "a", "b") == {"b"}
    await state.apply([action(5, "hide", "a", 15), action(6, "hide", "a", 16)])
    assert (await profile(state)).hidden == 1
    assert await hidden_among(state, "a") == {"a"}


RENAMES = Renames.of({"new": ("old",)})


@pytest.mark.parametrize("renames", [RENAMES, Renames.of({"new": ("between",), "between": ("old",)})])
async def test_what_was_decided_last_about_any_id_stands(state, renames):
    """An item that was hidden by one id is shown again by the other, and the other way round; seen is seen."""

    async def unlisted(ask):
        [found] = await ask([(await profile(state), ("old", "seen", "other"))], renames)
        return found

    await state.apply([action(0, "hide", "old", 10), action(1, "like", "seen", 11)])
    assert (await unlisted(state.seen_among), await unlisted(state.hidden_among)) == ({"old", "seen"}, {"old"})
    await state.apply([action(2, "unhide", "new", 12)])
    assert (await unlisted(state.seen_among), await unlisted(state.hidden_among)) == ({"seen"}, frozenset())
    await state.apply([action(3, "hide", "new", 13)])
    assert (await unlisted(state.seen_among), await unlisted(state.hidden_among)) == ({"old", "seen"}, {"old"})
    await state.apply([action(4, "unhide", "old", 14)])
    assert (await unlisted(state.seen_among), await unlisted(state.hidden_among)) == ({"seen"}, frozenset())
    await state.apply([action(5, "like", "new", 15)])
    assert await unlisted(state.seen_among) == {"old", "seen"}


async def test_a_history_loses_what_was_hidden_by_another_id(state):
    """A film that was touched by its old id and hidden by its new one is in no history that lists are made of."""
    await state.apply([action(0, "like", "old", 10), action(1, "like", "other", 11)])
    known = RENAMES.of_profile(await profile(state))
    assert await without_hidden(state.hidden_among, [known], RENAMES) == [known]
    await state.apply([action(2, "hide", "new", 12)])
    known = RENAMES.of_profile(await profile(state))
    [shown] = await without_hidden(state.hidden_among, [known], RENAMES)
    assert ([one.item_id for one in known.recent], [one.item_id for one in shown.recent]) == (
        ["other", "old"],
        ["other"],
    )


@pytest.mark.parametrize("split", [0, 1, 2])
@pytest.mark.parametrize(
    ("first", "second", "is_hidden"),
    [
        (("hide", 10), ("unhide", 9), True),
        (("hide", 10), ("unhide", 10), False),
        (("unhide", 10), ("hide", 9), False),
        (("unhide", 10), ("hide", 10), True),
        (("hide", 0), ("unhide", 0), False),
    ],
)
async def test_the_newest_decision_counts(state, first, second, is_hidden, split):
    """The later decision by event time holds, whatever comes first; of one time the later record, in any batches."""
    events = [action(0, first[0], "a", first[1]), action(1, second[0], "a", second[1])]
    for batch in (events[:split], events[split:]):
        if batch:
            await state.apply(batch)
    assert await hidden_among(state, "a") == ({"a"} if is_hidden else set())
    assert (await profile(state)).hidden == is_hidden


async def test_another_user_still_sees_it(state):
    """What one user hides is hidden from that user alone."""
    await state.apply([action(0, "hide", "a"), action(1, "like", "b", user="v")])
    [found] = await state.seen_among([((await state.profiles(["v"]))["v"], ("a", "b"))])
    assert found == {"b"}


async def test_what_is_hidden_is_forgotten_with_the_user(client):
    """Every key of a user expires, also where an undoing alone made the last one."""
    state = State(client, StateConfig(idle_ms=60_000), KINDS)
    await state.install()
    await state.apply([action(0, "like", "b")])
    await state.apply([action(1, "unhide", "a")])
    keys = UserKeys.of("u")
    assert await client.hgetall(keys.hidden) == {b"a": b"unhide 1000"}
    assert all([0 < await client.pttl(key) <= 60_000 async for key in client.scan_iter("user:*")])


async def test_every_key_expires_whatever_an_action_makes_first(client):
    """After a film was hidden, a like of another makes further keys of the user, and all of them expire."""
    state = State(client, StateConfig(idle_ms=60_000), KINDS)
    await state.install()
    for origin, event, _ in (action(0, "hide", "a"), action(1, "like", "b"), action(2, "skip", "c")):
        await state.apply([(origin, event, ())])
    keys = [key async for key in client.scan_iter("user:*")]
    assert len(keys) == 5  # profile, hidden, recent, seen and event ids
    assert all([0 < await client.pttl(key) <= 60_000 for key in keys])


async def test_a_row_of_ones_own_hides_too(client):
    """A kind with another name and the same effect keeps an item out of lists."""
    kinds = KindTable.of((*DEFAULT_KINDS.rows, EventKind("not-for-me", 0.0, is_positive=False, effect="hide")))
    state = State(client, StateConfig(), kinds)
    await state.install()
    await state.apply([action(0, "not-for-me", "a")])
    assert await hidden_among(state, "a") == {"a"}
