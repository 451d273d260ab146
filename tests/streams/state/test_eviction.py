"""Servers that may forget keys are refused, or put up with on purpose; every one that cannot tell is told of once."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from redis import Redis

from model.catalogue import Catalogue
from streams.errors import StateAway, StateError
from streams.records.records import Origin, Watch
from streams.redis.connection import connect, connect_to_read
from streams.redis.lease import Lease
from streams.settings import Settings
from streams.state.eviction import require_no_eviction, watch_eviction
from streams.state.store import State

UNSAFE = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"]


@pytest.fixture(scope="module")
def server(own_valkey):
    """Return a server of this module, with a user who may neither INFO nor CONFIG, and one who may CONFIG alone."""
    with own_valkey() as valkey:
        with Redis.from_url(valkey.url) as admin:
            for name, rules in (("blind", ("-info", "-config")), ("reader", ("-info",))):
                admin.execute_command("ACL", "SETUSER", name, "on", ">secret", "~*", "&*", "+@all", *rules)
        yield valkey


@pytest.fixture
def admin(server):
    """Return a client that may set the policy, which is safe at the start."""
    with Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        yield client


def told(url, **allowed):
    """Return what is to be said about a server."""
    with connect_to_read(url) as client:
        return require_no_eviction(client, "worker", **allowed)


@pytest.mark.parametrize("policy", UNSAFE)
def test_a_server_that_may_evict_is_refused_with_the_cure(server, admin, policy):
    """Any policy but noeviction is refused in one line with the command that sets it and the setting that allows it."""
    assert told(server.url) is None
    admin.config_set("maxmemory-policy", policy)
    with pytest.raises(StateError, match=f"worker: maxmemory-policy must be noeviction, got {policy}") as caught:
        told(server.url)
    assert "CONFIG SET maxmemory-policy noeviction" in str(caught.value)
    assert "REELSTREAM_ALLOW_EVICTION=1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "no longer promised to be exact" in told(server.url, is_allowed=True)


def test_one_primary_of_a_cluster_that_may_evict_is_enough(own_cluster):
    """Each primary is asked: with one of two set to evict, the cluster is refused."""
    with own_cluster(2) as nodes:
        assert told(nodes[0].url) is None
        with Redis.from_url(nodes[1].url) as plain:
            plain.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(StateError, match="got allkeys-lru"):
            told(nodes[0].url)


def test_config_is_asked_where_info_does_not_tell(server, admin):
    """A user without INFO is told by CONFIG GET; without both that is said, and nothing is refused."""
    admin.config_set("maxmemory-policy", "volatile-lru")
    with pytest.raises(StateError, match="got volatile-lru"):
        told(f"redis://reader:secret@127.0.0.1:{server.port}/0")
    said = told(f"redis://blind:secret@127.0.0.1:{server.port}/0")
    assert said.startswith("maxmemory-policy cannot be read")


def watched(url, every_s=0.02):
    """Return what watches a server, looking often."""
    settings = replace(Settings.from_environment({}), redis=url)
    return lambda *, allow: watch_eviction("trainer", replace(settings, allow_eviction=allow), every_s)


async def test_a_policy_that_changes_under_a_process_ends_it(server, admin):
    """While it is safe the watch goes on; a look after it was changed raises what ends the process."""
    task = asyncio.create_task(watched(server.url)(allow=False))
    await asyncio.sleep(0.3)
    assert not task.done()
    await asyncio.to_thread(admin.config_set, "maxmemory-policy", "allkeys-lfu")
    with pytest.raises(StateError, match="trainer: maxmemory-policy must be noeviction, got allkeys-lfu"):
        await asyncio.wait_for(task, 10)


@pytest.mark.parametrize(
    ("user", "says"), [("default:@", "no longer promised to be exact"), ("blind:secret@", "cannot be read")]
)
async def test_what_is_put_up_with_is_said_once(server, admin, caplog, user, says):
    """However often is looked, one warning is logged about a policy that is allowed, or that nobody may read."""
    await asyncio.to_thread(admin.config_set, "maxmemory-policy", "allkeys-lru")
    url = server.url if user.startswith("default") else f"redis://{user}127.0.0.1:{server.port}"
    task = asyncio.create_task(watched(url)(allow=True))
    await asyncio.sleep(0.5)
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    [warning] = [record.getMessage() for record in caplog.records if "eviction" in record.getMessage()]
    assert warning.startswith("trainer.eviction maxmemory-policy")
    assert says in warning


async def test_a_full_server_reads_on_keeps_leases_and_writes_nothing_by_halves(server, admin):
    """Out of memory, profiles and trending are read, a lease is renewed, and a batch is an absence without a trace."""
    client = connect(server.url)
    state = State(client)
    await state.install()
    batch = [(Origin("watch-events", 0, n), Watch(f"e{n}", f"u{n % 3}", "i", 1000 + n, 1.0), ()) for n in range(9)]
    await state.apply(batch[:6])
    with connect_to_read(server.url) as reader:
        lease = Lease(reader, "worker", "w", length_s=1.0)
        lease.take()
        keys = {key: await client.dump(key) for key in await client.keys("[ui]*")}
        admin.config_set("maxmemory", 500_000)
        try:
            assert (await state.profiles(["u0"]))["u0"].watches == 2
            with pytest.raises(StateAway, match="OutOfMemoryError"):
                await state.apply(batch)
            with pytest.raises(StateAway, match="OutOfMemoryError"):
                await state.merge_trending(1, Catalogue())  # what it reads it may, what it writes not
            assert await state.trending(5) == ()
            lease.renew()
        finally:
            admin.config_set("maxmemory", 0)
        assert {key: await client.dump(key) for key in await client.keys("[ui]*")} == keys
        assert (await state.apply(batch)).fresh == 3
        lease.release()
    await client.aclose()
