"""The functions and the run ids of a real single server and of a real cluster of three."""

import pytest
from redis import Redis

from model.catalogue import Catalogue, Item
from model.similar import SimilarItems
from streams.errors import StateAway, StateError
from streams.records.records import Origin, Watch
from streams.redis.connection import answered, connect, connect_to_read
from streams.redis.heartbeat import SignOfLife, find_alive
from streams.stack.process import wait_until
from streams.state.calls import LIBRARY
from streams.state.library import install, server_ids
from streams.state.lookups import Lookups
from streams.state.store import State, StoredList


@pytest.fixture(scope="module")
def cluster(own_cluster):
    """Return the three servers of a cluster."""
    with own_cluster() as nodes:
        yield nodes


def is_whole(node):
    """Return whether a member sees every slot served."""
    with Redis.from_url(node.url) as plain:
        return plain.cluster("INFO")["cluster_state"] == "ok"


@pytest.fixture
async def client(cluster):
    """Return a client of the cluster, emptied, once all members agree that it is whole again."""
    assert wait_until(lambda: all(is_whole(node) for node in cluster), 20)
    connected = connect(cluster[0].url)
    await connected.flushall()
    yield connected
    await connected.aclose()


def libraries(node):
    """Return the names of the libraries on one server."""
    with Redis.from_url(node.url, decode_responses=True, protocol=3) as plain:
        return [found["library_name"] for found in plain.function_list()]


def run_id(url):
    """Return the run id that a server tells about itself."""
    with Redis.from_url(url) as plain:
        return plain.info("server")["run_id"]


def watches(n):
    """Return n watches of 40 users on 4 partitions."""
    return [
        (Origin("watch-events", at % 4, at), Watch(f"e{at}", f"u{at % 40}", str(at % 9), 1000 + at, 1.0), ("Drama",))
        for at in range(n)
    ]


async def test_every_primary_gets_the_functions(cluster, client):
    """After installing, also for the second time, each of the three servers holds the library once."""
    for _ in range(2):
        await install(client)
        assert [libraries(node) for node in cluster] == [[LIBRARY]] * 3


async def test_the_ids_are_those_of_all_primaries(cluster, client):
    """They are what each server tells about itself; a restarted one has another, and the others keep theirs."""
    before = {run_id(node.url) for node in cluster}
    assert await server_ids(client) == before
    cluster[2].kill()
    cluster[2].restart()
    after = await server_ids(client)
    assert after == {run_id(node.url) for node in cluster}
    assert len(after & before) == 2


async def test_a_single_server_is_its_own_primary(redis_url):
    """Its one run id is returned, and its functions are there after installing."""
    client = connect(redis_url)
    assert await server_ids(client) == {run_id(redis_url)}
    await install(client)
    assert LIBRARY.encode() in str(await client.function_list()).encode()
    await client.aclose()


async def test_nobody_there_is_an_absence(unused_tcp_port):
    """Both calls name what was wanted."""
    client = connect(f"redis://127.0.0.1:{unused_tcp_port}", attempts=0)
    with pytest.raises(StateAway, match="installing the functions"):
        await install(client)
    with pytest.raises(StateAway, match="reading the run ids"):
        await server_ids(client)
    await client.aclose()


def key_questions(node):
    """Return how often a server was asked where the keys of a call are."""
    with Redis.from_url(node.url) as plain:
        return plain.info("commandstats").get("cmdstat_command|getkeys", {"calls": 0})["calls"]


async def test_everything_that_the_worker_calls_passes_on_a_cluster(cluster, client):
    """Users, lists, trending, the catalogue and signs of life are written over all three servers and read again."""
    await install(client)
    state = State(client)
    key_questions_before = [key_questions(node) for node in cluster]
    applied = await state.apply(watches(400))
    assert applied.fresh == 400
    assert (await state.apply(watches(400))).fresh == 0
    assert await state.profiles(applied.profiles) == dict(applied.profiles)
    assert await state.store_lists([StoredList(f"u{n}", 10, "personalized", b"{}") for n in range(40)]) == 40
    films = Catalogue.of([Item(str(n), f"Film {n}", 1990 + n, ("Drama",)) for n in range(9)])
    await state.merge_trending(4, films)
    await state.put_catalogue(films)
    await state.put_similar({str(n): SimilarItems((("1", 0.5),), (), ()) for n in range(9)})
    await state.put_catalogue([], remove=["8", "7"])
    await SignOfLife(client, "worker").renew({"events": 400})
    for node in cluster:
        with Redis.from_url(node.url) as plain:
            assert plain.dbsize() > 40  # of 40 users with 5 or 6 keys each, a third
    assert [key_questions(node) for node in cluster] == key_questions_before  # where the keys are is known
    with connect_to_read(cluster[1].url) as reader:
        lookups = Lookups(reader)
        assert [lookups.profile(f"u{n}").watches for n in range(40)] == [10] * 40
        assert len(lookups.trending(9)) == 9
        assert lookups.genres() == ("Drama",)
        assert set(lookups.items(map(str, range(9)))) == set(map(str, range(7)))
        assert list(find_alive(reader, "worker").values()) == [{"events": 400}]


async def test_a_lost_member_is_an_absence_that_ends(cluster, client):
    """While one of three servers is gone a batch over all slots fails as an absence; when it is back, it passes."""
    await install(client)
    state = State(client)
    cluster[1].kill()
    with pytest.raises(StateAway):
        await state.apply(watches(200))
    cluster[1].restart()
    for _ in range(40):  # of 0.1 s waits and more in the client's own retries
        try:
            applied = await state.apply(watches(200))
        except StateAway:
            continue
        break
    assert {profile.watches for profile in applied.profiles.values()} == {5}


async def test_a_function_that_is_missing_is_no_absence(client):
    """Calling one that no server has is refused at once: waiting would not load it."""
    with pytest.raises(StateError, match="Function not found") as caught, answered("test"):
        await client.fcall("nothing", 1, "user:{u}")
    assert type(caught.value) is StateError
