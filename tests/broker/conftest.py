"""What the tests of whole processes share: an installation of their own, and processes that end with their test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.contracts.checking import breaches
from streams.kafka.topics import create_topics
from streams.redis.connection import connect_to_read
from streams.security import KafkaSecurity
from streams.settings import Settings
from tests.broker.forking import Forker

START_S = 60.0  # importing torch takes seconds on a busy machine
BUSY = 3  # times as long may take on a busy machine what a test expects within some time


@dataclass
class Process:
    """A ``reelstream`` process with its log; used as a context it is dead at the end.

    It is forked, or without a forker has an interpreter of its own.
    """

    arguments: list[str]
    environment: Mapping[str, str]
    log: Path
    forker: Forker | None
    child: Any = field(default=None)

    def __enter__(self):
        """Start."""
        environment = {**os.environ, **self.environment}
        with self.log.open("ab") as log:
            if self.forker:
                self.child = self.forker.start(self.arguments, environment, self.log)
            else:
                command = [sys.executable, "-m", "reelstream", *self.arguments]
                self.child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        """Kill whatever still runs."""
        self.child.kill()
        self.child.wait()

    def said(self):
        """Return the log so far."""
        return self.log.read_text(errors="replace")

    def await_ready(self):
        """Wait until the process says that it is ready."""
        self.await_saying(f"{self.arguments[0]}.ready")

    def await_saying(self, words):
        """Wait until the log holds these words; fail with the log if the process ends first."""

        def there():
            assert self.child.poll() is None, self.said()
            return words in self.said()

        await_until(there, START_S, lambda: f"{words!r} in\n{self.said()}")

    def terminate(self, within_s):
        """Send SIGTERM and return the exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self.end(within_s)

    def end(self, within_s):
        """Return the exit status; fail if it takes longer, not counting what a busy machine makes its threads wait."""
        began, waited_s, withheld_s = time.monotonic(), 0.0, self._withheld_s()
        while self.child.poll() is None:
            waited_s = max(waited_s, self._withheld_s() - withheld_s)
            took_s = time.monotonic() - began
            assert took_s < within_s + waited_s, f"not ended after {took_s:.1f} s:\n{self.said()}"
            time.sleep(0.05)
        return self.child.returncode

    def _withheld_s(self):
        """Return for how long its threads could have run, but had no core, by the kernel's own count (Linux)."""
        delay_ns = 0
        for thread in Path(f"/proc/{self.child.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # that thread has ended
                delay_ns += int(thread.read_text().split()[1])
        return delay_ns / 1e9


class Installation:
    """Topics, a Redis database and a registry that one test, or one module, has to itself."""

    def __init__(self, settings, folder, forker):
        self.settings = settings
        self.folder = folder
        self._forker = forker
        self.redis = connect_to_read(settings.redis, prefix=settings.prefix)
        security = settings.security.kafka_python()
        self.producer = KafkaProducer(bootstrap_servers=settings.kafka, acks="all", linger_ms=5, **security)
        self._consumers = {}
        self._found = {}
        self._processes = 0

    def close(self):
        """Disconnect."""
        self.redis.close()
        self.producer.close()
        for consumer in self._consumers.values():
            consumer.close()

    def process(self, *arguments, is_forked=True):
        """Return a process of this installation, not started yet."""
        self._processes += 1
        log = self.folder / f"{arguments[0]}-{self._processes}.log"
        forker = self._forker if is_forked else None
        return Process(list(arguments), self.settings.environment(), log, forker)

    def send(self, topic, key, value, partition=None):
        """Send one record and return the future of its metadata; a mapping becomes JSON."""
        body = orjson.dumps(value) if isinstance(value, dict) else value
        name = self.settings.prefix + topic
        return self.producer.send(name, key=key and key.encode(), value=body, partition=partition)

    def send_all(self, topic, records):
        """Send pairs of key and value, and return when the broker has them."""
        for key, value in records:
            self.send(topic, key, value)
        self.producer.flush(30)

    def records(self, topic):
        """Return every record of a topic so far, in order of arrival within each partition."""
        name = self.settings.prefix + topic
        if topic not in self._consumers:
            security = self.settings.security.kafka_python()
            consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka, auto_offset_reset="earliest", **security)
            places = [TopicPartition(name, partition) for partition in consumer.partitions_for_topic(name)]
            consumer.assign(places)
            self._consumers[topic], self._found[topic] = consumer, []
        consumer = self._consumers[topic]
        ends = consumer.end_offsets(consumer.assignment())
        while any(consumer.position(at) < end for at, end in ends.items()):
            for batch in consumer.poll(timeout_ms=50).values():
                self._found[topic] += batch
        return self._found[topic]

    def values(self, topic):
        """Return the JSON of every record of a topic so far."""
        return [orjson.loads(record.value) for record in self.records(topic)]

    def breaches(self, topic):
        """Return where the records of a topic break its contract."""
        return breaches(topic, self.records(topic))

    def await_value(self, topic, wanted, within_s=30.0):
        """Wait for the first record of a topic whose JSON fulfils a condition, and return the JSON."""
        found = []

        def there():
            found[:] = [value for value in self.values(topic) if wanted(value)]
            return bool(found)

        await_until(there, within_s, lambda: f"a record on {topic}; the last are {self.values(topic)[-3:]}")
        return found[0]

    def reports(self, role):
        """Return the latest signs of life of a role."""
        keys = self.redis.scan_iter(f"alive:{role}:*", count=1000)  # of every primary, where KEYS asks one
        return [orjson.loads(self.redis.get(key) or "{}") for key in keys]

    def await_training(self):
        """Wait until a trainer says that it is training."""
        await_until(
            lambda: any(report.get("training") for report in self.reports("trainer")),
            60,
            lambda: f"a trainer that trains, got {self.reports('trainer')}",
        )

    def counts(self, field):
        """Return a counter of every user in Redis: ``watches`` or ``ratings``."""
        users = [key for key in self.redis.scan_iter("user:{*}", count=1000) if key.endswith("}")]
        return {key[6:-1]: int(self.redis.hget(key, field) or 0) for key in users}

    def item_counts(self, field):
        """Return a counter of every item in Redis, summed over the partitions as docs/reference/redis.md says."""
        total = {}
        for partition in range(self.settings.partitions):
            for item, n in self.redis.hgetall(f"items:{{p{partition}}}:{field}").items():
                total[item] = total.get(item, 0) + int(n)
        return total


def await_until(condition, within_s, wanted):
    """Poll until a condition holds; fail with what was wanted when it took ``BUSY`` times as long as expected."""
    deadline = time.monotonic() + BUSY * within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {BUSY} times {within_s} s: {wanted()}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def until():
    """Return the function that polls a condition until a deadline."""
    return await_until


@pytest.fixture(scope="session")
def forker():
    """Return what the processes of this session are forked from."""
    made = Forker()
    yield made
    made.close()


@pytest.fixture(scope="module")
def install(stack, forker, _databases, tmp_path_factory):
    """Return a function that makes an installation with two partitions and empty state, on given servers or ours."""
    made = []

    def make(kafka=stack.kafka, redis=None, security=None):
        url = redis or urlsplit(stack.redis)._replace(path=f"/{next(_databases)}").geturl()
        folder = tmp_path_factory.mktemp("installation")
        prefix = f"t{os.getpid()}-{folder.name}-"
        security = security or KafkaSecurity()
        settings = Settings(kafka, url, str(folder / "models"), prefix=prefix, partitions=2, security=security)
        create_topics(settings)
        made.append(Installation(settings, folder, forker))
        made[-1].redis.flushdb()
        return made[-1]

    yield make
    for installation in made:
        installation.close()
