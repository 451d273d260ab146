"""Events that are taken back, through real processes: by id from Kafka, and again in a rebuild, by digest."""

import subprocess
import sys
from urllib.parse import urlsplit

import orjson
import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from streams.archive.parquet import EventArchive
from streams.redis.connection import connect_to_read

ITEMS = [f"i{n}" for n in range(30)]
TS = 1_700_000_000_000
TOPICS = {"watch-events": {"progress": 0.9}, "rate-events": {"rating": 4}, "action-events": {"kind": "hide"}}


def event(number, topic="watch-events", user="ann"):
    """Return topic, key and value of an event."""
    fields = {"event_id": f"e{number}", "user_id": user, "item_id": ITEMS[number % 30], "ts": TS + number * 60_000}
    return topic, user, fields | TOPICS[topic]


def withdrawal(number, topic="watch-events", user="ann"):
    """Return topic, key and value of the withdrawal of that event."""
    fields = {"event_id": f"w{number}", "user_id": user, "ts": TS + number, "withdraws": f"e{number}"}
    return topic, user, fields


def send(installation, *records):
    """Send records and wait until the broker has them; all of a user to one partition."""
    for topic, key, value in records:
        installation.send(topic, key, value)
    installation.producer.flush(30)


def reelstream(installation, *words, status=0):
    """Run a command of this installation to its end and return what it printed as JSON."""
    environment = installation.process("none").environment
    ran = subprocess.run(
        [sys.executable, "-m", "reelstream", *words], env=environment, capture_output=True, check=False, timeout=300
    )
    assert ran.returncode == status, ran.stderr.decode()
    return orjson.loads(ran.stdout)


def rebuild(installation, index, *options, is_alike=True):
    """Rebuild into a database beside the live one, compare the digests, and return its URL."""
    url = urlsplit(installation.settings.redis)._replace(path=f"/{index}").geturl()
    reelstream(installation, "rebuild", "--to", str(index), "--no-switch", *options, "--json")
    found = reelstream(installation, "digest", installation.settings.redis, url, "--json", status=int(not is_alike))
    assert found["equal"] is is_alike, found
    return url


def list_after(installation, sequence, user="ann"):
    """Wait for the list that has seen so much of the user, and return its items."""
    found = installation.await_value(
        "recommendations", lambda value: value["user_id"] == user and value["sequence"] == sequence
    )
    return [one["item_id"] for one in found["items"]]


def users(installation, user="ann"):
    """Return the user's counters as Redis holds them."""
    found = installation.redis.hgetall(f"user:{{{user}}}")
    return {name: int(found.get(name, 0)) for name in ("watches", "ratings", "actions", "withdrawn", "hidden")}


@pytest.fixture
def installation(install):
    """Return an installation with a catalogue."""
    made = install()
    made.send_all("catalog-items", [(item, {"item_id": item, "title": item, "genres": ["Drama"]}) for item in ITEMS])
    return made


@pytest.fixture
def free_database(empty_database):
    """Return a function that gives the number of an unused database."""
    return lambda: int(urlsplit(empty_database()).path[1:])


def test_an_event_is_taken_back_and_a_rebuild_makes_the_same(installation, free_database, until):
    """Events of earlier batches are read again from Kafka; withdrawals bring lists; a rebuild has the same digest."""
    with installation.process("worker") as worker:
        worker.await_ready()
        send(installation, event(0), event(1), event(2, "rate-events"), event(3, "action-events"))
        assert not {"i0", "i1", "i2", "i3"} & set(list_after(installation, 4))
        send(installation, withdrawal(1))
        until(lambda: users(installation)["withdrawn"] == 1, 30, lambda: users(installation))
        send(installation, withdrawal(2, "rate-events"), withdrawal(3, "action-events"), withdrawal(9), event(9))
        until(lambda: users(installation)["withdrawn"] == 3, 30, lambda: users(installation))
        list_after(installation, 7)
        send(installation, event(1), event(4, user="bob"), withdrawal(4, user="bob"), withdrawal(1))
        until(lambda: users(installation, "bob")["withdrawn"] == 1, 30, lambda: users(installation, "bob"))
        assert users(installation) == {"watches": 1, "ratings": 0, "actions": 0, "withdrawn": 3, "hidden": 0}
        assert installation.item_counts("watches") == {"i0": 1}
        assert installation.redis.smembers("user:{ann}:seen") == {"i0"}
        assert worker.child.poll() is None, worker.said()
    rebuild(installation, free_database())


def test_what_kafka_no_longer_holds_comes_from_the_archive(installation, tmp_path, free_database, until):
    """A worker that cannot read the event says so and leaves the sums; a rebuild from the archive takes it back."""
    url = str(tmp_path / "events")
    sent = [event(n, topic) for n, topic in enumerate(["watch-events", "rate-events"] * 10)]
    with installation.process("worker") as worker:
        worker.await_ready()
        send(installation, *sent, withdrawal(0), withdrawal(1, "rate-events"))
        until(lambda: users(installation)["withdrawn"] == 2, 30, lambda: users(installation))
        prefix = installation.settings.prefix
        names = [prefix + topic for topic in TOPICS]
        with installation.process("archiver", "--archive", url, "--every-s", "1") as archiver:
            until(
                lambda: sum(len(batch) for batch in EventArchive(url).read_events()) == len(sent) + 2,
                60,
                lambda: list(EventArchive(url).read_events()),
            )
            archiver.terminate(15)
        rebuild(installation, free_database(), "--from-archive", url)
        admin = KafkaAdminClient(bootstrap_servers=installation.settings.kafka)
        ends = EventArchive(url).ends()
        admin.delete_records(
            {TopicPartition(name, at): end - 1 for name in names for at, end in ends.get(name, {}).items() if end > 1}
        )
        admin.close()
        rebuild(installation, free_database(), "--from-archive", url)
        send(installation, withdrawal(2), event(21))
        until(lambda: users(installation)["watches"] == 10, 30, lambda: users(installation))
        assert (users(installation)["withdrawn"], "worker.withdrawal_unreadable" in worker.said()) == (2, True)
        until(lambda: installation.reports("worker")[0]["unreadable"] == 1, 15, lambda: installation.reports("worker"))
    url = rebuild(installation, free_database(), "--from-archive", url, is_alike=False)
    with connect_to_read(url, prefix=installation.settings.prefix) as client:
        assert (client.hget("user:{ann}", "withdrawn"), client.hget("user:{ann}", "watches")) == ("3", "9")
