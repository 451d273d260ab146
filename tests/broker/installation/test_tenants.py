"""Two installations with different prefixes on one Kafka and in one Redis database never meet."""

import os
import subprocess
import sys
from urllib.parse import urlsplit

import orjson
import pytest
from redis import Redis

TS = 1_700_000_000_000


def reelstream(installation, *words, status=0):
    """Run a command of an installation, and return its JSON, or what it said."""
    environment = os.environ | installation.settings.environment()
    command = [sys.executable, "-m", "reelstream", *words]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == status, ran.stdout + ran.stderr
    return orjson.loads(ran.stdout) if "--json" in words and status == 0 else ran.stdout + ran.stderr


def keys_of(installation, but=("alive:",)):
    """Return every key of an installation that holds still, with its bytes as Redis would dump them."""
    prefix = installation.settings.prefix
    names = [name for name in installation.redis.scan_iter(count=1000) if not name.startswith(but)]
    with Redis.from_url(installation.settings.redis) as plain:
        dumps = {name: plain.dump(f"{prefix}{name}") for name in names}
    return {name: value for name, value in dumps.items() if value is not None}


def text_of(installation):
    """Return every key of an installation and what it holds, as text."""
    client = installation.redis
    reads = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda name: client.lrange(name, 0, -1),
        "set": client.smembers,
        "zset": lambda name: client.zrange(name, 0, -1),
    }
    bytes_of = (":ids:", ":sentence:")  # hashes, and vectors
    names = [name for name in client.scan_iter(count=1000) if not any(part in name for part in bytes_of)]
    return "\n".join(f"{name} {reads.get(client.type(name), str)(name)}" for name in names)


def send(installation, whose, n):
    """Send a catalogue and n watches of the users of an installation, whose ids and items name it."""
    films = [{"item_id": f"{whose}-i{k}", "title": f"{whose} {k}", "genres": [whose]} for k in range(4)]
    installation.send_all("catalog-items", [(film["item_id"], film) for film in films])
    watches = [
        {
            "event_id": f"{whose}-e{k}",
            "user_id": f"{whose}-u{k % 5}",
            "item_id": f"{whose}-i{k % 3}",
            "ts": TS + k,
            "progress": 1.0,
        }
        for k in range(n)
    ]
    installation.send_all("watch-events", [(watch["user_id"], watch) for watch in watches])


@pytest.fixture(scope="module")
def pair(install, stack, _databases, until):
    """Return two installations in one database, each with a worker that has applied 30 events of its own."""
    url = urlsplit(stack.redis)._replace(path=f"/{next(_databases)}").geturl()
    one, other = install(redis=url), install(redis=url)
    with one.process("worker") as first, other.process("worker") as second:
        for installation, worker, whose in ((one, first, "north"), (other, second, "south")):
            worker.await_ready()
            send(installation, whose, 30)
        for installation, worker in ((one, first), (other, second)):
            until(lambda at=installation: sum(at.counts("watches").values()) == 30, 60, worker.said)
            until(lambda at=installation: len(at.redis.keys("user:*:recs")) == 5, 60, worker.said)
            until(lambda at=installation: at.redis.zcard("hot:all") == 3, 60, worker.said)
            until(lambda at=installation: at.redis.hlen("catalog:items") == 4, 60, worker.said)
        yield one, other, second


def test_the_ids_of_one_are_in_no_key_of_the_other(pair):
    """Each holds its own users, items, genres and topics, and nothing that names the other's."""
    one, other, _ = pair
    with Redis.from_url(one.settings.redis, decode_responses=True) as plain:
        assert all(key.startswith((one.settings.prefix, other.settings.prefix)) for key in plain.scan_iter(count=1000))
    for installation, mine, foreign in ((one, "north", "south"), (other, "south", "north")):
        text = text_of(installation)
        foreign_topics = (other if installation is one else one).settings.prefix
        assert (mine in text, f"{installation.settings.prefix}watch-events" in text) == (True, True)
        assert (foreign in text, foreign_topics in text) == (False, False)


def test_events_to_one_leave_every_key_of_the_other_as_it_is(pair, until, tmp_path):
    """Bytes of all keys but signs of life are compared around 30 more events, a forgetting and the commands."""
    one, other, worker = pair
    until(lambda: "similar:south-i0" in keys_of(other), 60, lambda: "similar items")
    other.redis.delete("catalog:new")  # an early look may have come before the last event
    until(lambda: "catalog:new" in keys_of(other), 60, lambda: "a look at the newest items")
    before = keys_of(other)
    send(one, "north", 60)
    until(lambda: sum(one.counts("watches").values()) == 60, 60, lambda: "60 watches")
    reelstream(one, "forget", "north-u4", "--archive", str(tmp_path), "--json")
    until(lambda: "user:{north-u4}" not in keys_of(one), 60, lambda: "a user who was forgotten")
    assert reelstream(one, "export", "south-u1", "--archive", str(tmp_path), "--json")["redis"] == {}
    assert "user:{south-u1}" in reelstream(other, "export", "south-u1", "--archive", str(tmp_path), "--json")["redis"]
    assert keys_of(other) == before, worker.said()
    assert sum(other.counts("watches").values()) == 30


def test_look_ups_health_and_digest_see_their_own(pair):
    """Lists, trending, users, processes and digests are those of the prefix that a command is given."""
    one, other, _ = pair
    for installation, whose in ((one, "north"), (other, "south")):
        hot = reelstream(installation, "hot", "--json")
        assert {item["item_id"].partition("-")[0] for item in hot["items"]} == {whose}
        listed = reelstream(installation, "recommend", f"{whose}-u1", "--json")
        assert {item["item_id"].partition("-")[0] for item in listed["items"]} == {whose}
        assert len(installation.reports("worker")) == 1
        assert reelstream(installation, "digest", "--json")["partitions"] == 2
    assert reelstream(other, "digest", "--json")["events"] == 30


def test_a_rebuild_never_swaps_what_others_share(pair, beside):
    """Without a target it is refused; into another database it is filled, and the shared one stays as it is."""
    one, other, _ = pair
    said = reelstream(one, "rebuild", status=1)
    assert "a database without keys of others is required to be swapped" in said
    before = keys_of(other)
    found = reelstream(one, "rebuild", "--to", urlsplit(beside).path[1:], "--json")
    assert (found["switched"], found["lists"]) == (False, 4)
    assert reelstream(one, "digest", one.settings.redis, beside, "--json")["equal"]
    assert keys_of(other) == before
    with Redis.from_url(beside, decode_responses=True) as client:
        assert all(key.startswith(one.settings.prefix) for key in client.scan_iter(count=1000))


def test_keys_of_an_earlier_release_are_renamed(pair, beside):
    """A worker refuses to begin with nothing beside them, the doctor says so, and the command they name renames all."""
    one, other, _ = pair
    prefix = other.settings.prefix
    with Redis.from_url(beside) as old, Redis.from_url(other.settings.redis) as new:
        before = keys_of(other)
        for name in before:
            old.restore(name, 0, new.dump(f"{prefix}{name}"))
        said = reelstream(other, "worker", "--redis", beside, status=1)
        assert f"keys that begin with the prefix '{prefix}' are required" in said
        assert "redis keys" in reelstream(other, "doctor", "--redis", beside, status=1)
        for words in (("api",), ("mode", "south-u1", "cold_start"), ("model", "prune"), ("ab", "stop"), ("rebuild",)):
            assert said == reelstream(other, *words, "--redis", beside, status=1).replace(f"{words[0]}:", "worker:")
        tried = reelstream(other, "redis", "adopt", "--redis", beside, "--json")
        assert (tried["renamed"], tried["to_rename"]) == (0, len(before))
        assert reelstream(other, "redis", "adopt", "--redis", beside, "--yes", "--json")["renamed"] == len(before)
        assert {key.decode().removeprefix(prefix): old.dump(key) for key in old.scan_iter(count=1000)} == before
        counted = reelstream(one, "redis", "clear", "--redis", beside, "--yes", "--json")
        assert (counted["deleted"], counted["others"]) == (0, len(before))
        cleared = reelstream(other, "redis", "clear", "--redis", beside, "--yes", "--json")
        assert (cleared["deleted"], cleared["own"], old.dbsize()) == (len(before), 0, 0)
