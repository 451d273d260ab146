"""Lists of many users, read together: from one server and from a cluster, each the right one."""

import asyncio

from streams.errors import StateAway
from streams.redis.connection import connect
from streams.state.keys import list_key
from web.gateway.stored_lists import StoredLists

USERS = [f"u{n}" for n in range(300)]  # more than one question takes


async def require_each_its_own(client):
    """Store lists of every third user, and read those of all at once, some twice."""
    for user in USERS[::3]:
        await client.set(list_key(user), f"list of {user}")
    asked = [*USERS, *USERS[:9]]
    lists = StoredLists(client)
    found = await asyncio.gather(*(lists.of(user) for user in asked))
    wanted = [f"list of {user}".encode() if int(user[1:]) % 3 == 0 else None for user in asked]
    assert found == wanted


async def test_everybody_gets_their_own_list(client):
    """Who asks while Redis answers goes with the next question, and gets no other user's list."""
    await require_each_its_own(client)


async def test_users_of_a_cluster_lie_on_several_nodes(own_cluster):
    """On a cluster one question becomes one for each slot, with the same answers."""
    with own_cluster(3) as (node, *_):
        client = await asyncio.to_thread(connect, f"redis://127.0.0.1:{node.port}/0")
        try:
            await require_each_its_own(client)
        finally:
            await client.aclose()


async def test_everybody_who_waits_is_told_that_redis_is_away(own_valkey):
    """An answer that cannot come is an error for each who asked, and the next question is asked anew."""
    with own_valkey() as valkey:
        client = connect(f"redis://127.0.0.1:{valkey.port}/0", 0)
        lists = StoredLists(client)
        await client.set(list_key("u1"), "list of u1")
        valkey.stop(5)
        found = await asyncio.gather(*(lists.of(user) for user in USERS[:3]), return_exceptions=True)
        assert [type(one) for one in found] == [StateAway] * 3
        valkey.restart()
        assert await lists.of("u1") == b"list of u1"
        await client.aclose()
