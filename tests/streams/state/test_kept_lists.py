"""What left the catalogue leaves stored lists, and nothing else about them changes."""

import orjson
import pytest

from agents.worker.refreshers import UserCensus
from agents.worker.report import WorkerReport
from streams.records.data_requests import Forgetting
from streams.redis.connection import connect
from streams.state.kept_lists import DroppedItems
from streams.state.keys import UserKeys
from streams.state.store import State


@pytest.fixture
async def client(redis_url):
    """Return a client of an empty database with the functions."""
    client = connect(redis_url)
    await State(client).install()
    yield client
    await client.aclose()


def kept(*item_ids):
    """Return the JSON of a stored list."""
    items = [{"item_id": item_id, "rank": rank, "score": 0.5} for rank, item_id in enumerate(item_ids, 1)]
    return orjson.dumps({"rec_id": "r", "reason": "not i1", "items": items})


async def listed(client, user_id):
    """Return the ids and ranks of a user's stored list."""
    found = orjson.loads(await client.get(UserKeys.of(user_id).recs))
    return [(item["item_id"], item["rank"]) for item in found["items"]]


async def test_items_leave_all_lists_and_those_behind_move_up(client):
    """Of 450 lists, more than are read at once, those with a gone item lose it; ids with braces are users too."""
    for n in range(450):
        await client.set(UserKeys.of(f"u{{{n}}}").recs, kept("i0", "i1", "i2") if n % 3 == 0 else kept("i2", "i10"))
    assert await State(client).drop_from_lists({"i1", "absent"}) == DroppedItems(450, 150)
    assert await listed(client, "u{0}") == [("i0", 1), ("i2", 2)]
    assert await client.get(UserKeys.of("u{1}").recs) == kept("i2", "i10")
    assert await State(client).drop_from_lists({"i1"}) == DroppedItems(450, 0)


async def test_renamed_items_keep_their_places(client):
    """Lists name them by the ids of now, in reasons too; of both ids of one item the better place is kept."""
    items = orjson.loads(kept("old", "i1", "i2"))["items"]
    items[1]["because"] = {"kind": "history", "item_id": "old", "genres": []}
    await client.set(UserKeys.of("a").recs, orjson.dumps({"k": 3, "items": items}))
    await client.set(UserKeys.of("b").recs, kept("i1", "old", "i2", "new"))
    await client.set(UserKeys.of("c").recs, kept("i1", "new"))
    assert await State(client).drop_from_lists({"i2"}, {"old": "new"}) == DroppedItems(3, 2)
    assert await listed(client, "a") == [("new", 1), ("i1", 2)]
    assert await listed(client, "b") == [("i1", 1), ("new", 2)]
    found = orjson.loads(await client.get(UserKeys.of("a").recs))
    assert (found["items"][1]["because"]["item_id"], found["unfilled"]) == ("new", ["2 of 3 items"])


async def test_users_are_counted_among_other_keys(client):
    """Each user is counted once, by the mode of the last list, though most keys are no users', and some nobody's."""
    await client.hset(UserKeys.of(Forgetting("request", 1, 0, {}).nobody).profile, mapping={"watches": 1})
    for n in range(450):
        await client.hset(UserKeys.of(f"u{n}").profile, mapping={"mode": "cold_start"} if n % 3 else {"watches": 1})
        await client.set(UserKeys.of(f"u{n}").recs, kept("i1"))
    counts = await State(client).count_users()
    assert counts.by_mode == {"cold_start": 300, "none": 150}
    assert 0 < counts.asked_s < 60


async def test_the_census_rests_as_long_as_it_has_asked(client):
    """The next count comes after fifty times the seconds of this one, and half a minute later where that is more."""
    await client.hset(UserKeys.of("u1").profile, mapping={"mode": "cold_start"})
    leads = [True]
    report = WorkerReport()
    census = UserCensus(State(client), 1.0e-9, lambda: leads[0], report)
    await census.refresh()
    assert report.users == {"cold_start": 1}
    assert census.period_s > 50 * 1.0e-5  # nobody answers two questions within 10 us
    leads[0] = False
    await census.refresh()
    assert (report.users, census.period_s) == ({}, 1.0e-9)
    patient = UserCensus(State(client), 3600.0, lambda: True, report)
    await patient.refresh()
    assert patient.period_s == 3600.0


async def test_a_list_says_what_it_lacks_now(client):
    """It is told once how many items are left of those asked for, beside what else was not fulfilled."""
    key = UserKeys.of("a").recs
    whole = orjson.loads(kept("i0", "i1", "i2")) | {"k": 3, "unfilled": ["no items of Western"]}
    await client.set(key, orjson.dumps(whole))
    for gone, left in (("i1", 2), ("i0", 1)):
        await State(client).drop_from_lists({gone})
        assert orjson.loads(await client.get(key))["unfilled"] == ["no items of Western", f"{left} of 3 items"]


async def test_a_list_is_kept_as_long_as_before(client):
    """What expires in a minute still does, and what never does still does not."""
    await client.set(UserKeys.of("a").recs, kept("i1"), px=60_000)
    await client.set(UserKeys.of("b").recs, kept("i1"))
    await State(client).drop_from_lists({"i1"})
    assert 0 < await client.pttl(UserKeys.of("a").recs) <= 60_000
    assert await client.pttl(UserKeys.of("b").recs) == -1
    assert await listed(client, "a") == []


async def test_a_list_that_was_replaced_meanwhile_stays(client):
    """The function changes a list only if it is the one that was read."""
    key = UserKeys.of("a").recs
    await client.set(key, kept("i3"))
    assert await client.fcall("reelstream_v9_amend_list", 1, key, kept("i1"), kept()) == 0
    assert await client.get(key) == kept("i3")


async def test_what_is_no_list_is_left_alone(client):
    """A value that somebody else wrote under such a key is not touched, though it names the item."""
    for n, body in enumerate((b'"i1"', b'{"items": ["i1"]}', b'{"items": null, "x": "i1"}', b'{"i1" "i1"')):
        await client.set(UserKeys.of(f"u{n}").recs, body)
        await State(client).drop_from_lists({"i1"})
        assert await client.get(UserKeys.of(f"u{n}").recs) == body
