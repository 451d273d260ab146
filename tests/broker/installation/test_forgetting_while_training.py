"""Training from an archive that still holds people who were forgotten, before it began and while it runs."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from commands.study.archived import ArchivedEvents
from streams.archive.parquet import EventArchive, Scan, to_rows
from streams.kafka.topics import create_topics
from streams.records.codec import encode
from streams.records.data_requests import DataRequest
from streams.records.records import Origin, Watch
from streams.registry.registry import Registry
from streams.settings import Settings
from streams.stack import open_stack

BEFORE, MEANWHILE = "Zq7-forgotten-before", "Wm2-forgotten-meanwhile"
ITEMS = [f"i{n}" for n in range(20)]


def forget(at, user_id, n_events):
    """Let the topic say that workers have forgotten a user, with every event of before."""
    offsets = dict.fromkeys(("watch-events", "rate-events", "action-events"), (n_events, 0))
    asked = DataRequest(user_id, f"request-{user_id}", 1).answered(0, offsets)
    at.send_all("data-requests", [(user_id, encode(asked))])


@pytest.fixture
def archived(install):
    """Return an installation, its archive's URL, and how many events of one partition that holds."""
    at = install()
    at.send_all("catalog-items", [(i, {"item_id": i, "title": i, "genres": ["Drama"]}) for i in ITEMS])
    users = [BEFORE, MEANWHILE, *(f"u{n}" for n in range(20))]
    told = [(user, (k + n) % len(ITEMS)) for n in range(12) for k, user in enumerate(users)]
    events = [
        (Origin(f"{at.settings.prefix}watch-events", 0, offset, 1), Watch(f"e{offset}", user, f"i{i}", offset, 1.0))
        for offset, (user, i) in enumerate(told)
    ]
    archive = EventArchive(str(at.folder / "archive"))
    archive.write(Scan(events[0][0].topic, 0, 0, len(events) - 1, "2023-11-14", [to_rows(events)]))
    return at, archive.url, len(events)


def test_nobody_who_was_forgotten_is_in_the_version(archived, until):
    """A row below a forgetting is not learnt, and who is forgotten while it trains is out of what is stored."""
    at, url, n_events = archived
    forget(at, BEFORE, n_events)
    kept = at.folder / "kept"
    options = ("--epochs", "400", "--checkpoint", str(kept), "--quiet", "--json")
    command = [sys.executable, "-m", "reelstream", "train", "--from-archive", url, *options]
    with subprocess.Popen(command, env=os.environ | at.settings.environment(), stdout=subprocess.PIPE) as training:
        until(kept.exists, 60, lambda: "a first epoch")
        forget(at, MEANWHILE, n_events)
        assert training.poll() is None  # it does not know yet
        report = orjson.loads(training.stdout.read())
    assert report["users"] == 21  # all but the one of before
    snapshot, version = Registry(at.settings.registry).load(report["version"])
    assert {BEFORE, MEANWHILE}.isdisjoint(snapshot.users)
    assert sum(user.startswith("forgotten:") for user in snapshot.users) == 1
    assert MEANWHILE.encode() not in b"".join(path.read_bytes() for path in at.folder.rglob("models/**/*.*"))
    assert version.version_id == report["version"]


def test_what_was_trained_waits_for_kafka(tmp_path, topic_prefix, until, capsys):
    """Kafka is away when the version is to be stored: it is asked until it says who was forgotten meanwhile."""
    with open_stack(tmp_path / "own", redis="redis://unused", report=lambda _: None) as stack:
        [broker] = stack.brokers
        settings = Settings(broker.address, "redis://unused", "unused", prefix=topic_prefix, partitions=2)
        create_topics(settings)
        archive, topic = EventArchive(str(tmp_path / "archive")), f"{topic_prefix}watch-events"
        rows = to_rows([(Origin(topic, 0, 0, 1), Watch("e", "ann", "i", 1, 1.0))])
        archive.write(Scan(topic, 0, 0, 0, "2023-11-14", [rows]))
        given = {"kafka": broker.address, "prefix": topic_prefix, "partitions": 2}
        archived = ArchivedEvents(archive.url, None, given)
        assert archived.read().interactions["user_id"].tolist() == ["ann"]
        broker.stop(15.0)
        with ThreadPoolExecutor(1) as beside:
            asking = beside.submit(archived.forgotten_since)
            until(lambda: "waiting for Kafka" in capsys.readouterr().err, 30, lambda: "that it waits")
            broker.restart()
            assert asking.result(60) == {}
