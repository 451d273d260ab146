"""The archiver as a process on a real Kafka: killed, shared, suspended, stopped, and with a store that goes away."""

import json
import random
import signal
import threading
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from streams.archive.parquet import EventArchive, Scan
from streams.stack import open_stack

TS = 1_700_000_000_000
OFTEN = ("--every-events", "40", "--every-s", "0.2")
RARELY = ("--every-events", "100000", "--every-s", "3600")


@pytest.fixture
def archiving(install, tmp_path):
    """Return an installation of this test with a folder for its archive."""
    return Archiving(install(), tmp_path)


class Archiving:
    """One installation, its archive, and what should be in it."""

    def __init__(self, installation, folder):
        self.installation = installation
        self.url = str(folder / "events")
        self.archive = EventArchive(self.url)
        self.sent = set()
        self._n = 0

    def archiver(self, *options):
        """Return an archiver, not started yet."""
        return self.installation.process("archiver", "--archive", self.url, *options)

    def send(self, n, partition=None):
        """Send n events of ten users, half of them watches, and return when the broker has them."""
        futures = {}
        for number in range(self._n, self._n + n):
            user, is_watch = f"u{number % 10}", number % 2
            value = {"event_id": f"e{number}", "user_id": user, "item_id": "i", "ts": TS + number}
            value |= {"progress": 0.5} if is_watch else {"rating": 4}
            topic = "watch-events" if is_watch else "rate-events"
            futures[value["event_id"]] = self.installation.send(topic, user, value, partition)
        self._n += n
        self.installation.producer.flush(30)
        for event_id, future in futures.items():
            at = future.get(30)
            self.sent.add((at.topic, at.partition, at.offset, event_id))

    def found(self):
        """Return where each archived event stood and its id, in the order of reading; an event twice is in it twice."""
        return [
            (origin.topic, origin.partition, origin.offset, event.event_id)
            for batch in self.archive.read_events()
            for origin, event in batch
        ]

    def assert_each_once(self):
        """Require that everything sent is archived once, and nothing else is."""
        found = self.found()
        assert len(found) == len(self.sent)
        assert set(found) == self.sent

    def n_archived(self):
        """Return how many events can be read now."""
        return len(self.found())


def test_killed_while_writing_each_event_is_there_once(archiving, until):
    """Killed with SIGKILL among its writes three times, while events come, the archive holds each event once."""
    stopped = threading.Event()

    def keep_sending():
        while not stopped.wait(0.02):
            archiving.send(40)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    chance = random.Random(4)
    try:
        for _ in range(3):
            before = len(archiving.archive.list())
            with archiving.archiver(*OFTEN) as archiver:
                until(lambda at=before: len(archiving.archive.list()) > at + 8, 30, lambda: "files of this archiver")
                stopped.wait(chance.uniform(0, 0.2))
                archiver.child.kill()
                archiver.child.wait()
    finally:
        stopped.set()
        sender.join()
    with archiving.archiver(*OFTEN):
        until(lambda: archiving.n_archived() >= len(archiving.sent), 30, archiving.n_archived)
    archiving.assert_each_once()


def test_two_archivers_share_through_rebalances(archiving, until):
    """While a second archiver comes and the first goes, events go on, and each is archived once."""
    with archiving.archiver(*OFTEN) as first:
        first.await_saying("archiver.placed 6 partitions")
        archiving.send(500)
        with archiving.archiver(*OFTEN) as second:
            second.await_saying("archiver.placed")
            archiving.send(500)
            assert first.terminate(10) == 0
            archiving.send(500)
            until(lambda: archiving.n_archived() >= 1500, 40, archiving.n_archived)
            assert second.terminate(10) == 0
    archiving.assert_each_once()


def test_one_that_was_declared_dead_writes_late_and_nothing_is_twice(archiving, until):
    """An archiver suspended past its session writes late what another has archived: files overlap, reading does not."""
    with archiving.archiver(*RARELY) as suspended:
        suspended.await_saying("archiver.placed 6 partitions")
        archiving.send(400)
        until(lambda: pending(archiving) == 400, 20, lambda: pending(archiving))
        suspended.child.send_signal(signal.SIGSTOP)
        with archiving.archiver(*OFTEN) as other:
            other.await_saying("archiver.placed 6 partitions")
            until(lambda: archiving.n_archived() == 400, 30, archiving.n_archived)
            archiving.send(100)
            before = len(archiving.archive.list())
            suspended.child.send_signal(signal.SIGCONT)
            assert suspended.terminate(12) == 0
            until(lambda: archiving.n_archived() >= 500, 40, archiving.n_archived)
            assert len(archiving.archive.list()) > before
            assert other.terminate(10) == 0
    archiving.assert_each_once()


def pending(archiving):
    """Return how many records the archivers say that they hold in memory."""
    return sum(report.get("pending", 0) for report in archiving.installation.reports("archiver"))


def test_bad_records_and_duplicates_are_left_out(archiving, until):
    """Of 300 records 100 are bad and 50 sent twice: 150 are archived, also when the retries come after a restart."""
    archiving.send(100)
    for _ in range(100):
        archiving.installation.send("watch-events", "u1", b"?")
    archiving._n = 50  # the same ids as the last 50 of the first 100
    known = set(archiving.sent)
    with archiving.archiver(*OFTEN) as archiver:
        until(lambda: archiving.n_archived() == 100, 30, archiving.n_archived)
        assert archiver.terminate(10) == 0
    archiving.send(100)  # 50 known ids, 50 new ones
    ids = {event_id for *_, event_id in known}
    archiving.sent = known | {one for one in archiving.sent if one[3] not in ids}
    with archiving.archiver(*OFTEN) as archiver:
        until(lambda: archiving.n_archived() >= 150, 30, archiving.n_archived)
        assert archiver.terminate(10) == 0
    archiving.assert_each_once()
    status, report = verified(archiving)
    assert (status, report["whole"], report["events"]) == (0, True, 150)
    assert (report["rejected"], report["duplicates"]) == (100, 50)
    assert totals(report) == {"compared": 150, "waiting": 0, "missing": 0, "different": 0}


def verified(archiving):
    """Return the exit status and the report of ``archive verify`` beside Kafka."""
    archive = ("archive", "verify", "--archive", archiving.url, "--json")
    with archiving.installation.process(*archive) as process:
        status = process.child.wait(60)
    return status, json.loads(process.said())


def totals(report):
    """Return the sums over all partitions of what was compared with the topics."""
    return {
        name: sum(one[name] for one in report["topics"]) for name in ("compared", "waiting", "missing", "different")
    }


def test_a_lost_file_is_seen(archiving, until):
    """Verify exits with 1 and tells the range and the events of a deleted second file, and the events of a first."""
    with archiving.archiver(*OFTEN) as archiver:
        for n in (1, 2, 3):
            archiving.send(200, partition=0)
            until(lambda at=n: archiving.n_archived() == 200 * at, 30, archiving.n_archived)
        assert archiver.terminate(10) == 0
    assert verified(archiving)[0] == 0
    files = [one for one in archiving.archive.list() if one.topic.endswith("watch-events")]
    lost = files[1]
    Path(lost.path).unlink()
    status, report = verified(archiving)
    assert (status, report["whole"]) == (1, False)
    assert [one["gaps"] for one in report["partitions"] if one["gaps"]] == [[[lost.first, lost.last]]]
    assert totals(report)["missing"] == lost.last - lost.first + 1
    Path(files[0].path).unlink()  # nothing in the archive says that there was one: Kafka does
    status, report = verified(archiving)
    assert (status, report["whole"]) == (1, False)
    assert [one["gaps"] for one in report["partitions"] if one["gaps"]] == []
    assert totals(report)["missing"] == lost.last - files[0].first + 1


def test_a_torn_newest_file_ends_the_archiver_in_one_line(archiving, until):
    """Where the newest file is torn nobody knows what is a duplicate: the archiver says which, and exits with 1."""
    with archiving.archiver(*OFTEN) as archiver:
        archiving.send(100, partition=0)
        until(lambda: archiving.n_archived() == 100, 30, archiving.n_archived)
        assert archiver.terminate(10) == 0
    path = Path(archiving.archive.list()[-1].path)
    path.write_bytes(path.read_bytes()[:-1])
    with archiving.archiver(*OFTEN) as archiver:
        assert archiver.child.wait(30) == 1
        [line] = [line for line in archiver.said().splitlines() if "INFO" not in line]
    assert line.startswith(f"reelstream: archive: {path} must be a whole file")
    assert verified(archiving)[0] == 1


def test_records_deleted_before_they_were_archived_are_told(archiving, until):
    """Where retention was faster than the archiver the gap is logged and verified, and archiving goes on behind it."""
    with archiving.archiver(*OFTEN) as archiver:
        archiving.send(100, partition=0)
        until(lambda: archiving.n_archived() == 100, 30, archiving.n_archived)
        assert archiver.terminate(10) == 0
    archiving.send(100, partition=0)
    topic = archiving.installation.settings.prefix + "watch-events"
    admin = KafkaAdminClient(bootstrap_servers=archiving.installation.settings.kafka)
    admin.delete_records({TopicPartition(topic, 0): 70})
    admin.close()
    with archiving.archiver(*OFTEN) as archiver:
        until(lambda: archiving.n_archived() == 180, 30, archiving.n_archived)
        assert (
            f"events.lost archiver: 20 offsets of {topic}[0] from 50 on are no longer in the topic" in archiver.said()
        )
        lost = lambda: {report["lost"] for report in archiving.installation.reports("archiver")}  # noqa: E731 - asked again
        until(lambda: lost() == {0, 20}, 10, lost)  # the first one's last sign has not expired
        assert archiver.terminate(10) == 0
    archiving.sent = {one for one in archiving.sent if one[0] != topic or not 50 <= one[2] < 70}
    archiving.assert_each_once()
    status, report = verified(archiving)
    assert (status, [one["gaps"] for one in report["partitions"] if one["gaps"]]) == (1, [[[50, 69]]])


def test_another_topic_of_the_same_name_is_refused(archiving):
    """An archive that is ahead of the topic is of a topic that was made anew: one line says so, and exit status 1."""
    topic = archiving.installation.settings.prefix + "watch-events"
    archiving.archive.write(Scan(topic, 1, 0, 999, "2023-11-14", ()))
    with archiving.archiver(*OFTEN) as archiver:
        assert archiver.child.wait(30) == 1
        [line] = [line for line in archiver.said().splitlines() if "INFO" not in line]
    assert line.startswith(
        f"reelstream: archiver: {topic}/1 must go on at offset 1000, where {archiving.url} ends, got 0"
    )


def test_a_topic_of_another_id_is_refused_however_long_it_is(archiving, until):
    """Its own files say of which topic they are; of another one the archiver takes nothing, and exits with 1."""
    with archiving.archiver(*OFTEN) as archiver:
        archiving.send(40, partition=0)
        until(lambda: archiving.n_archived() == 40, 30, archiving.n_archived)
        assert archiver.terminate(10) == 0
    newest = archiving.archive.list()[-1]
    own = archiving.archive.topic_id([newest])
    archiving.archive.write(
        Scan(newest.topic, 0, newest.last + 1, newest.last + 1, newest.date, (), topic_id="another")
    )
    archiving.send(40, partition=0)
    with archiving.archiver(*OFTEN) as archiver:
        assert archiver.child.wait(30) == 1
        [line] = [line for line in archiver.said().splitlines() if "INFO" not in line]
    assert f"got a topic of another id ({own}, not another)" in line


def test_sigterm_writes_what_is_pending(archiving, until):
    """Stopped long before a file is due, the archiver writes what it holds and exits with 0 within ten seconds."""
    with archiving.archiver(*RARELY) as archiver:
        archiver.await_saying("archiver.placed 6 partitions")
        archiving.send(300)
        until(lambda: pending(archiving) == 300, 20, lambda: pending(archiving))
        assert archiving.archive.list() == ()
        assert archiver.terminate(10) == 0
        assert "Traceback" not in archiver.said()
    archiving.assert_each_once()


def test_a_store_that_is_away_is_waited_for(archiving, until):
    """While the folder cannot be written the archiver says so and lives on; when it can, everything is archived."""
    obstacle = Path(archiving.url)
    with archiving.archiver(*OFTEN) as archiver:
        archiver.await_saying("archiver.placed 6 partitions")
        obstacle.write_text("a file where the folder belongs")
        archiving.send(200)
        archiver.await_saying("archive.away archive:")
        obstacle.unlink()
        archiver.await_saying("archive.back")
        until(lambda: archiving.n_archived() >= 200, 30, archiving.n_archived)
        assert archiver.terminate(10) == 0
    archiving.assert_each_once()


def test_a_store_that_stays_away_does_not_delay_the_end(archiving, until):
    """With the store still away SIGTERM ends the archiver with 0 within ten seconds, and the next one reads again."""
    obstacle = Path(archiving.url)
    with archiving.archiver(*OFTEN) as archiver:
        archiver.await_saying("archiver.placed 6 partitions")
        obstacle.write_text("a file where the folder belongs")
        archiving.send(200)
        archiver.await_saying("archive.away archive:")
        assert archiver.terminate(10) == 0
        assert "archive.left" in archiver.said()
    obstacle.unlink()
    with archiving.archiver(*OFTEN) as archiver:
        until(lambda: archiving.n_archived() >= 200, 30, archiving.n_archived)
        assert archiver.terminate(10) == 0
    archiving.assert_each_once()


def test_a_broker_that_comes_back_is_waited_for(install, tmp_path, until):
    """Killed with SIGKILL and started again, the broker costs the archiver neither its life nor an event."""
    with open_stack(tmp_path / "stack") as stack:
        installation = install(kafka=stack.addresses.kafka, redis=f"{stack.addresses.redis}/0")
        archiving = Archiving(installation, tmp_path)
        with archiving.archiver(*OFTEN) as archiver:
            archiver.await_saying("archiver.placed 6 partitions")
            archiving.send(200)
            until(lambda: archiving.n_archived() == 200, 30, archiving.n_archived)
            installation.producer.close(10)  # it does not outlive its broker well
            [broker] = stack.brokers
            broker.kill()
            broker.restart()
            installation.producer = KafkaProducer(bootstrap_servers=stack.addresses.kafka, acks="all")
            archiving.send(200)
            installation.producer.close(10)
            until(lambda: archiving.n_archived() == 400, 60, archiving.n_archived)
            assert archiver.terminate(10) == 0
            assert "Traceback" not in archiver.said()
        archiving.assert_each_once()


def test_redis_is_not_needed(archiving, until):
    """Without a Redis the archiver says so in one line and archives all the same."""
    with archiving.archiver(*OFTEN, "--redis", "redis://127.0.0.1:1/0") as archiver:
        archiving.send(100)
        until(lambda: archiving.n_archived() >= 100, 30, archiving.n_archived)
        archiver.await_saying("redis.unavailable archiver")
        assert archiver.terminate(10) == 0
        assert archiver.said().count("redis.unavailable archiver") == 1
    archiving.assert_each_once()


def test_an_absent_kafka_is_one_line(archiving):
    """Where no Kafka listens at the start the archiver says so in one line and exits with 1."""
    with archiving.archiver("--kafka", "127.0.0.1:1") as archiver:
        assert archiver.child.wait(40) == 1
        [line] = archiver.said().splitlines()
    assert line.startswith("reelstream: topics: a Kafka cluster is required at 127.0.0.1:1")
