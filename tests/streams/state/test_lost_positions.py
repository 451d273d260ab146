"""A database that is emptied, or loses keys, without a restart of its server: noticed before anything hides it."""

import pytest
from redis import Redis
from redis.asyncio.cluster import RedisCluster

from streams.errors import StateError, StateMoved
from streams.records.records import Origin, Rating, Watch
from streams.redis.connection import connect
from streams.state.keys import PartitionKeys
from streams.state.store import State

PLACES = [("watch-events", 0), ("watch-events", 1), ("rate-events", 0)]


def watch(offset, user, partition=0):
    """Return a watch of some film."""
    event = Watch(f"w{partition}-{offset}", user, f"i{offset % 5}", 1000 + offset, 1.0)
    return Origin("watch-events", partition, offset), event, ("Drama",)


def rate(offset, user):
    """Return a rating of some film on partition 0."""
    event = Rating(f"r{offset}", user, f"i{offset % 5}", 1000 + offset, 4.0)
    return Origin("rate-events", 0, offset), event, ("Drama",)


@pytest.fixture
async def state(client):
    """Return a state that knows its server and has applied two batches."""
    made = State(client)
    await made.install()
    await made.know_servers()
    await made.apply([watch(0, "ann"), watch(1, "bob"), rate(0, "ann"), watch(0, "cid", 1)])
    await made.apply([watch(2, "ann"), watch(3, "dan")])
    return made


async def emptied(client):
    """Empty the database."""
    await client.flushdb()


async def without_positions(client):
    """Delete the positions of partition 0, as an eviction does."""
    await client.delete(PartitionKeys.of(0).at)


async def write_back(client):
    """Set one position back by a record, as a copy of older keys does."""
    await client.hset(PartitionKeys.of(0).at, "at:watch-events:0", 2)


@pytest.mark.parametrize("lose", [emptied, without_positions, write_back])
async def test_a_lost_position_refuses_the_next_batch_as_a_whole(state, client, lose):
    """The batch is refused as of another Redis, and no key is written or changed by it."""
    await lose(client)
    before = {key: await client.dump(key) for key in await client.keys("*")}
    with pytest.raises(StateMoved, match="an emptied one"):
        await state.apply([watch(4, "ann"), watch(5, "eve")])
    assert {key: await client.dump(key) for key in await client.keys("*")} == before


@pytest.mark.parametrize("lose", [emptied, without_positions, write_back])
async def test_a_lost_position_is_seen_without_a_batch(state, client, lose):
    """Asked whether something has moved the state says no before and yes after, and no again once it was compared."""
    assert not await state.has_moved()
    await lose(client)
    assert await state.has_moved()
    await state.know_servers()
    await state.positions(PLACES)
    assert not await state.has_moved()


@pytest.mark.usefixtures("state")
async def test_positions_that_were_read_are_guarded_before_the_first_batch(client):
    """A worker that has just looked at the positions notices their loss with its very first batch."""
    other = State(client)
    await other.know_servers()
    await other.positions(PLACES)
    await client.flushdb()
    with pytest.raises(StateMoved):
        await other.apply([watch(4, "ann")])
    assert await client.keys("*") == []


class Interrupted(State):
    """A state whose database is emptied between the users' calls and the partitions', once, when told to."""

    victim = None

    async def _call_all(self, calls):
        calls = list(calls)
        if self.victim is not None and calls[0][1].endswith("_count_items"):
            victim, self.victim = self.victim, None
            await victim.flushdb()
        return await super()._call_all(calls)


async def test_a_loss_in_the_middle_of_a_batch_is_mended_exactly(client):
    """Emptied after the users' calls, before the partitions', and read again from the start: as if nothing had been."""
    state = Interrupted(client)
    await state.install()
    await state.know_servers()
    first = [watch(0, "ann"), watch(1, "bob"), watch(2, "ann")]
    second = [watch(3, "ann"), watch(4, "eve")]
    await state.apply(first)
    state.victim = client
    with pytest.raises(StateMoved):
        await state.apply(second)
    await state.know_servers()
    assert (await state.positions(PLACES))["watch-events", 0].applied == -1
    applied = await state.apply([*first, *second])
    assert {name: profile.watches for name, profile in applied.profiles.items()} == {"ann": 3, "bob": 1, "eve": 1}
    assert await client.hgetall("items:{p0}:watches") == {
        b"i0": b"1",
        b"i1": b"1",
        b"i2": b"1",
        b"i3": b"1",
        b"i4": b"1",
    }


@pytest.fixture(scope="module")
def nodes(own_cluster):
    """Return the servers of a cluster of two; partition 0 rests on the second and partition 2 on the first."""
    with own_cluster(2) as servers:
        yield servers


def size(nodes):
    """Return how many keys a cluster holds."""
    total = 0
    for node in nodes:
        with Redis.from_url(node.url) as plain:
            total += plain.dbsize()
    return total


async def test_a_cluster_of_which_a_part_was_emptied_is_refused_until_all_of_it_is(nodes):
    """One of two servers emptied: looks, batches and new workers are refused in one line, until nothing is left."""
    client = connect(nodes[0].url)
    assert isinstance(client, RedisCluster)
    state = State(client)
    await state.install()
    await state.know_servers()
    await state.apply([watch(n, f"u{n}", n % 2 * 2) for n in range(20)])
    with Redis.from_url(nodes[1].url) as plain:
        plain.flushall()
    left = size(nodes)
    with pytest.raises(
        StateError, match=r"either delete .*`reelstream redis clear --yes`.* `reelstream rebuild --to URL`"
    ) as caught:
        await state.apply([watch(20, "u0"), watch(21, "u1", 2)])
    assert not isinstance(caught.value, StateMoved)
    assert "\n" not in str(caught.value)
    assert size(nodes) == left + 1  # nothing of the batch; the note that it is torn
    other = State(client)
    for refused in (state.has_moved, state.know_servers, other.know_servers):
        with pytest.raises(StateError, match="a server that was emptied: at:watch-events:0 is -1, not 18 or more"):
            await refused()
    await client.flushall()
    await other.know_servers()
    again = await other.apply([watch(n, f"u{n}", n % 2 * 2) for n in range(22)])
    assert again.fresh == 22
    await client.aclose()


async def test_a_part_emptied_within_a_batch_is_refused_by_its_counters(nodes):
    """Where the users' calls were made already, the partitions' calls refuse the batch, and the cluster with it."""
    client = connect(nodes[0].url)
    await client.flushall()
    state = Interrupted(client)
    await state.install()
    await state.know_servers()
    await state.apply([watch(n, f"u{n}") for n in range(20)])
    with Redis.from_url(nodes[1].url) as plain:

        class Victim:
            async def flushdb(self):
                plain.flushall()

        state.victim = Victim()
        with pytest.raises(StateError, match="a server that was emptied"):
            await state.apply([watch(20, "u0"), watch(21, "u1")])
    await client.flushall()
    await client.aclose()
