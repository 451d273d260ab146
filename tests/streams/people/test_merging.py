"""Merging in Redis, without Kafka: the account has both histories, whatever came first, and the guest is gone."""

import asyncio
from itertools import permutations

import pytest
from redis import Redis

from model.history import Profile
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.errors import StateAway
from streams.people.merging import GuestMerger
from streams.rebuild.digest import take_digest
from streams.records.data_requests import DataRequest
from streams.records.records import Action, Origin, Rating, Watch
from streams.state.keys import UserKeys
from streams.state.lookups import Lookups
from streams.state.store import State, StoredList

MONTH = 30 * 24 * 3_600_000  # after which an affinity counts half
KINDS = KindTable.of((*DEFAULT_KINDS.rows, EventKind("like", 0.25, is_positive=True)))
MERGED = DataRequest("guest", "m-1", 7, "merge", (), "ann")


def events(user, partition, first_ts):
    """Return what a user did: two watches of one item, five ratings with a mean of 3, one of 3, and one decision."""
    watches = [
        (Origin("watch-events", partition, n), Watch(f"w{n}", user, "both", first_ts + n, 1.0), ("Drama",))
        for n in range(2)
    ]
    ratings = [
        (Origin("rate-events", partition, n), Rating(f"r{n}", user, f"{user}{n}", first_ts + 10 + n, stars), ("War",))
        for n, stars in enumerate((1.0, 5.0, 1.0, 5.0, 3.0, 3.0))
    ]
    kind = "hide" if user == "guest" else "unhide"
    hides = [(Origin("action-events", partition, 0), Action("h", user, "both", first_ts + 20, kind), ())]
    return [*watches, *ratings, *hides]


GUEST, ANN = events("guest", 0, 1000), events("ann", 1, 1000 + MONTH)
LATER = [(Origin("watch-events", 0, 9), Watch("w9", "guest", "late", 2000 + MONTH, 1.0), ("Drama",))]


class Merging:
    """A state, and what merges in it."""

    def __init__(self, client):
        self.client = client
        self.state = State(client, kinds=KINDS)
        self.merger = GuestMerger(self.state.merges, self.state)

    async def start(self):
        """Prepare the database."""
        await self.state.install()
        await self.state.know_servers()
        return self

    async def merge(self):
        """Take the record and carry it out."""
        self.state.merges.put(0, "guest", MERGED)
        return await self.merger.carry_out(lambda: {0, 1})

    async def apply(self, some):
        """Apply events as a worker does."""
        return await self.merger.joined(await self.state.apply(some))

    async def ann(self):
        """Return the account's profile."""
        return (await self.state.profiles(["ann"]))["ann"]


@pytest.fixture
async def merging(client):
    """Return what merges in a prepared state."""
    return await Merging(client).start()


def told(profile):
    """Return what a profile says, without rounding."""
    return profile, {genre: round(value, 9) for genre, value in profile.genres.items()}


async def test_the_account_has_both_histories(merging):
    """Sums add up, what both touched is seen once, the newest decision stands, and affinities are of one time."""
    await merging.apply([*GUEST, *ANN])
    guests = (await merging.state.profiles(["guest"]))["guest"]
    own = await merging.ann()
    assert await merging.merge() == {"ann": MERGED}
    both = await merging.ann()
    assert (both.watches, both.ratings, both.actions, both.rating_sum) == (4, 12, 2, 36.0)
    assert (both.first_ts, both.last_ts, both.sequence) == (1000, 1020 + MONTH, 18)
    assert (both.seen, both.hidden) == (13, 0)  # six rated by each, and one film that both have watched
    assert [one.ts for one in both.recent] == sorted((one.ts for one in both.recent), reverse=True)
    assert len(both.recent) == 16
    for genre in ("Drama", "War"):
        assert both.genres[genre] == pytest.approx(own.genres[genre] + guests.genres[genre] / 2)


@pytest.mark.parametrize("order", list(permutations(("guest", "ann", "later", "merge"))), ids="-".join)
async def test_any_order_ends_the_same(merging, order):
    """Whatever comes first, also a redelivery and the record twice, the account and the database's digest are one."""
    steps = {"guest": GUEST, "ann": ANN, "later": LATER}
    for step in order:
        if step == "merge":
            await merging.merge()
        elif step != "later" or order.index("guest") < order.index("later"):
            await merging.apply(steps[step])
    await merging.apply([*GUEST, *LATER])
    await merging.merge()
    found, digest = told(await merging.ann()), (await take_digest(merging.client)).sha256
    await merging.client.flushdb()
    await merging.start()
    await merging.state.apply([*GUEST, *LATER, *ANN])
    await merging.merger.link({0, 1})
    assert told(await merging.ann()) == found
    assert (await take_digest(merging.client)).sha256 == digest
    assert found[0].watches == 5


async def test_each_is_judged_by_the_own_past(merging):
    """A rating of 3 is positive to an account whose mean is 3, though its guest has given nothing but fives."""
    fives = [
        (Origin("rate-events", 0, n), Rating(f"g{n}", "guest", f"i{n}", 1000 + n, 5.0), ("War",)) for n in range(9)
    ]
    await merging.merge()
    await merging.apply([*fives, *ANN])
    assert [one.is_positive for one in (await merging.ann()).recent if one.weight == 0.6] == [True, True]


async def test_events_of_the_guest_make_the_accounts_lists(merging, redis_url):
    """After a merge a batch touches the account alone, by the later of both events; the guest has no list and mode."""
    await merging.apply(GUEST)
    await merging.state.store_lists([StoredList("guest", 9, "personalized", b'{"items": []}')])
    await merging.client.hset("modes:chosen", "guest", "cold_start")
    await merging.merge()
    assert not await merging.client.exists(UserKeys.of("guest").recs)
    assert not await merging.client.hexists("modes:chosen", "guest")
    applied = await merging.apply([*ANN, *LATER])
    assert applied.profiles.keys() == applied.latest.keys() == {"ann"}
    assert applied.latest["ann"][1].item_id == "late"
    assert applied.profiles["ann"].watches == 5
    assert (await merging.state.profiles(["guest"]))["guest"] == Profile("guest")
    assert await merging.state.store_lists([StoredList("guest", 99, "personalized", b"{}")]) == 0
    with Redis.from_url(redis_url, decode_responses=True) as plain:
        looked, kept = Lookups(plain).profile("ann"), applied.profiles["ann"]
        assert (looked.watches, looked.seen, looked.hidden) == (kept.watches, kept.seen, kept.hidden)
        assert looked.recent == kept.recent
        assert Lookups(plain).profile("guest") is None


async def test_an_account_without_events_gets_a_list(merging):
    """The guest's events are enough for one, which is forgotten as any other."""
    await merging.apply(GUEST)
    stored = StoredList("ann", 9, "personalized", b"{}", {"x": 1.0})
    assert await merging.state.store_lists([stored]) == 0
    await merging.merge()
    assert await merging.state.store_lists([stored]) == 1
    assert await merging.client.pttl(UserKeys.of("ann").profile) > 0
    assert (await merging.ann()).impressions == {"x": 1.0}


async def test_what_either_has_seen_or_hidden_is_not_listed(merging):
    """Candidates are looked up in both histories, and of two decisions the later one stands."""
    await merging.apply([*GUEST, *ANN])
    await merging.merge()
    ann = await merging.ann()
    items = ("both", "guest0", "ann0", "new")
    assert await merging.state.seen_among([(ann, items), (ann, ())]) == [{"both", "guest0", "ann0"}, frozenset()]
    assert await merging.state.hidden_among([(ann, items)]) == [frozenset()]
    again = Origin("action-events", 0, 1), Action("h2", "guest", "both", 3000 + MONTH, "hide"), ()
    assert (await merging.apply([again])).profiles["ann"].hidden == 1
    assert await merging.state.hidden_among([(ann, items)]) == [{"both"}]
    assert {one.item_id for one in (await merging.ann()).recent} & {"both"} == set()


async def test_a_merge_that_is_noted_meanwhile_changes_no_answer(merging):
    """What is asked of Redis and whose a batch is are decided once for a call: its answers stay with their users."""
    await merging.apply([*GUEST, *ANN])
    ann = await merging.ann()
    wanted = [(ann, ("ann0", "guest0")), (Profile("ben", hidden=1), ("ann0",))]
    merges = merging.state.merges
    for ask, expected in (
        (lambda: merging.state.seen_among(wanted), [{"ann0"}, set()]),
        (lambda: merging.state.hidden_among(wanted), [set(), set()]),
    ):
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0)  # it is sent, and not answered
        merges.put(0, "guest", MERGED)
        assert await asking == expected
        merges.put(0, "guest", None)
    merges.put(1, "ben", DataRequest("ben", "m-2", 8, "merge", (), "ann"))
    joining = asyncio.create_task(merging.merger.joined(await merging.state.apply([*GUEST, *ANN])))
    await asyncio.sleep(0)
    merges.put(0, "guest", MERGED)
    applied = await joining
    assert applied.latest.keys() == applied.profiles.keys() == {"ann", "guest"}


async def test_who_was_interrupted_goes_on(merging, monkeypatch):
    """Where Redis goes away before anything is written, the next call carries it out; a half-written link is mended."""
    await merging.apply(GUEST)

    async def away(*_):
        raise StateAway("state: away")

    with monkeypatch.context() as patched:
        patched.setattr(merging.state, "link_guests", away)
        with pytest.raises(StateAway):
            await merging.merge()
    assert merging.merger.has_open
    await merging.client.sadd(UserKeys.of("ann").guests, "guest")  # the first call alone
    assert await merging.merger.carry_out(lambda: {0}) == {"ann": MERGED}
    assert await merging.client.get(UserKeys.of("guest").merged) == b"ann"


async def test_who_does_not_own_the_partition_leaves_it(merging):
    """It is carried out by the owner, or by whoever gets the partition."""
    merging.state.merges.put(0, "guest", MERGED)
    assert await merging.merger.carry_out(lambda: {1}) == {}
    assert not merging.merger.has_open
    assert not await merging.client.exists(UserKeys.of("guest").merged)
    await merging.merger.link({0})
    assert await merging.client.smembers(UserKeys.of("ann").guests) == {b"guest"}


async def test_a_guest_who_is_forgotten_leaves_the_account(merging):
    """Deleted, the guest is named nowhere, also where nobody remembers the merge."""
    await merging.apply([*GUEST, *ANN])
    await merging.merge()
    await merging.state.remove_users(["guest"])
    assert [key async for key in merging.client.scan_iter("*guest*")] == []
    merging.state.merges.put(0, "guest", None)
    assert (await merging.ann()).watches == 2


async def listed(merging, sequence):
    """Return whether the account's list of this sequence is taken."""
    return await merging.state.store_lists([StoredList("ann", sequence, "personalized", b"{}")]) == 1


@pytest.mark.parametrize("how", ["expired", "forgotten", "parted", "set apart"])
async def test_an_account_that_lost_a_guest_gets_lists(merging, how):
    """The list before had seen the guest's events too; the next one has seen fewer, and is taken all the same."""
    await merging.apply([*GUEST, *ANN])
    await merging.merge()
    assert await listed(merging, (await merging.ann()).sequence)
    if how == "expired":
        await merging.client.delete(*UserKeys.of("guest").all()[:-2])
    elif how == "forgotten":
        await merging.state.remove_users(["guest"])
        merging.state.merges.put(0, "guest", None)
    elif how == "set apart":
        await merging.state.rename_user("guest", "nobody")
        merging.state.merges.put(0, "guest", None)
        assert not await merging.client.exists(UserKeys.of("ann").guests)
    else:
        merging.state.merges.put(0, "guest", None)
        await merging.merger.carry_out(lambda: {0})
    own = (await merging.ann()).sequence
    assert own == 9
    assert await listed(merging, own)
    assert not await listed(merging, own - 1)


async def test_a_parted_guest_waits_for_the_owner(merging):
    """What is nobody's any more in a partition of another worker is carried out by whoever gets the partition."""
    await merging.apply(GUEST)
    await merging.merge()
    merging.merger.unlisted.clear()
    merging.state.merges.put(0, "guest", None)
    await merging.merger.carry_out(lambda: {1})
    assert not merging.merger.has_open
    assert await merging.client.get(UserKeys.of("guest").merged) == b"ann"
    await merging.merger.link({0})
    assert not await merging.client.exists(UserKeys.of("guest").merged, UserKeys.of("ann").guests)


async def test_who_died_before_the_list_leaves_it_to_the_next(merging):
    """Whoever gets the partition links again what was half written, and makes the list that nobody has made."""
    await merging.apply([*GUEST, *ANN])
    await merging.merge()
    await merging.client.srem(UserKeys.of("ann").guests, "guest")
    await merging.client.set(UserKeys.of("guest").recs, b"{}")
    after = GuestMerger(merging.state.merges, merging.state)
    await after.link({0})
    assert after.unlisted == {"ann": MERGED}
    assert await merging.client.smembers(UserKeys.of("ann").guests) == {b"guest"}
    assert not await merging.client.exists(UserKeys.of("guest").recs)
    assert await listed(merging, 18)
    again = GuestMerger(merging.state.merges, merging.state)
    await again.link({0})
    assert not again.has_open


@pytest.mark.parametrize("how", ["forgotten", "set apart"])
async def test_an_account_that_is_forgotten_keeps_its_guests(merging, how):
    """Who asks for the account alone asks for nobody else: its guests' history is all that it has then."""
    await merging.apply([*GUEST, *ANN])
    await merging.merge()
    await (merging.state.remove_users(["ann"]) if how == "forgotten" else merging.state.rename_user("ann", "nobody"))
    assert await merging.client.smembers(UserKeys.of("ann").guests) == {b"guest"}
    assert not await merging.client.exists(UserKeys.of("nobody").guests)
    assert (await merging.ann()).sequence == 9
    assert await listed(merging, 9)
