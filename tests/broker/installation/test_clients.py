"""The examples in other clients than kafka-python: each sends, and each reads the lists that its events led to."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.stack.jars import find_class_path
from tests.npm import npm_packages

EXAMPLES = Path(__file__).parents[3] / "examples"
MAX_LINES = 40
RUN_S = 100.0  # a Java program is compiled as it starts, which takes long on a busy machine
KAFKAJS = "kafkajs@2.2.4"
CLIENTS = {"confluent-kafka": "bea", "java": "cal", "node": "dan"}  # with the user whose events each sends


def confluent_kafka(_):
    """Return how both programs are started, and with which variables beside the addresses."""
    scripts = [[sys.executable, f"{EXAMPLES}/confluent-kafka/{name}.py"] for name in ("send_events", "read_lists")]
    return *scripts, {}


def java(_):
    """Return the same for Java, on the jars of the local Kafka; skip where there is no compiler."""
    compiler = shutil.which("javac")
    if compiler is None:
        pytest.skip("a JDK is missing, as there is no javac: Debian's package openjdk-17-jdk-headless has it")
    jars = find_class_path(os.environ.get("KAFKA_HOME"), print)
    program = [str(Path(compiler).resolve().with_name("java")), "-XX:TieredStopAtLevel=1", "-cp", jars]
    return *([*program, f"{EXAMPLES}/java/{name}.java"] for name in ("SendEvents", "ReadLists")), {}


def node(folder):
    """Return the same for Node, with the client from npm; skip where one of them is missing."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is missing: Debian's packages nodejs and npm have it")
    modules = npm_packages(folder, KAFKAJS)
    scripts = [[program, f"{EXAMPLES}/node/{name}.js"] for name in ("send_events", "read_lists")]
    return *scripts, {"NODE_PATH": str(modules)}


STARTS = {"confluent-kafka": confluent_kafka, "java": java, "node": node}


@pytest.fixture(scope="module")
def running(install):
    """Give an installation with three items and a worker."""
    installation = install()
    items = [{"item_id": str(n), "title": f"Item {n}", "genres": ["Drama"]} for n in range(1, 4)]
    installation.send_all("catalog-items", [(item["item_id"], item) for item in items])
    with installation.process("worker") as worker:
        worker.await_ready()
        yield installation


@contextmanager
def reading(command, environment, log):
    """Run a reader of lists beside the block, and interrupt it at the end, which must be a good one."""
    with log.open("w") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as child:
        try:
            yield child
            child.send_signal(signal.SIGINT)
            assert child.wait(RUN_S) in (0, 130), log.read_text()
        finally:
            child.kill()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.timeout(500)  # three starts of a program, one of them a compilation
def test_a_client_sends_and_reads(running, until, tmp_path, client):
    """Events of each client lie where kafka-python puts their key, keep their contract, and lead to a list it reads."""
    send, read, more = STARTS[client](tmp_path)
    given = {name: value for name, value in running.settings.environment().items() if name.startswith("REELSTREAM_")}
    bare = {name: value for name, value in os.environ.items() if not name.startswith("REELSTREAM_")}
    environment = {**bare, **given, **more}
    user = CLIENTS[client]
    done = subprocess.run(send, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sent = re.findall(r"sent to \S*(watch|rate)-events, partition (\d)", done.stdout)
    placed = running.send("action-events", user, b"").get(30).partition
    assert sorted(sent) == [("rate", str(placed)), ("watch", str(placed))]
    assert running.breaches("watch-events") == running.breaches("rate-events") == []
    log = tmp_path / "lists.log"
    with reading(read, environment, log) as child:

        def printed():
            assert child.poll() is None, log.read_text()
            return any(line.startswith(user) for line in log.read_text().splitlines())

        until(printed, RUN_S, lambda: f"a list of {user}'s, got {log.read_text()}")


@pytest.mark.parametrize("path", sorted(path for client in CLIENTS for path in (EXAMPLES / client).iterdir()), ids=str)
def test_a_program_is_short_and_says_what_it_needs(path):
    """It has at most 40 lines, says first how it is started and where its client is from, and is on the page."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    first = (ast.get_docstring(ast.parse(text)) or "") if path.suffix == ".py" else text.partition("\n\n")[0]
    assert path.name in first
    assert re.search(r"pip install confluent-kafka|kafka-clients:\d|npm install kafkajs@\d", first)
    assert f"]({path.relative_to(EXAMPLES)})" in (EXAMPLES / "README.md").read_text("utf-8")


def test_every_client_has_a_sender_and_a_reader():
    """Each folder holds two programs."""
    assert {client: len(list((EXAMPLES / client).iterdir())) for client in CLIENTS} == dict.fromkeys(CLIENTS, 2)
