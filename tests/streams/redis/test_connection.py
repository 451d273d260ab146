"""Connections to Redis: which client an address gives, how failures read, and that passwords stay secret."""

import ssl
from contextlib import ExitStack
from urllib.parse import quote

import pytest
from redis import Redis, exceptions
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.cluster import RedisCluster

from streams.errors import SettingsError, StateAway, StateError
from streams.redis.connection import answered, connect, connect_to_read
from streams.settings import without_password
from streams.stack.ports import settle_ports

PASSWORD = 'p/s:s@"w\\ör#d %'  # noqa: S105 - of a server that ends with its test; every character that a URL or a configuration file gives a meaning to


@pytest.fixture(scope="module")
def guarded(own_valkey):
    """Return a server that asks for a password, with a second user beside the usual one."""
    with own_valkey(password=PASSWORD) as server:
        with Redis.from_url(server.url) as client:
            client.execute_command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "&*", "+@all")
        yield server


@pytest.fixture(scope="module")
def encrypted(guarded, tls_front):
    """Return the port of the same server with TLS."""
    with tls_front(guarded.port) as port:
        yield port


def url_of(port, user="", password=PASSWORD, **options):
    """Return a TLS address."""
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"rediss://{user}:{quote(password, safe='')}@127.0.0.1:{port}/0?{query}"


def keys_on(node):
    """Return how many keys a server holds."""
    with Redis.from_url(node.url) as client:
        return client.dbsize()


async def test_a_single_server_gets_a_client_of_one(redis_url):
    """Neither client of a server that is no cluster is a cluster's."""
    asynchronous = connect(redis_url)
    with connect_to_read(redis_url) as synchronous:
        assert isinstance(asynchronous, AsyncRedis)
        assert isinstance(synchronous, Redis)
    await asynchronous.aclose()


@pytest.mark.parametrize("user", ["", "default", "reader"])
async def test_user_password_and_tls_are_part_of_the_address(guarded, encrypted, certificates, user):
    """With TLS, the authority's certificate and a user or none, both clients are let in."""
    url = url_of(encrypted, user, ssl_ca_certs=certificates.path)
    client = connect(url)
    await client.set("greeting", user)
    with connect_to_read(url) as reader, Redis.from_url(guarded.url) as plain:
        assert reader.get("greeting") == user
        assert plain.get("greeting") == user.encode()
    await client.aclose()


@pytest.mark.parametrize("wrong", ["another", ""])
async def test_a_wrong_password_is_no_absence(guarded, wrong):
    """Being refused is a StateError that waiting does not cure, in one line without any password."""
    url = f"redis://:{wrong}@127.0.0.1:{guarded.port}" if wrong else f"redis://127.0.0.1:{guarded.port}"
    client = connect(url, attempts=0)
    with pytest.raises(StateError, match=r"Authentication|WRONGPASS|NOAUTH") as caught, answered("test"):
        await client.ping()
    await client.aclose()
    assert type(caught.value) is StateError
    assert "\n" not in str(caught.value)
    assert "another" not in str(caught.value)


async def test_a_certificate_of_nobody_is_no_absence(encrypted):
    """A server whose certificate the system does not trust is refused, and waiting does not cure it."""
    client = connect(url_of(encrypted), attempts=0)
    with pytest.raises(StateError, match="CERTIFICATE_VERIFY_FAILED") as caught, answered("test"):
        await client.ping()
    await client.aclose()
    assert type(caught.value) is StateError
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "query", ["no_such_option=1", "socket_timeout=soon", "ssl_ca_certs=1"], ids=["unknown", "ill-typed", "not TLS"]
)
def test_an_option_that_cannot_be_used_is_refused(guarded, query):
    """It is a SettingsError that shows the address without its password."""
    with pytest.raises(SettingsError, match="REELSTREAM_REDIS") as caught:
        connect(f"{guarded.url}?{query}")
    assert f"redis://:***@127.0.0.1:{guarded.port}?{query}" in str(caught.value)
    assert quote(PASSWORD, safe="") not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:secret@h:1/0", "redis://:***@h:1/0"),
        ("rediss://ann:secret@h:1/0?a=b", "rediss://ann:***@h:1/0?a=b"),
        ("redis://ann@h", "redis://ann@h"),
        ("redis://:se/c@r:e#t@h", "redis://:***@h"),
        ("unix:///s?password=secret&db=1", "unix:///s?password=***&db=1"),
        ("redis+sentinel://h,i/s?sentinel_password=secret", "redis+sentinel://h,i/s?sentinel_password=***"),
        ("rediss://h/0?ssl_password=secret&a=b", "rediss://h/0?ssl_password=***&a=b"),
        ("ann:secret@h:1", "ann:***@h:1"),
    ],
)
def test_an_address_is_shown_without_its_password(url, shown):
    """Only what stands for the password is replaced, wherever it stands, also in an address of no known form."""
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("refused"),
        exceptions.TimeoutError("slow"),
        exceptions.BusyLoadingError("loading"),
        exceptions.ReadOnlyError("a replica"),
        exceptions.OutOfMemoryError("full"),
        exceptions.TryAgainError("moving"),
        exceptions.ClusterDownError("CLUSTERDOWN"),
        exceptions.MasterDownError("MASTERDOWN"),
        exceptions.MaxConnectionsError("too many"),
        exceptions.ClusterError("TTL exhausted."),
        exceptions.SlotNotCoveredError("slot 1"),
        exceptions.RedisClusterException("All slots are not covered after query all startup_nodes."),
        exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        exceptions.ResponseError("Command # 1 (SET a b) of pipeline caused error: NOREPLICAS Not enough good replicas"),
        exceptions.ResponseError("Command # 4 (FCALL f) of pipeline caused error: ('MISCONF Errors writing',)"),
        ConnectionResetError("reset"),
        TimeoutError("slow"),
    ],
    ids=lambda error: f"{type(error).__name__} {str(error)[:8]}",
)
def test_what_waiting_may_cure_is_an_absence(error):
    """Each such failure is a StateAway, with its cause attached."""
    with pytest.raises(StateAway, match=r"^here: an answer from Redis is required, got ") as caught, answered("here"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        exceptions.ResponseError("Function not found"),
        exceptions.ResponseError("Command # 1 (SET BUSY b) of pipeline caused error: ERR wrong"),
        exceptions.AuthenticationError("WRONGPASS"),
        exceptions.NoPermissionError("no right"),
        exceptions.ClusterCrossSlotError("two slots"),
        exceptions.RedisClusterException("Cluster mode is not enabled on this node"),
    ],
    ids=lambda error: f"{type(error).__name__} {str(error)[:8]}",
)
def test_what_waiting_does_not_cure_is_none(error):
    """Each such failure is a plain StateError."""
    with pytest.raises(StateError) as caught, answered("here"):
        raise error
    assert type(caught.value) is StateError


def test_a_refusal_behind_a_broken_connection_is_a_refusal():
    """A connection that failed because of the server's certificate is no absence."""
    with pytest.raises(StateError) as caught, answered("here"):
        raise exceptions.ConnectionError("Error connecting") from ssl.SSLCertVerificationError("self-signed")
    assert type(caught.value) is StateError


def test_a_member_of_a_cluster_says_that_it_has_become_one():
    """A client of one server that is sent elsewhere is told to start again."""
    with pytest.raises(StateError, match="part of a cluster since we connected: start again"), answered("here"):
        raise exceptions.MovedError("5 127.0.0.1:7001")


async def test_a_cluster_with_tls_and_a_password_takes_the_same_address(own_cluster, tmp_path, tls_front, certificates):
    """One member's address gives cluster clients that reach every slot, each member by TLS; database 1 is refused."""
    ports = settle_ports(tmp_path / "ports.json", ["a", "b", "c"])
    announced = list(ports.values())
    with own_cluster(password=PASSWORD, announced=announced) as nodes, ExitStack() as fronts:
        for node, port in zip(nodes, announced, strict=True):
            fronts.enter_context(tls_front(node.port, port))
        url = url_of(announced[1], ssl_ca_certs=certificates.path)
        client = connect(url)
        assert isinstance(client, AsyncRedisCluster)
        for n in range(30):
            await client.set(f"key-{n}", n)
        with connect_to_read(url) as reader:
            assert isinstance(reader, RedisCluster)
            assert [reader.get(f"key-{n}") for n in range(30)] == [str(n) for n in range(30)]
        await client.aclose()
        shares = [keys_on(node) for node in nodes]
        assert sum(shares) == 30
        assert all(shares)
        with pytest.raises(SettingsError, match=r"must be addressed as redis://host:port/0, got 'rediss://:\*\*\*@"):
            connect(url.replace("/0?", "/1?"))


async def test_a_connection_closed_under_a_call_is_an_absence(redis_url):
    """Where another call's failure has taken the connection's writer away, that is an absence; our own slips stay."""
    client = connect(redis_url)
    connection = await client.connection_pool.get_connection()
    connection._writer, writer = None, connection._writer
    with pytest.raises(StateAway, match=r"here: .* a connection closed under the call"), answered("here"):
        await connection._send_packed_command([b"PING"])
    connection._writer = writer
    await client.connection_pool.release(connection)
    await client.aclose()
    with pytest.raises(AttributeError), answered("here"):
        raise AttributeError("anything")


def test_sentinels_that_know_no_primary_are_told_in_a_short_line():
    """Where no Sentinel answers for a service, the line names it and the cure, and nothing of redis-py's insides."""
    client = connect_to_read("redis+sentinel://127.0.0.1:1/films")
    with pytest.raises(StateAway) as raised, answered("here"):
        client.ping()
    assert str(raised.value) == (
        "here: an answer from Redis is required, got MasterNotFoundError: No master found for 'films'; "
        "see the name of the service in the address, and whether its Sentinels run there"
    )
