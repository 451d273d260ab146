"""What worker and trainer refuse to start with: one line on stderr and a non-zero status, soon; when they are ready.

Every refusal is tried with real servers, real closed ports, and a real listener that speaks just enough of Redis's
protocol to be an old one.
"""

import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from kafka.admin import KafkaAdminClient
from redis import Redis

from streams.kafka.topics import create_topics
from streams.registry.registry import Registry
from streams.stack.ports import settle_ports
from streams.stack.valkey import Valkey, find_server
from tests.toy import toy_snapshot

WAIT_S = 12.0  # of the 15 s in which a start must be refused; Kafka is given 6, and Redis two attempts of 2
ROLES = ("worker", "trainer")
TS = 1_700_000_000_000


@pytest.fixture(scope="module")
def installation(install):
    """Return an installation with two partitions, with nothing running."""
    return install()


@pytest.fixture
def silent():
    """Return the port of a listener that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class OldRedis(socketserver.StreamRequestHandler):
    """Reads commands as arrays of bulk strings and gives those answers of a Redis 6.2 that matter here."""

    INFO = b"# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\ncluster_enabled:0\r\n"

    def handle(self):
        """Answer HELLO and INFO with the version, anything else with OK."""
        while count := self.rfile.readline():
            words = []
            for _ in range(int(count[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2])
            if words[0].upper() == b"INFO":
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(self.INFO), self.INFO))
            elif words[0].upper() == b"HELLO":
                self.wfile.write(b"%2\r\n$7\r\nversion\r\n$6\r\n6.2.14\r\n$5\r\nproto\r\n:3\r\n")
            else:
                self.wfile.write(b"+OK\r\n")


@pytest.fixture
def old_redis():
    """Return the port of a server that says it is Redis 6.2."""
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), OldRedis) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def locked_redis(tmp_path):
    """Return the port of a Valkey whose password is ``right``."""
    valkey = Valkey(settle_ports(tmp_path / "ports.json", ["valkey"])["valkey"], tmp_path / "valkey", find_server())
    valkey.start()
    try:
        valkey.wait()
        with Redis(port=valkey.port) as client:
            client.config_set("requirepass", "right")
        yield valkey.port
    finally:
        valkey.kill()


@pytest.fixture(scope="module")
def within_s(installation):
    """Return how long a refusal may take here: 15 s where a command starts in half a second, more on a busy machine."""
    began = time.monotonic()
    environment = {**os.environ, **installation.settings.environment()}
    command = [sys.executable, "-m", "reelstream", "health", "worker"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 1
    return WAIT_S + 6 * (time.monotonic() - began)


def refusals(settings, within_s):
    """Start a worker and a trainer together; return status and stderr of each, which must come in time."""
    began = time.monotonic()
    started = {
        role: subprocess.Popen(
            [sys.executable, "-m", "reelstream", role],
            env={**os.environ, **settings.environment()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for role in ROLES
    }
    try:
        said = {role: process.communicate(timeout=within_s)[1] for role, process in started.items()}
        assert time.monotonic() - began < within_s
    finally:
        for process in started.values():
            process.kill()
            process.communicate()
    return {role: (process.returncode, said[role]) for role, process in started.items()}


def assert_refused(settings, within_s, pattern):
    """Assert that both roles end in time, with status 1 and one line that fits the pattern; return the lines."""
    refused = refusals(settings, within_s)
    for role, (status, stderr) in refused.items():
        assert (status, stderr.count("\n")) == (1, 1), (role, stderr)
        assert re.search(pattern, stderr), (role, stderr)
    return [stderr for _, stderr in refused.values()]


def test_a_missing_topic_is_refused(installation, within_s):
    """Under a prefix without topics the line names the topics and the command that creates them."""
    settings = replace(installation.settings, prefix="absent-")
    assert_refused(settings, within_s, r"^reelstream: topics .*absent-watch-events.*`reelstream topics create`")


def test_a_wrong_partition_count_is_refused(installation, within_s):
    """Where topics have two partitions a start with three names both and the variable."""
    settings = replace(installation.settings, partitions=3)
    assert_refused(settings, within_s, r"must have 3 partitions, got 2; set REELSTREAM_PARTITIONS")


def test_an_absent_broker_is_refused(installation, within_s):
    """Where nothing listens the line names the address and the variable."""
    settings = replace(installation.settings, kafka="127.0.0.1:1")
    assert_refused(settings, within_s, r"a Kafka cluster is required at 127\.0\.0\.1:1, .*REELSTREAM_KAFKA")


def test_a_silent_broker_is_refused(installation, within_s, silent):
    """A port that takes the connection and never answers is refused like an absent one."""
    settings = replace(installation.settings, kafka=f"127.0.0.1:{silent}")
    assert_refused(settings, within_s, rf"a Kafka cluster is required at 127\.0\.0\.1:{silent}, ")


def test_an_absent_redis_is_refused(installation, within_s):
    """Where nothing listens the line says so."""
    settings = replace(installation.settings, redis="redis://127.0.0.1:1/0")
    assert_refused(settings, within_s, r"starting: an answer from Redis is required, got ConnectionError")


def test_a_silent_redis_is_refused(installation, within_s, silent):
    """A port that takes the connection and never answers is a timeout."""
    settings = replace(installation.settings, redis=f"redis://127.0.0.1:{silent}/0")
    assert_refused(settings, within_s, r"an answer from Redis is required, got TimeoutError")


def test_an_old_redis_is_refused(installation, within_s, old_redis):
    """A server that calls itself 6.2.14 is refused by version, for want of functions."""
    settings = replace(installation.settings, redis=f"redis://127.0.0.1:{old_redis}/0")
    assert_refused(
        settings, within_s, r"Redis 7 or newer \(or Valkey\) is required for its functions, got version '6\.2\.14'"
    )


@pytest.mark.parametrize(("user", "says"), [(":wrong@", "invalid username-password"), ("", "authenticated")])
def test_a_wrong_or_missing_password_is_refused(installation, within_s, locked_redis, user, says):
    """A Valkey with another password answers why, and the line does not repeat the password."""
    settings = replace(installation.settings, redis=f"redis://{user}127.0.0.1:{locked_redis}/0")
    said = assert_refused(
        settings, within_s, rf"starting: an answer from Redis is required, got AuthenticationError: .*{says}"
    )
    assert all("wrong@" not in stderr for stderr in said)


@pytest.mark.parametrize(("role", "options"), [("worker", ("--id", "same")), ("trainer", ())])
def test_a_second_of_the_same_name_is_refused_until_the_first_is_gone(installation, within_s, role, options, until):
    """While the first lives a second ends with one line that names it; after a kill -9 the next one starts in time."""
    with installation.process(role, *options) as first:
        first.await_ready()
        second = subprocess.run(
            [sys.executable, "-m", "reelstream", role, *options],
            env={**os.environ, **installation.settings.environment()},
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        assert (second.returncode, second.stderr.count("\n")) == (1, 1), second.stderr
        assert f"alive as process {first.child.pid} of host {socket.gethostname()!r}; " in second.stderr
        assert first.child.poll() is None
        first.child.kill()
        first.child.wait()
    with installation.process(role, *options) as third:
        third.await_ready()
        # 0, or 75 of the watchdog where it still waits to join a group of which the killed one is a member.
        assert third.terminate(10) in (0, 75)
    with installation.process(role, *options) as fourth:  # the third let go of the name
        until(lambda: installation.redis.keys(f"alive:id:{role}:*"), within_s, lambda: "a lease, at once")
        fourth.await_ready()


def test_a_worker_that_was_stopped_too_long_ends_when_another_has_its_id(installation):
    """Stopped by SIGSTOP until another took its id, a worker ends with status 70 and one line soon after it goes on."""
    with installation.process("worker", "--id", "sleeper") as first:
        first.await_ready()
        first.child.send_signal(signal.SIGSTOP)
        with installation.process("worker", "--id", "sleeper") as second:
            second.await_ready()
            first.child.send_signal(signal.SIGCONT)
            assert first.child.wait(5) == 70
            lines = [line for line in first.said().splitlines() if line.startswith("reelstream: ")]
            assert len(lines) == 1, first.said()
            assert f"alive as process {second.child.pid}" in lines[0]
            assert second.terminate(10) == 0


def test_one_id_on_two_databases_ends_a_worker(installation, install):
    """Two workers of one group and id on different Redis put each other out of the group; one says so and ends."""
    first, second = (installation.process("worker", "--id", "twin") for _ in range(2))
    second.environment = replace(installation.settings, redis=install().settings.redis).environment()
    with first, second:
        deadline = time.monotonic() + 60
        while first.child.poll() is None and second.child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        ended = first if first.child.poll() is not None else second
        assert ended.child.returncode == 70
        lines = [line for line in ended.said().splitlines() if line.startswith("reelstream: ")]
        assert len(lines) == 1
        assert "must be the only one of its id in its consumer group" in lines[0]


def test_event_topics_made_anew_end_a_worker_and_refuse_the_next(install, within_s):
    """A worker ends with status 70 and a line that names the cure, and the next one with 1 and the same line."""
    installation = install()
    topic = f"{installation.settings.prefix}rate-events"
    with installation.process("worker") as worker:
        worker.await_ready()
        admin = KafkaAdminClient(bootstrap_servers=installation.settings.kafka)
        admin.delete_topics([topic])
        deadline = time.monotonic() + 10
        while admin.describe_topics([topic])[0]["partitions"] and time.monotonic() < deadline:
            time.sleep(0.01)
        admin.close()
        create_topics(installation.settings)
        assert worker.child.wait(20) == 70
        [ended] = [line for line in worker.said().splitlines() if "worker.fatal" in line]
    assert "Traceback" not in worker.said()
    said = ended.partition("in upkeep: ")[2].removesuffix('"')  # of the line's own value
    assert f"{topic} must stay the topic that the state in Redis was made of" in said
    assert_refused(installation.settings, within_s, re.escape(said))


def serve_a_version(installation, items):
    """Put a small network in the registry, point to it, and return its version."""
    version = Registry(installation.settings.registry).save(
        toy_snapshot(items),
        parent=None,
        metrics={"hr@10": 0.5},
        offsets={},
        created_ms=TS,
        seed=1,
        code_revision="test",
    )
    pointer = {"version": version.version_id, "uri": version.uri, "promoted_at": TS}
    installation.redis.hset("model:current", mapping=pointer)
    return version.version_id


def test_a_worker_is_healthy_only_with_its_model_loaded(install):
    """Health says no until the worker is ready; the first sign of life has the version, and so has the first list."""
    # The user's six films are in Kafka before the worker starts, so nothing but the model's state decides the mode.
    installation = install()
    films = [f"i{n}" for n in range(30)]
    version = serve_a_version(installation, films)
    installation.send_all(
        "catalog-items", [(film, {"item_id": film, "title": film, "genres": ["Drama"]}) for film in films]
    )
    watched = [
        ("ann", {"event_id": f"e{n}", "user_id": "ann", "item_id": f"i{n}", "ts": TS + n, "progress": 1.0})
        for n in range(6)
    ]
    installation.send_all("watch-events", watched)

    def healthy():
        command = [sys.executable, "-m", "reelstream", "health", "worker"]
        environment = {**os.environ, **installation.settings.environment()}
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    assert not healthy()
    with installation.process("worker") as worker:
        while not (reports := installation.reports("worker")):
            assert worker.child.poll() is None, worker.said()
            time.sleep(0.02)
        assert reports[0]["model_version"] == version
        worker.await_ready()  # said a moment after the sign of life
        assert healthy()
        found = installation.await_value("recommendations", lambda value: value["sequence"] == 6)
        assert (found["mode"], found["model_version"]) == ("personalized", version)
        assert worker.terminate(10) == 0
