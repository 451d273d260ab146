"""``reelstream doctor``: a whole installation, one with faults, and one whose servers are away."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from commands.setup.doctor import doctor
from streams.diagnosis.findings import Finding, clock_finding, findings_of, worst
from streams.diagnosis.machine import _version, look_at_machine
from streams.diagnosis.models import look_at_models
from streams.errors import StateError
from streams.kafka.clients import blocking_producer
from streams.kafka.topics import TOPICS, create_topics
from streams.records.codec import encode
from streams.records.records import ModelVersion
from streams.redis.connection import connect_to_read
from streams.registry.versions import Lineage, VersionStore
from streams.settings import Settings


@pytest.fixture
def invoke(stack, topic_prefix, tmp_path, monkeypatch):
    """Return a function that runs the doctor on this test's prefix and registry, and gives status and findings."""
    given = {"KAFKA": stack.kafka, "REDIS": stack.redis, "PREFIX": topic_prefix, "REGISTRY": str(tmp_path / "models")}
    for name, value in given.items():
        monkeypatch.setenv(f"REELSTREAM_{name}", value)

    def run(*arguments):
        done = CliRunner().invoke(doctor, [*arguments, "--json"])
        return done.exit_code, {one["check"]: one for one in json.loads(done.stdout)["findings"]}

    return run


def test_what_is_whole_and_what_is_not(invoke, topic_prefix):
    """Topics that are missing or of another shape are errors with their cure; what is well is said too."""
    status, found = invoke()
    assert status == 1
    assert found["topics"]["found"].startswith(f"{len(TOPICS)} of {len(TOPICS)} are missing: ")
    assert found["topics"]["cure"] == "make them with `reelstream topics create`"
    settings = replace(Settings.from_environment(), partitions=2)
    create_topics(settings)
    producer = blocking_producer(settings, "test")
    ahead_ms = int(time.time() * 1000) + 3_600_000
    producer.send(f"{topic_prefix}watch-events", b"x", partition=0, timestamp_ms=ahead_ms).get(30)
    producer.close()
    status, found = invoke("--partitions", "2")
    severities = {name: one["severity"] for name, one in found.items()}
    assert status == 0
    assert severities["event times"] == "warning"
    wanted = (
        "topics",
        "open transactions",
        "kafka clock",
        "redis clock",
        "redis version",
        "redis rights",
        "registry",
        "libraries",
    )
    assert {severities[name] for name in wanted} == {"ok"}
    assert (found["workers"]["severity"], found["workers"]["cure"]) == ("warning", "start one with `reelstream worker`")
    assert invoke("--partitions", "2", "--strict")[0] == 1
    status, found = invoke("--partitions", "3", "--replication", "2")
    assert status == 1
    assert found[f"topic {topic_prefix}mode-changes"]["severity"] == "warning"  # copies, the last of two findings
    assert "topics" not in found


def test_servers_that_are_away_are_findings():
    """Each is one error with its cure, and what needs no server is looked at all the same."""
    away = ("--kafka", "127.0.0.1:1", "--redis", "redis://127.0.0.1:1", "--registry", "/proc/x")
    program = [sys.executable, "-m", "reelstream", "doctor", *away]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    errors = [line.split(maxsplit=2)[1] for line in lines if line.startswith("ERROR")]
    assert errors == ["kafka:", "redis:", "registry:"]
    cure = "         -> the command line gave this address, which goes before {}: start what should answer there"
    assert {cure.format("REELSTREAM_KAFKA"), cure.format("REELSTREAM_REDIS")} <= {*lines}
    assert lines[-1].startswith("3 errors, ")


@pytest.mark.parametrize(("library", "check"), [("kafka", "kafka"), ("redis", "redis"), ("packaging", "libraries")])
def test_a_library_that_is_missing_is_a_finding(library, check):
    """What cannot be imported is told with its cure, and the other looks go on."""
    away = ["doctor", "--kafka", "127.0.0.1:1", "--redis", "redis://127.0.0.1:1", "--registry", "/proc/x"]
    program = (
        f"import sys; sys.modules[{library!r}] = None; import reelstream; sys.argv[1:] = {away}; reelstream.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    (at,) = (n for n, line in enumerate(lines) if f"{check}: a library is missing or too old: " in line)
    assert lines[at + 1].split() == ["->", "install", "what", "the", "lock", "names:", "requirements.lock"]
    assert any(line.startswith("ERROR    registry: ") for line in lines)


def test_a_version_that_nobody_has_is_told():
    """A library that is not installed breaks no look at the others."""
    assert _version("no-such-library") == "not installed"


def test_a_variable_that_nobody_reads_is_told():
    """The nearest known one is named."""
    found = [one for one in look_at_machine({"REELSTREAM_KAFAK": "x", "REELSTREAM_REDIS": "y"}) if one.cure]
    assert (
        Finding(
            "variables", "warning", "REELSTREAM_KAFAK is set, and nothing reads it", "did you mean REELSTREAM_KAFKA?"
        )
        in found
    )


@pytest.mark.parametrize(
    ("theirs", "severity", "found"),
    [
        (10.2, "ok", "+0.000"),
        (11.0, "ok", "+0.500"),
        (12.0, "warning", "+1.500"),
        (8.0, "warning", "-2.000"),
        (75.0, "error", "+64.500"),
    ],
)
def test_clocks_are_compared_beside_what_the_answer_took(theirs, severity, found):
    """A time between our two looks, 10.0 and 10.5, is no difference; a second is borne, a minute is not."""
    one = clock_finding("redis", theirs, 10.0, 10.5)
    assert (one.severity, one.found) == (severity, f"{found} s against this machine")
    assert bool(one.cure) == (severity != "ok")


def test_an_error_is_a_finding_with_its_cure():
    """What stands after the last semicolon of a message is its cure; the worst finding decides."""

    def look():
        yield Finding("a", "warning", "odd")
        raise StateError("redis: something is required, got nothing; do this")

    found = tuple(findings_of("redis", look))
    assert found[1] == Finding("redis", "error", "redis: something is required, got nothing", "do this")
    assert (worst(found), worst(found[:1]), worst(())) == ("error", "warning", "ok")


def test_where_nothing_serves_a_stored_version_is_named(stack, topic_prefix, tmp_path):
    """The newest that beat popularity and was not withdrawn is to be promoted; without one, one is to be made."""
    settings = Settings(stack.kafka, stack.redis, str(tmp_path), prefix=topic_prefix)
    store = VersionStore(settings.registry)

    def cure():
        return {one.check: one for one in look_at_models(settings)}["serving version"].cure

    assert cure() == "wait for the trainer's first version, or make one with `reelstream train` and promote it"
    better, withdrawn, _ = (
        store.put({}, {}, Lineage(None, {"hr@10": hits, "popularity_hr@10": 0.058}, {}, 1, 0, "test"))
        for hits in (0.1425, 0.2, 0.05)
    )
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        decided = ModelVersion(withdrawn.version_id, "withdrawn", None, None, 5, by="scorekeeper")
        client.zadd("model:history:moves", {encode(decided): decided.ts})
    assert cure() == (
        f"`reelstream model promote {better.version_id}` serves the newest stored one that passed its gate "
        "(HR@10 0.142, popularity 0.058)"
    )
