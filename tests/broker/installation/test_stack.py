"""The local stack with real servers: what survives, what recovers, and that nothing is left behind."""

import gc
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.record.util import calc_crc32c
from redis import Redis

from streams.errors import StackError
from streams.stack import Broker, open_stack, running_stack
from streams.stack.jars import find_class_path, find_java
from streams.stack.kafka import Node, format_storage, serving_nodes
from streams.stack.ports import is_free, settle_ports
from streams.stack.process import wait_until
from streams.stack.state import read_note

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends servers at their owner's kill -9")


@pytest.fixture(autouse=True)
def _collect_lost_sockets():
    """Collect, where the warning is ignored, the sockets that kafka-python drops when a broker refuses it."""
    yield
    gc.collect()


def quiet(_line):
    """Take a line of progress and do nothing with it."""


def create(address, topic, copies=1):
    """Create a topic of one partition."""
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=copies)])
    admin.close()


def produce(address, topic, values):
    """Produce values and wait until all in-sync copies have them."""
    producer = KafkaProducer(bootstrap_servers=address, acks="all", delivery_timeout_ms=60_000)
    for sent in [producer.send(topic, value) for value in values]:
        sent.get(60)
    producer.close()


def consume(address, topic, n):
    """Return the first n values of a topic."""
    consumer = KafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
    values = [record.value for _, record in zip(range(n), consumer, strict=False)]
    consumer.close()
    return values


def command_line(*words, **more):
    """Return how to run ``reelstream stack`` with neither address in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REELSTREAM_")}
    return {"args": [sys.executable, "-m", "reelstream", "stack", *words], "cwd": ROOT, "env": environment, **more}


def stack_command(*words):
    """Run ``reelstream stack`` to its end and return what it printed and its exit status."""
    return subprocess.run(
        **command_line(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )


def pids_with(text):
    """Return the processes whose command line holds a text, such as a data folder."""
    found = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if text in line and "ps -A" not in line]


def owner_of_stack(data):
    """Start a Python process that runs a stack on a folder until it is told to end."""
    program = (
        "import signal, sys; from pathlib import Path; from streams.stack import running_stack\n"
        "with running_stack(Path(sys.argv[1])) as addresses:\n"
        "    print(addresses, flush=True)\n"
        "    signal.pause()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def test_everything_survives_down_and_up(tmp_path):
    """Records, keys and addresses are the same after a clean stop and a new start on the folder."""
    with running_stack(tmp_path, report=quiet) as first:
        create(first.kafka, "films")
        produce(first.kafka, "films", [b"Sneakers", b"Heat"])
        with Redis.from_url(first.redis) as client:
            client.set("film", "Sneakers")
    assert not pids_with(str(tmp_path))
    with running_stack(tmp_path, report=quiet) as second:
        assert second == first
        assert consume(second.kafka, "films", 2) == [b"Sneakers", b"Heat"]
        with Redis.from_url(second.redis) as client:
            assert client.get("film") == b"Sneakers"


def test_broker_comes_back_after_a_kill(tmp_path):
    """A broker killed with -9 and restarted on its port has every acknowledged record; paused, it is silent."""
    with open_stack(tmp_path, redis="redis://unused", report=quiet) as stack:
        (broker,) = stack.brokers
        create(stack.addresses.kafka, "films")
        produce(stack.addresses.kafka, "films", [b"%d" % i for i in range(100)])
        broker.kill()
        assert serving_nodes(broker.node.port) == frozenset()
        broker.restart()
        assert consume(stack.addresses.kafka, "films", 100) == [b"%d" % i for i in range(100)]
        broker.pause()
        assert serving_nodes(broker.node.port) == frozenset()
        broker.resume()
        broker.wait()


def test_three_brokers_survive_the_loss_of_one(tmp_path):
    """Of three brokers one can be killed: writes to all in-sync copies go on, and it joins again when restarted."""
    with open_stack(tmp_path, brokers=3, redis="redis://unused", report=quiet) as stack:
        assert serving_nodes(stack.brokers[0].node.port) == {1, 2, 3}
        create(stack.addresses.kafka, "films", copies=3)
        produce(stack.addresses.kafka, "films", [b"before"])
        stack.brokers[1].kill()
        produce(stack.addresses.kafka, "films", [b"meanwhile"])
        stack.brokers[1].restart()
        stack.brokers[1].wait_for_all()
        assert consume(stack.brokers[1].address, "films", 2) == [b"before", b"meanwhile"]
    with pytest.raises(StackError, match="must have 3 brokers, got 1"), running_stack(tmp_path, report=quiet):
        pass


def test_broker_on_a_taken_port(tmp_path):
    """A broker whose port is taken is an error that ends with Kafka's own words."""
    ports = settle_ports(tmp_path / "ports.json", ["taken", "controller"])
    node = Node(1, ports["taken"], ports["controller"])
    java, class_path = find_java(), find_class_path(None, quiet)
    broker = Broker(node, [node], tmp_path / "kafka-1", java, class_path)
    format_storage([broker], tmp_path / "cluster-id", java, class_path)
    with socket.create_server(("127.0.0.1", node.port)), pytest.raises(StackError) as raised:
        _start_and_wait(broker)
    assert "kafka-1 did not start" in str(raised.value)
    assert "exit status 1" in str(raised.value)
    assert "Address already in use" in str(raised.value)


def _rewrite(file, before, after):
    """Replace bytes in a file of record batches, and give each batch the checksum of what it holds then."""
    data, at = bytearray(file.read_bytes()), 0
    assert data.count(before) == 1
    data[data.index(before) : data.index(before) + len(before)] = after
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at + 8)
        struct.pack_into(">I", data, at + 17, calc_crc32c(bytes(data[at + 21 : at + 12 + size])))
        at += 12 + size
    file.write_bytes(data)


LEVEL_29, LEVEL_30 = (b"\x11metadata.version\x00" + bytes([level]) for level in (29, 30))  # of Kafka 4.2 and 4.3
BROKER_3, BROKER_9 = (b"\x01\x00" + bytes([version]) + b"\x00\x00\x00\x01" for version in (3, 9))  # of node 1


@pytest.mark.parametrize(
    ("served", "file", "ours", "newer", "word"),
    [
        (False, "bootstrap.checkpoint", LEVEL_29, LEVEL_30, r"featureLevel=30\), but"),
        (True, "__cluster_metadata-0/00000000000000000000.log", BROKER_3, BROKER_9, "Can't read version 9 of "),
    ],
)
def test_data_of_a_newer_kafka(tmp_path, served, file, ours, newer, word):
    """A folder that a newer Kafka formatted, or served from, is refused with the cure, and stays as it is."""
    with open_stack(tmp_path, redis="redis://unused", report=quiet):
        pass
    data = tmp_path / "kafka-1" / "log"
    if not served:
        shutil.rmtree(data / "__cluster_metadata-0")
    _rewrite(data / file, ours, newer)
    before = (data / file).read_bytes()
    with pytest.raises(StackError, match=word) as raised, running_stack(tmp_path, redis="redis://unused", report=quiet):
        pass
    assert f"kafka-1 did not start: {str(data)!r} must have been written by the Apache Kafka" in str(raised.value)
    assert "set KAFKA_HOME to an unpacked Apache Kafka of the version that wrote it" in str(raised.value)
    assert (data / file).read_bytes() == before


def _start_and_wait(server):
    server.start()
    server.wait()


@linux_only
def test_killed_owner_leaves_nothing(tmp_path):
    """After kill -9 of a process that used the stack, no server of it stays, and the folder can be used at once."""
    with owner_of_stack(tmp_path) as owner:
        assert "127.0.0.1" in owner.stdout.readline()
        note = read_note(tmp_path)
        owner.kill()
        owner.wait()
        assert len(note.parts) == 2
        assert wait_until(lambda: not pids_with(str(tmp_path)), 15.0)


@pytest.mark.parametrize("after", ["kafka-1", "stack.json"])
def test_interrupted_start_leaves_nothing(tmp_path, after):
    """Ctrl-C while storage is formatted, and while the servers start, ends with nothing left running."""
    with owner_of_stack(tmp_path) as owner:
        assert wait_until((tmp_path / after).exists, 60.0)
        os.killpg(owner.pid, signal.SIGINT)
        _, errors = owner.communicate(timeout=60)
        assert "KeyboardInterrupt" in errors
    # A process that is just being forked does not take the signal; formatting ends by itself.
    assert wait_until(lambda: not pids_with(str(tmp_path)), 15.0)


def test_up_status_down(tmp_path):
    """The commands start a stack that outlives them, find it again at the same addresses, and end it."""
    data = ["--data", str(tmp_path)]
    assert stack_command("status", *data).returncode == 3
    up = stack_command("up", *data, "--json")
    assert up.returncode == 0, up.stderr
    addresses = json.loads(up.stdout)
    assert addresses.keys() == {"kafka", "redis"}
    with Redis.from_url(addresses["redis"]) as client:
        assert client.ping()
    assert json.loads(stack_command("up", *data, "--json").stdout) == addresses
    status = stack_command("status", *data, "--json")
    assert status.returncode == 0
    assert json.loads(status.stdout) == addresses | {"parts": {"kafka-1": True, "valkey": True}}
    assert stack_command("down", *data).returncode == 0
    assert not pids_with(str(tmp_path))
    assert stack_command("status", *data).returncode == 3
    assert is_free(int(addresses["redis"].rpartition(":")[2]))


def test_two_ups_at_once_share_a_stack(tmp_path):
    """Two commands that start the same folder at the same time end with the same addresses."""
    words = command_line("up", "--json", "--data", str(tmp_path), "--kafka", "k:1")
    both = [subprocess.Popen(**words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    first, second = (up.communicate(timeout=60)[0] for up in both)
    assert json.loads(first) == json.loads(second)
    assert stack_command("down", "--data", str(tmp_path)).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("after", ["keeper.log", "stack.json"])
def test_interrupted_up_leaves_nothing(tmp_path, number, after):
    """Ctrl-C or kill -9 of up, before its keeper has announced the stack, ends the keeper and its servers too."""
    words = command_line("up", "--data", str(tmp_path), "--redis", "redis://unused", process_group=0)
    with subprocess.Popen(**words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        assert wait_until((tmp_path / after).exists, 60.0)
        os.killpg(up.pid, number)
        assert up.wait(60) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert wait_until(lambda: not pids_with(str(tmp_path)), 60.0)
    assert read_note(tmp_path) is None


@linux_only
def test_killed_keeper_leaves_nothing(tmp_path):
    """After kill -9 of the keeper no server stays, status says so, and up works on the same addresses."""
    data = ["--data", str(tmp_path), "--kafka", "k:1"]
    up = stack_command("up", *data, "--json")
    os.kill(read_note(tmp_path).owner.pid, signal.SIGKILL)
    assert wait_until(lambda: not pids_with(str(tmp_path)), 15.0)
    assert stack_command("status", *data[:2]).returncode == 3
    assert stack_command("up", *data, "--json").stdout == up.stdout
    assert stack_command("down", *data[:2]).returncode == 0


def test_lost_part_is_told(tmp_path):
    """When one server has ended, status says which with exit status 3, and up refuses with the cure."""
    data = ["--data", str(tmp_path), "--kafka", "k:1"]
    assert stack_command("up", *data).returncode == 0
    (part,) = read_note(tmp_path).parts
    part.identity.end(10.0)
    status = stack_command("status", *data[:2])
    assert status.returncode == 3
    assert "valkey: has ended" in status.stdout
    up = stack_command("up", *data)
    assert up.returncode == 1
    assert "stack down" in up.stderr
    assert stack_command("down", *data[:2]).returncode == 0


def test_failure_of_the_keeper_is_told(tmp_path):
    """When the stack cannot start, up exits with 1 and one message that says why."""
    wrong = command_line("up", "--data", str(tmp_path), "--redis", "redis://unused")
    wrong["env"] |= {"KAFKA_HOME": str(tmp_path / "nowhere")}
    result = subprocess.run(**wrong, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "KAFKA_HOME must be an unpacked Apache Kafka" in result.stderr
    assert "Traceback" not in result.stderr


def test_foreground_ends_with_down(tmp_path):
    """In the foreground the command prints the addresses, stays, and ends with 0 when the stack is taken down."""
    words = ("up", "--foreground", "--json", "--data", str(tmp_path), "--kafka", "k:1")
    with subprocess.Popen(
        **command_line(*words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as foreground:
        assert json.loads(foreground.stdout.readline())["kafka"] == "k:1"
        assert foreground.poll() is None
        assert stack_command("down", "--data", str(tmp_path)).returncode == 0
        assert foreground.wait(20) == 0
    assert not pids_with(str(tmp_path / "valkey"))


def test_given_addresses_are_printed():
    """With both addresses in the environment up starts nothing and prints them."""
    given = {"REELSTREAM_KAFKA": "k:9092", "REELSTREAM_REDIS": "redis://r"}
    words = command_line("up", "--json")
    words["env"] |= given
    result = subprocess.run(**words, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(result.stdout) == {"kafka": "k:9092", "redis": "redis://r"}
