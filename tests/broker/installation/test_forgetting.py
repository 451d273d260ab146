"""Forgetting a person with real processes: every store is searched for the id byte for byte."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pyarrow.parquet as pq
import pytest
from redis import Redis

PERSON, OTHER = "Zq7-forget-me-9fX3kV", "Wm2-forget-too-4hT8"  # occur nowhere by chance
USER_KEYS = {f"user:{{{PERSON}}}{end}" for end in ("", ":recent", ":seen", ":genres", ":recs", ":ids:watch")}
ITEMS = [f"i{n}" for n in range(30)]


def watch(user, n, item, ts=1_700_000_000_000):
    """Return the n-th watch of a user."""
    return {"event_id": f"{user}-w{n}", "user_id": user, "item_id": item, "ts": ts + 1000 * n, "progress": 0.9}


def rating(user, n, item, stars, ts=1_700_000_000_000):
    """Return the n-th rating of a user."""
    return {"event_id": f"{user}-r{n}", "user_id": user, "item_id": item, "ts": ts + 1000 * n, "rating": stars}


def dump(installation):
    """Return all that a Redis database holds, keys and values, as bytes."""
    with Redis.from_url(installation.settings.redis) as client:  # which decodes nothing
        reads = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1),
        }
        found: list[bytes] = []
        for key in client.scan_iter(count=1000):
            if (kind := client.type(key)) == b"none":  # its time was over since the look
                continue
            value = reads[kind](key)
            parts = value if isinstance(value, list | set) else [value]
            parts = [*value, *value.values()] if isinstance(value, dict) else parts
            found += [key, *parts]
    return b"\n".join(found)


def applied(installation, topic):
    """Return how many records of an event topic are applied."""
    total = 0
    for partition in range(installation.settings.partitions):
        name = f"{installation.settings.prefix}{topic}"
        total += int(installation.redis.hget(f"items:{{p{partition}}}:at", f"at:{name}:{partition}") or -1) + 1
    return total


def reelstream(installation, *arguments, status=0):
    """Run a command of an installation to its end, and return what it printed."""
    environment = os.environ | installation.settings.environment()
    command = [sys.executable, "-m", "reelstream", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_worker_and_rebuild(install, until, beside):
    """A worker forgets, a redelivery and a rebuild bring nobody back, and what all others have stays."""
    at = install()
    at.send_all("catalog-items", [(i, {"item_id": i, "title": i, "year": 2000, "genres": ["Drama"]}) for i in ITEMS])
    users = [PERSON, *(f"u{n}" for n in range(6))]
    at.send_all("watch-events", [(u, watch(u, n, ITEMS[n])) for u in users for n in range(14)])
    at.send_all("rate-events", [(u, rating(u, n, ITEMS[n + 10], 1 + n % 5)) for u in users for n in range(9)])
    with at.process("worker") as worker:
        worker.await_ready()
        until(lambda: (applied(at, "watch-events"), applied(at, "rate-events")) == (98, 63), 60, worker.said)
        until(lambda: at.redis.exists(f"user:{{{PERSON}}}:recs"), 30, worker.said)
        counted = {name: at.item_counts(name) for name in ("watches", "ratings")}
        at.redis.hset("modes:chosen", PERSON, "cold_start")
        assert PERSON.encode() in dump(at)
        arguments = ("forget", PERSON, "--json", "--wait", "30", "--archive", str(at.folder / "none"))
        told = orjson.loads(reelstream(at, *arguments))
        assert told["done"], told
        assert PERSON.encode() not in dump(at)
        assert {name: at.item_counts(name) for name in ("watches", "ratings")} == counted
        at.send_all("watch-events", [(PERSON, watch(PERSON, 20, ITEMS[3]))])
        until(lambda: at.counts("watches").get(PERSON) == 1, 30, worker.said)
        at.send_all("watch-events", [(PERSON, watch(PERSON, 0, ITEMS[0]))])  # an id of before counts as new
        until(lambda: at.counts("watches").get(PERSON) == 2, 30, worker.said)
        reelstream(at, "rebuild", "--no-switch", "--to", urlsplit(beside).path[1:], "--json")
        assert reelstream(at, "digest", at.settings.redis, beside, "--json")
        assert at.redis.exists(f"user:{{{PERSON}}}")
        assert reelstream(at, *arguments)


def keys_of(client):
    """Return every key of a Redis with what it holds, as Redis dumps it."""
    return {key: client.dump(key) for key in client.scan_iter(count=1000)}


def newcomers(installation):
    """Return what trends among newcomers, by partition and item."""
    keys = [f"items:{{p{number}}}:newcomers:watch" for number in range(installation.settings.partitions)]
    return {key: dict(installation.redis.zrange(key, 0, -1, withscores=True)) for key in keys}


def test_a_redis_that_went_back_counts_the_forgotten_once(install, until):
    """Its lost events are applied behind those that it has of the person, by a worker that has a batch at once."""
    at, n = install(), [0]
    at.send_all("catalog-items", [(i, {"item_id": i, "title": i, "year": 2000, "genres": ["Drama"]}) for i in ITEMS])

    def send(worker, *users, times):
        at.send_all("watch-events", [(u, watch(u, n[0] + k, ITEMS[k])) for k in range(times) for u in users])
        n[0] += times
        sent[0] += times * len(users)
        until(lambda: applied(at, "watch-events") == sent[0], 60, worker.said)

    sent = [0]
    with at.process("worker") as worker, Redis.from_url(at.settings.redis) as client:
        worker.await_ready()
        send(worker, PERSON, "u1", times=9)
        before = keys_of(client)
        send(worker, PERSON, "u1", times=9)
        until(lambda: at.redis.exists(f"user:{{{PERSON}}}:recs"), 30, worker.said)
        reelstream(at, "forget", PERSON, "--wait", "30", "--archive", str(at.folder / "none"))
        counted, hot = at.item_counts("watches"), newcomers(at)
        worker.terminate(30)
        client.flushdb()
        for key, value in before.items():
            client.restore(key, 0, value)
        at.send_all("watch-events", [("u1", watch("u1", 100, ITEMS[20]))])
    with at.process("worker") as worker:
        until(lambda: applied(at, "watch-events") == sent[0] + 1, 60, worker.said)
        until(lambda: PERSON.encode() not in dump(at) and b"forgotten:" not in dump(at), 30, worker.said)
        assert at.item_counts("watches") == counted | {ITEMS[20]: 1}
        now = newcomers(at)
        assert {key: {item: now[key][item] for item in hot[key]} for key in hot} == hot
        assert any(hot.values())


def test_three_workers_forget_on_two_partitions(install, until):
    """Each partition of all topics is one worker's, however many there are; else nobody could carry a request out."""
    at = install()
    with at.process("worker") as one, at.process("worker") as two, at.process("worker") as three:
        [worker.await_ready() for worker in (one, two, three)]
        at.send_all("watch-events", [(PERSON, watch(PERSON, k, ITEMS[k])) for k in range(5)])
        until(lambda: applied(at, "watch-events") == 5, 60, one.said)
        told = orjson.loads(
            reelstream(at, "forget", PERSON, "--json", "--wait", "60", "--archive", str(at.folder / "none"))
        )
        assert told["done"], told
        assert PERSON.encode() not in dump(at)


def parquet_bytes(path):
    """Return all that a Parquet file says: its bytes, the values of its columns, and its metadata with statistics."""
    file = pq.ParquetFile(path)
    told = [path.read_bytes(), str(file.read().to_pydict()).encode(), str(file.schema_arrow.metadata).encode()]
    for group in range(file.metadata.num_row_groups):
        for column in range(file.metadata.num_columns):
            found = file.metadata.row_group(group).column(column)
            told.append(str(found.to_dict()).encode())
    return b"\n".join(told)


def holding(installation, archive, person):
    """Return the stores that hold an id; a look during which a file was renamed is taken once more."""
    while True:
        with suppress(FileNotFoundError):
            return searched(installation, archive, person)


def searched(installation, archive, person):
    """Return the stores that hold an id, each searched byte by byte, with what is compressed spelled out."""
    name = person.encode()
    models = [path for path in Path(installation.settings.registry).rglob("*") if path.is_file()]
    files = [path for path in archive.rglob("*") if path.is_file()]
    stores = {
        "redis": dump(installation),
        "registry": b"\n".join(path.read_bytes() + str(path).encode() for path in models),
        "archive": b"\n".join(
            parquet_bytes(path) if path.suffix == ".parquet" else path.read_bytes() for path in files
        ),
    }
    return {store for store, content in stores.items() if name in content}


def walk(user, length, start, first=0):
    """Return watches of a user who goes from each item to the next."""
    return [(user, watch(user, n, f"i{(start + n) % len(ITEMS)}")) for n in range(first, first + length)]


def exported(installation, archive):
    """Return how many events of the archive and of Kafka, and how many versions, an export tells, and which keys."""
    known = orjson.loads(reelstream(installation, "export", PERSON, "--json", "--archive", str(archive)))
    return len(known["archive"]), len(known["topics"]["watch-events"]), len(known["versions"]), set(known["redis"])


@pytest.mark.timeout(600)
def test_no_store_holds_the_person(install, until, beside):
    """With every process running an id leaves every store, with some down it leaves theirs when they start."""
    at, archive = install(), None
    archive = at.folder / "archive"
    at.send_all("catalog-items", [(i, {"item_id": i, "title": i, "year": 2000, "genres": ["Drama"]}) for i in ITEMS])
    people = [PERSON, OTHER, *(f"u{n}" for n in range(60))]
    trainer = ("trainer", "--every-events", "200", "--first-events", "500", "--every-s", "3600")
    archiver = ("archiver", "--archive", str(archive), "--every-s", "1")
    asking = ("--json", "--wait", "100", "--archive", str(archive))
    with (
        at.process("worker") as worker,
        at.process("scorekeeper", "--no-guard") as scoring,
        at.process(*trainer) as training,
        at.process(*archiver) as archiving,
    ):
        [process.await_ready() for process in (worker, scoring, training, archiving)]
        reelstream(at, "ab", "start", "depth", "--b-explore", "1")
        worker.await_saying("experiment.now")
        for first in (0, 6):
            at.send_all("watch-events", [one for k, u in enumerate(people) for one in walk(u, 6, k, first)])
            until(lambda: sum(at.counts("watches").values()) == len(people) * (6 + first), 150, worker.said)  # noqa: B023
            until(lambda: at.redis.exists(f"user:{{{PERSON}}}:recs"), 60, worker.said)  # a list for the next to test
        at.redis.hset("modes:chosen", PERSON, "cold_start")
        at.await_value("model-versions", lambda value: value["status"] == "promoted", 120)
        until(lambda: holding(at, archive, PERSON) == {"redis", "registry", "archive"}, 150, worker.said)
        until(lambda: any(PERSON in name for name in at.redis.hkeys("{quality:live}:users")), 150, worker.said)
        assert exported(at, archive) == (12, 12, 1, {"modes:chosen", "{quality:live}:users", *USER_KEYS})
        counted = at.item_counts("watches")
        told = orjson.loads(reelstream(at, "forget", PERSON, *asking))
        assert told["done"], told
        assert {store for store, places in told["erased"].items() if places} == {"redis", "versions", "archive"}
        assert told["done"], told
        assert holding(at, archive, PERSON) == set()
        assert exported(at, archive) == (0, 12, 0, set())
        assert at.item_counts("watches") == counted
        reelstream(at, "model", "verify")
        archiving.terminate(30)
        training.terminate(30)
        told = orjson.loads(
            reelstream(at, "forget", OTHER, "--json", "--wait", "3", "--archive", str(archive), status=3)
        )
        assert set(told["left"]["redis"]) == set()
        assert holding(at, archive, OTHER) == {"registry", "archive"}
        with at.process(*trainer) as learning, at.process(*archiver) as filing:
            learning.await_ready()
            filing.await_ready()
            until(lambda: holding(at, archive, OTHER) == set(), 150, learning.said)
            at.send_all("watch-events", [one for k, u in enumerate(people[2:]) for one in walk(u, 6, k, 12)])
            total = (len(people) - 2) * 18
            until(lambda: sum(at.counts("watches").values()) == total, 150, worker.said)
            until(lambda: at.reports("trainer")[0]["rounds"] > 0, 120, learning.said)
            assert holding(at, archive, PERSON) | holding(at, archive, OTHER) == set()
        reelstream(at, "model", "verify")
        reelstream(at, "archive", "verify", "--archive", str(archive))
        reelstream(at, "rebuild", "--no-switch", "--to", urlsplit(beside).path[1:], "--json")
        reelstream(at, "digest", at.settings.redis, beside, "--json")
        with Redis.from_url(beside) as client:
            assert client.keys(f"*{PERSON}*") + client.keys(f"*{OTHER}*") + client.keys("*forgotten:*") == []
