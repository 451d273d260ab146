"""How worker and trainer end: in order while they can, and by their watchdog where a server holds them up."""

import signal
import threading
import time
from contextlib import contextmanager, suppress
from itertools import count

import orjson
import pytest
from confluent_kafka import Producer

from streams.stack import open_stack

FILMS = [f"i{n}" for n in range(30)]
TS = 1_700_000_000_000
WITHIN_S = 10.0
DRAINED, HUNG = 0, 75  # EX_TEMPFAIL of sysexits
TRAINING = ("--first-events", "4000", "--every-events", "4000")


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory):
    """Return a stack of this module's own."""
    with open_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def parts(own_stack):
    """Return that stack, whose parts may be paused and killed: after the test they serve again."""
    yield own_stack
    for part in own_stack.servers:
        if part.identity is None:
            part.restart()
        else:
            part.resume()


@pytest.fixture
def installation(install, parts):
    """Return an installation on that stack, with a catalogue."""
    installation = install(kafka=parts.addresses.kafka, redis=f"{parts.addresses.redis}/0")
    installation.send_all(
        "catalog-items", [(film, {"item_id": film, "title": film, "genres": ["Drama"]}) for film in FILMS]
    )
    installation.producer.close(10)  # it does not outlive its broker as well as librdkafka does
    return installation


def watch(n):
    """Return key and value of the n-th watch of an endless stream over 200 users."""
    user = f"u{n % 200}"
    film = FILMS[n * 7 % 30]
    return user, {"event_id": f"e{n}", "user_id": user, "item_id": film, "ts": TS + n, "progress": 1.0}


def produce(producer, installation, n):
    """Hand over the n-th watch."""
    user, value = watch(n)
    producer.produce(f"{installation.settings.prefix}watch-events", key=user, value=orjson.dumps(value))
    producer.poll(0)


@contextmanager
def load(installation, per_s=300):
    """Send a steady stream during the block, however the servers fare."""
    ended = threading.Event()
    producer = Producer({"bootstrap.servers": installation.settings.kafka, "log_level": 0})

    def send():
        for n in count():
            if ended.wait(1 / per_s):
                return
            with suppress(BufferError):  # a broker that is away is what some tests are about
                produce(producer, installation, n)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        producer.purge()


def under_way(installation, role, until):
    """Wait until a worker applies events, or a trainer trains."""
    if role == "worker":
        until(lambda: sum(installation.counts("watches").values()) > 100, 30, lambda: "events applied")
    else:
        producer = Producer({"bootstrap.servers": installation.settings.kafka})
        for n in range(100_000, 106_000):
            produce(producer, installation, n)
        assert producer.flush(30) == 0
        installation.await_training()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("role", "options"), [("worker", ("--id", "w")), ("trainer", TRAINING)])
def test_a_signal_under_load_ends_in_order(installation, role, options, sign, until):
    """In the middle of a stream, or of a training, both signals end with status 0 in time and without a traceback."""
    # What was not acknowledged is not lost: the next worker goes on, without waiting for the name or the
    # partitions.
    with installation.process(role, *options) as process:
        process.await_ready()
        with load(installation):
            under_way(installation, role, until)
            process.child.send_signal(sign)
            assert process.end(WITHIN_S) == DRAINED
        assert "Traceback" not in process.said()
    assert not installation.redis.keys(f"alive:id:{role}:*")


def broker_paused(parts):
    """Stop the broker from running."""
    parts.brokers[0].pause()


def broker_dead(parts):
    """Kill the broker."""
    parts.brokers[0].kill()


def redis_paused(parts):
    """Stop Redis from running."""
    parts.valkey.pause()


@pytest.mark.parametrize("trouble", [redis_paused, broker_paused, broker_dead])
@pytest.mark.parametrize(("role", "options"), [("worker", ("--id", "w")), ("trainer", TRAINING)])
def test_a_signal_while_a_server_is_away_ends_all_the_same(installation, parts, role, options, trouble, until):
    """With Redis or the broker paused or dead under load, SIGTERM ends the process within ten seconds."""
    # Status 0 where nothing was held up, else 75 of the watchdog: both say that the process may be started again.
    with installation.process(role, *options) as process:
        process.await_ready()
        with load(installation):
            under_way(installation, role, until)
            trouble(parts)
            time.sleep(2.0)  # so that it is in the middle of a call
            process.child.send_signal(signal.SIGTERM)
            assert process.end(WITHIN_S) in (DRAINED, HUNG), process.said()
