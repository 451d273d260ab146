"""``reelstream model``: what it prints, what it moves, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from kafka import KafkaConsumer
from redis import Redis

from commands.models import model
from model.neumf import NeuMF, NeuMFConfig
from model.snapshot import Snapshot
from streams.errors import RegistryError, StateError
from streams.registry import Registry
from streams.settings import Settings
from streams.topics import create_topics


@pytest.fixture
def versions(tmp_path):
    """Return three stored versions, oldest first, each the parent of the next."""
    registry = Registry(str(tmp_path / "models"))
    network = NeuMF(NeuMFConfig(), 1, np.zeros((2, 1), dtype=np.float32), generator=torch.Generator().manual_seed(1))
    snapshot = Snapshot.of(network, ("i1", "i2"), ("u1",), ("Drama",))
    found = []
    for n in range(3):
        found.append(
            registry.save(
                snapshot,
                parent=found[-1].version_id if found else None,
                metrics={"hr@10": 0.25 + n / 100, "loss": 0.5},
                offsets={"watch-events": {0: n}},
                created_ms=1_700_000_000_000 + n,
                seed=n,
                code_revision="abc123",
            )
        )
    return found


@pytest.fixture
def invoke(stack, redis_url, topic_prefix, tmp_path, monkeypatch):
    """Return a function that runs ``reelstream model`` against this test's servers and registry."""
    monkeypatch.setenv("REELSTREAM_KAFKA", stack.kafka)
    monkeypatch.setenv("REELSTREAM_REDIS", redis_url)
    monkeypatch.setenv("REELSTREAM_PREFIX", topic_prefix)
    monkeypatch.setenv("REELSTREAM_REGISTRY", str(tmp_path / "models"))
    monkeypatch.setenv("REELSTREAM_PARTITIONS", "2")

    def run(*arguments):
        return CliRunner().invoke(model, arguments)

    return run


@pytest.fixture
def pointer(redis_url):
    """Return a Redis client that reads and moves ``model:current``."""
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def serve(pointer, version):
    """Let a version serve, as the trainer does."""
    pointer.hset("model:current", mapping={"version": version.version_id, "uri": version.uri, "promoted_at": 1})


def announced(settings):
    """Return the keys and values on ``model-versions``, oldest first."""
    consumer = KafkaConsumer(
        settings.prefix + "model-versions",
        bootstrap_servers=settings.kafka,
        auto_offset_reset="earliest",
        consumer_timeout_ms=3000,
        group_id=None,
    )
    try:
        return [(record.key, json.loads(record.value)) for record in consumer]
    finally:
        consumer.close()


def test_list_marks_the_version_that_serves(invoke, versions, pointer):
    """The table holds one line per version, newest first, with hit rate, parent and a star at the current one."""
    serve(pointer, versions[1])
    lines = invoke("list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [versions[2].version_id, "*", versions[0].version_id]
    assert lines[2].split()[1:3] == [versions[1].version_id, versions[0].version_id]
    assert "0.2600" in lines[2]
    assert "hr@10" in lines[0]
    assert "loss" not in lines[0]


def test_list_says_that_a_registry_is_empty(invoke):
    """Without versions there is one line that names the registry."""
    assert invoke("list").stdout.startswith("no versions in ")


def test_list_as_json_names_everything(invoke, versions, pointer):
    """The JSON holds the current id and every version with metrics, parent and offsets."""
    serve(pointer, versions[0])
    answer = json.loads(invoke("list", "--json").stdout)
    assert answer["current"] == versions[0].version_id
    assert [one["version"] for one in answer["versions"]] == [version.version_id for version in versions[::-1]]
    assert [one["current"] for one in answer["versions"]] == [False, False, True]
    assert answer["versions"][0]["parent"] == versions[1].version_id
    assert answer["versions"][0]["offsets"] == {"watch-events": {"0": 2}}


def test_show_without_a_version_shows_the_one_that_serves(invoke, versions, pointer):
    """``show`` follows the pointer, and a named version wins over it."""
    serve(pointer, versions[1])
    assert json.loads(invoke("show", "--json").stdout)["version"] == versions[1].version_id
    assert json.loads(invoke("show", versions[2].version_id, "--json").stdout)["seed"] == 2
    assert "hr@10: 0.26" in invoke("show").stdout


def test_show_without_a_version_asks_for_one_before_the_first_promotion(invoke, versions):
    """Where nothing serves, ``show`` exits with 2 and says that a version is required."""
    assert versions
    result = invoke("show")
    assert result.exit_code == 2
    assert "a VERSION is required, because no version serves" in result.output


def test_rollback_serves_the_parent_and_announces_it(invoke, versions, pointer, stack, topic_prefix):
    """The pointer names the parent afterwards, and ``model-versions`` holds a record under the key current."""
    settings = Settings(stack.kafka, "redis://unused", "unused", topic_prefix, partitions=2)
    create_topics(settings)
    serve(pointer, versions[2])
    result = invoke("rollback", "--json")
    assert json.loads(result.stdout) == {
        "previous": versions[2].version_id,
        "current": versions[1].version_id,
        "uri": versions[1].uri,
    }
    now = pointer.hgetall("model:current")
    assert (now["version"], now["uri"]) == (versions[1].version_id, versions[1].uri)
    assert int(now["promoted_at"]) > 1
    [(key, record)] = announced(settings)
    assert key == b"current"
    assert record == {
        "version": versions[1].version_id,
        "status": "rolled_back",
        "parent": versions[0].version_id,
        "uri": versions[1].uri,
        "ts": int(now["promoted_at"]),
        "metrics": {"hr@10": 0.26, "loss": 0.5},
    }


def test_rollback_to_a_named_version(invoke, versions, pointer, stack, topic_prefix):
    """A named version is served whatever served before, even if nothing did."""
    create_topics(Settings(stack.kafka, "redis://unused", "unused", topic_prefix, partitions=2))
    result = invoke("rollback", versions[0].version_id)
    assert result.exit_code == 0
    assert f"from no version to {versions[0].version_id}" in result.stdout
    assert pointer.hget("model:current", "version") == versions[0].version_id


def test_rollback_without_a_parent_is_refused(invoke, versions, pointer):
    """The first version has no parent: exit status 2, and the pointer stays."""
    serve(pointer, versions[0])
    result = invoke("rollback")
    assert result.exit_code == 2
    assert "has no parent" in result.output
    assert pointer.hget("model:current", "version") == versions[0].version_id


def test_rollback_to_a_torn_version_moves_nothing(invoke, versions, pointer):
    """A version whose weights were cut is refused before the pointer moves."""
    serve(pointer, versions[2])
    weights = Path(versions[1].uri) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    result = invoke("rollback")
    assert isinstance(result.exception, RegistryError)
    assert pointer.hget("model:current", "version") == versions[2].version_id


def test_prune_keeps_the_newest_the_current_and_its_parent(invoke, versions, pointer, tmp_path):
    """Of five versions with the second serving, keeping one leaves the newest, the second and the first."""
    registry = Registry(str(tmp_path / "models"))
    snapshot, _ = registry.load(versions[0].version_id)
    newest = [
        registry.save(snapshot, parent=None, metrics={}, offsets={}, created_ms=at, seed=0, code_revision="").version_id
        for at in (1, 2)
    ]
    serve(pointer, versions[1])
    removed = json.loads(invoke("prune", "--keep", "1", "--json").stdout)["removed"]
    assert removed == [newest[0], versions[2].version_id]
    assert [version.version_id for version in registry.list()] == [
        newest[1],
        versions[1].version_id,
        versions[0].version_id,
    ]
    assert {path.name for path in (tmp_path / "models").iterdir()}.isdisjoint(removed)
    assert invoke("prune", "--keep", "0").exit_code == 2


def test_a_redis_that_does_not_answer_is_told(tmp_path):
    """Where no Redis listens the error names what was asked."""
    registry = str(tmp_path)
    result = CliRunner().invoke(model, ["list", "--redis", "redis://127.0.0.1:1/0", "--registry", registry])
    assert isinstance(result.exception, StateError)
    assert "model: reading the current version" in str(result.exception)
