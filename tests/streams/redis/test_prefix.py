"""Every command of a client with a prefix reaches keys with that prefix alone, on a server and on a cluster."""

import ast
from pathlib import Path

import pytest
from redis import Redis

from streams.errors import StateError
from streams.redis.connection import connect, connect_to_read
from streams.redis.earlier_keys import require_no_earlier_keys
from streams.redis.prefix import is_own_key, prefix_of_key, with_prefix
from streams.settings import Settings
from streams.state.rights import missing_rights

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        (("GET", "hot:all"), ("GET", "a-hot:all")),
        (("DEL", "x", b"y"), ("DEL", "a-x", "a-y")),
        (("HGET", "{quality:live}:users", "{u"), ("HGET", "a-{a-quality:live}:users", "{u")),
        (("COPY", "x", "y", "DB", 1, "REPLACE"), ("COPY", "a-x", "a-y", "DB", 1, "REPLACE")),
        (("FCALL", "f", 2, "x", "y", "x"), ("FCALL", "f", 2, "a-x", "a-y", "x")),
        (("ZUNIONSTORE", "x", 1, "x", "WEIGHTS", 2), ("ZUNIONSTORE", "a-x", 1, "a-x", "WEIGHTS", 2)),
        (("SCAN", 0), ("SCAN", 0, "MATCH", "a-*")),
        (("SCAN", 0, b"MATCH", "user:{*}", b"COUNT", 9), ("SCAN", 0, b"MATCH", "a-user:{*}", b"COUNT", 9)),
        (("CONFIG GET", "x"), ("CONFIG GET", "x")),
        (("INFO", "server"), ("INFO", "server")),
    ],
)
def test_each_key_of_a_command_gets_the_prefix_and_nothing_else(command, sent):
    """Keys, and patterns of keys, get it once; values, counts and options stay; without a prefix nothing changes."""
    assert with_prefix("a-", command) == sent
    assert with_prefix("a-", with_prefix("a-", command)) == sent  # a command that a cluster redirects comes again
    assert with_prefix("", command) == command


def test_a_command_whose_keys_are_unknown_is_refused():
    """It might reach another installation's keys; the line names it."""
    with pytest.raises(ValueError, match=r"whose keys streams/redis/prefix.py knows is required, got 'SORT'"):
        with_prefix("a-", ("SORT", "x"))


@pytest.mark.parametrize("family", ["user:{u}", "items:{p0}:at", "hot:all", "{quality:live}:users", "state:hold"])
def test_no_key_belongs_to_two_prefixes(family):
    """Of prefixes that begin with one another, or end like a family, each key belongs to just one."""
    prefixes = ("", "a", "a-", "a-b", "hot", "x.user", "model")
    for mine in prefixes:
        key = with_prefix(mine, ("GET", family))[1]
        assert prefix_of_key(key) == mine
        assert [one for one in prefixes if is_own_key(key, one)] == [mine]


async def fill(url, prefix):
    """Write keys in each way that clients have: alone, in a pipeline, in a transaction."""
    client = connect(url, prefix=prefix)
    await client.set("user:{u}", prefix or "none")
    pipeline = client.pipeline(transaction=False)
    pipeline.hset("user:{u}:hidden", mapping={"i": prefix})
    pipeline.execute_command("SADD", "user:{v}:seen", "i")
    await pipeline.execute()
    together = client.pipeline(transaction=True)
    together.set("quality:live", prefix)
    together.hset("{quality:live}:users", "u", prefix)
    await together.execute()
    found = sorted([key.decode() async for key in client.scan_iter(count=10)])
    users = sorted([key.decode() async for key in client.scan_iter(match="user:{*}", count=10)])
    await client.aclose()
    return found, users


WRITTEN = ["quality:live", "user:{u}", "user:{u}:hidden", "user:{v}:seen", "{quality:live}:users"]


async def test_prefixes_share_a_database_and_see_but_their_own(redis_url):
    """Each sees what it wrote, under the documented names; the server holds all of it, with the prefixes."""
    for prefix in ("", "a-", "a-b-"):
        found, users = await fill(redis_url, prefix)
        assert [key for key in found if is_own_key(key, "")] == WRITTEN
        assert users == ["user:{u}"]
    with Redis.from_url(redis_url, decode_responses=True) as plain:
        assert sorted(plain.keys()) == sorted(
            with_prefix(prefix, ("GET", key))[1] for prefix in ("", "a-", "a-b-") for key in WRITTEN
        )
    with connect_to_read(redis_url, prefix="a-") as client:
        assert (client.get("user:{u}"), sorted(client.keys("user:*"))) == ("a-", WRITTEN[1:4])
        with client.pipeline(transaction=True) as pipeline:
            pipeline.get("quality:live")
            pipeline.hgetall("{quality:live}:users")
            assert pipeline.execute() == ["a-", {"u": "a-"}]
        assert client.delete(*WRITTEN) == len(WRITTEN)
    with Redis.from_url(redis_url) as plain:
        assert plain.dbsize() == 2 * len(WRITTEN)


async def test_prefixes_share_a_cluster(own_cluster):
    """On a cluster as on a server; the keys of a user stay in one slot."""
    with own_cluster(3) as nodes:
        url = nodes[0].url
        for prefix in ("a-", "b-"):
            assert await fill(url, prefix) == (WRITTEN, ["user:{u}"])
        with connect_to_read(url, prefix="b-") as client:
            assert client.get("user:{u}") == "b-"
            pipeline = client.pipeline()
            pipeline.unlink("user:{u}:hidden")
            pipeline.delete("user:{v}:seen")
            pipeline.exists("user:{u}")
            assert pipeline.execute() == [1, 1, 1]
            with client.pipeline(transaction=True) as together:
                together.watch("quality:live", "{quality:live}:users")
                together.multi()
                together.delete("quality:live", "{quality:live}:users")
                assert together.execute() == [2]
            assert sorted(client.scan_iter(count=10)) == ["user:{u}"]
        asynchronous = connect(url, prefix="b-")
        async with asynchronous.pipeline(transaction=True) as queued:
            await queued.watch("user:{u}")
            queued.multi()
            queued.delete("user:{u}")
            assert await queued.execute() == [1]
        await asynchronous.aclose()
        with connect_to_read(url, prefix="a-") as other:
            assert sorted(other.scan_iter(count=10)) == WRITTEN
        assert await fill(url, "b-") == (WRITTEN, ["user:{u}"])
        with connect_to_read(url, prefix="b-") as client:
            assert sorted(client.scan_iter(count=10)) == WRITTEN
            assert client.keyslot("b-user:{u}") == client.keyslot("user:{u}:hidden")
            assert client.keyslot("b-{b-quality:live}:users") == client.keyslot("b-quality:live")


def test_a_user_of_one_prefix_needs_no_other_keys(own_valkey):
    """An ACL user who may reach keys with the prefix alone lacks nothing; one of another is told the keys."""
    with own_valkey() as server, Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", "~a-*", "+@all")
        url = f"redis://app:secret@127.0.0.1:{server.port}/0"
        for role in ("worker", "trainer", "scorekeeper", "digest"):
            with connect_to_read(url, prefix="a-") as client:
                assert missing_rights(client, role) == ()
        with connect_to_read(url, prefix="b-") as client:
            told = missing_rights(client, "worker")
        assert any("of the key 'b-user:{ann}'" in line and "~b-user:" in line for line in told)


def test_keys_of_an_earlier_release_are_told(redis_url):
    """A prefix that only the topics had until now is refused with the cure; others, and a fresh database, are not."""
    mine = Settings("unused:1", redis_url, "unused", prefix="a-")
    require_no_earlier_keys(mine, "topics:ids", "a-watch-events")
    with Redis.from_url(redis_url) as plain:
        plain.hset("topics:ids", "a-watch-events", "id")
        with pytest.raises(
            StateError, match=r"keys that begin with the prefix 'a-' are required .*`reelstream redis adopt --yes`"
        ):
            require_no_earlier_keys(mine, "topics:ids", "a-watch-events")
        for prefix in ("", "b-"):
            require_no_earlier_keys(
                Settings("unused:1", redis_url, "unused", prefix=prefix), "topics:ids", f"{prefix}watch-events"
            )
        plain.rename("topics:ids", "a-topics:ids")
    require_no_earlier_keys(mine, "topics:ids", "a-watch-events")


def test_every_connection_of_ours_names_its_prefix():
    """No call of ``connect`` or ``connect_to_read`` leaves the prefix out; ``replay/chaos`` has servers of its own."""
    without = []
    for package in ("agents", "commands", "streams", "web"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                    continue
                is_ours = node.func.id in ("connect", "connect_to_read")
                if is_ours and "prefix" not in {given.arg for given in node.keywords}:
                    without.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert without == []
