"""On a server in cluster mode a call whose keys lie in two slots is refused; so what passes here keeps to one."""

import pytest
from redis.asyncio.cluster import RedisCluster

from model.catalogue import Catalogue, Item
from model.history import Profile
from model.similar import SimilarItems
from streams.records.data_requests import DataRequest
from streams.records.records import Origin, Rating, Watch
from streams.state.store import ModelPointer, State, StoredList


@pytest.fixture
def cluster_port(own_cluster):
    """Return the port of a cluster of one node that serves every slot."""
    with own_cluster(1) as (node,):
        yield node.port


async def test_every_call_keeps_to_one_slot(cluster_port):
    """Applying, reading, storing, merging and publishing pass on a cluster, with redis-py's cluster client."""
    client = RedisCluster(host="127.0.0.1", port=cluster_port)
    state = State(client)
    await state.install()
    applied = await state.apply(
        [
            (Origin("watch-events", 3, 0), Watch("e1", "u{1}", "10", 1000, 1.0), ("Drama",)),
            (Origin("rate-events", 3, 0), Rating("e1", "v", "11", 900, 4.0), ("War",)),
            (Origin("watch-events", 2, 0), Watch("e2", "v", "10", 1000, 0.0), ("Drama",)),
        ]
    )
    assert applied.fresh == 3
    assert await state.profiles(["u{1}", "v"]) == dict(applied.profiles)
    assert await state.seen_among([(Profile("v"), ["10", "12"]), (Profile("u{1}"), ["11"])]) == [
        frozenset({"10"}),
        frozenset(),
    ]
    assert await state.store_lists([StoredList("v", 2, "personalized", b"{}")]) == 1
    assert (await state.count_users()).by_mode == {"none": 1, "personalized": 1}
    films = Catalogue.of([Item("10", "A", 1990, ("Drama",))])
    await state.merge_trending(4, films)
    assert await state.trending(5) == (("10", 1.0),)
    await state.put_catalogue(films)
    await state.put_similar({"10": SimilarItems((("11", 0.5),), (), ())})
    await state.move_model(ModelPointer("v1", "file:///m", 1))
    assert await state.current_model() == ModelPointer("v1", "file:///m", 1)
    assert {at.applied for at in (await state.positions([("watch-events", 3), ("rate-events", 3)])).values()} == {0}
    await state.link_guests([("v", None, "u{1}")])
    state.merges.put(0, "v", DataRequest("v", "m", 1, "merge", (), "u{1}"))
    account = (await state.profiles(["u{1}"]))["u{1}"]
    assert (account.watches, account.ratings, account.seen) == (2, 1, 2)
    assert await state.seen_among([(account, ["10", "11", "12"])]) == [frozenset({"10", "11"})]
    assert await state.remove_users(["v"]) > 0
    await client.aclose()
