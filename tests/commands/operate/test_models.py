"""``reelstream model``: what it prints, what it moves, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from kafka import KafkaConsumer

from commands.operate.models import model
from commands.parts.running import person
from model.experiment import Arm, Experiment
from model.network.snapshot import Snapshot
from streams.errors import RegistryError, StateError
from streams.kafka.topics import create_topics
from streams.records.data_requests import Forgetting
from streams.redis.connection import connect_to_read
from streams.registry.registry import Registry
from streams.settings import Settings
from streams.state.experiments import encode_experiment
from streams.state.pointer import ModelStanding
from tests.toy import toy_snapshot


@pytest.fixture
def versions(tmp_path):
    """Return three stored versions, oldest first, each the parent of the next."""
    registry = Registry(str(tmp_path / "models"))
    snapshot = toy_snapshot(("i1", "i2"))
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
def pointer(redis_url, topic_prefix):
    """Return a Redis client that reads and moves ``model:current``."""
    with connect_to_read(redis_url, prefix=topic_prefix) as client:
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
        "cause": None,
        "by": person(),
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


def test_a_version_that_workers_would_refuse_is_not_promoted(invoke, versions, pointer, monkeypatch):
    """One that was trained without repeats does not serve where they are kept, and nothing moves."""
    monkeypatch.setenv("REELSTREAM_KEEP_REPEATS", "1")
    result = invoke("promote", versions[0].version_id)
    assert isinstance(result.exception, RegistryError)
    assert "a version that was trained with repeats kept is required" in str(result.exception)
    assert not pointer.exists("model:current")


def test_diff_of_versions_without_users_or_genres(invoke, tmp_path):
    """Tables without a row have not moved."""
    registry = Registry(str(tmp_path / "models"))
    snapshot = toy_snapshot(("i1", "i2"), users=(), genres=())
    about = {"metrics": {}, "offsets": {}, "created_ms": 0, "seed": 0, "code_revision": ""}
    first, second = (registry.save(snapshot, parent=None, **about) for _ in range(2))
    found = json.loads(invoke("diff", first.version_id, second.version_id, "--json").stdout)
    assert found["weights"]["user_factors"]["rows"] == found["weights"]["genre_factors"]["rows"] == 0
    assert not any(moved["moved"] for moved in found["weights"].values())


def test_diff_names_nobody_who_was_forgotten(invoke, tmp_path):
    """A forgotten user has left the one version, and what stands there instead has not come to the other."""
    registry = Registry(str(tmp_path / "models"))
    about = {"metrics": {}, "offsets": {}, "created_ms": 0, "seed": 0, "code_revision": ""}
    first = registry.save(toy_snapshot(("i1",), users=("ann", "ben")), parent=None, **about)
    registry.forget_users({"ann": Forgetting("request", 1, 0, {}).nobody})
    second = registry.save(toy_snapshot(("i1",), users=("ben", "eve")), parent=None, **about)
    found = json.loads(invoke("diff", first.version_id, second.version_id, "--json").stdout)["users"]
    assert found == {"both": 1, "n_added": 1, "n_removed": 0, "added": ["eve"], "removed": []}


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


def test_the_anchor_is_shown_and_kept_until_a_person_chooses(invoke, versions, pointer, stack, topic_prefix):
    """It is marked and never pruned; who promotes a version by hand makes it the next yardstick."""
    create_topics(Settings(stack.kafka, "redis://unused", "unused", topic_prefix, partitions=2))
    serve(pointer, versions[2])
    pointer.hset("model:current", "standing", ModelStanding(versions[0].version_id).encode())
    assert json.loads(invoke("list", "--json").stdout)["anchor"] == versions[0].version_id
    marks = [line.split()[0] for line in invoke("list").stdout.splitlines()[1:]]
    assert marks == ["*", versions[1].version_id, "a"]
    assert json.loads(invoke("prune", "--keep", "1", "--json").stdout)["removed"] == []
    assert invoke("promote", versions[1].version_id).exit_code == 0
    assert "standing" not in pointer.hgetall("model:current")
    assert json.loads(invoke("list", "--json").stdout)["anchor"] is None


def test_prune_keeps_what_an_experiment_compares(invoke, versions, pointer, tmp_path):
    """A version that an arm names stays however old it is, and goes once the experiment has ended."""
    experiment = Experiment("old", 0.5, Arm("a", versions[0].version_id), Arm("b"), 1)
    pointer.set("experiment:current", encode_experiment(experiment))
    registry = Registry(str(tmp_path / "models"))
    newest = registry.save(
        registry.load(versions[0].version_id)[0],
        parent=None,
        metrics={},
        offsets={},
        created_ms=1,
        seed=0,
        code_revision="",
    )
    serve(pointer, newest)
    assert json.loads(invoke("prune", "--keep", "1", "--json").stdout)["removed"] == [
        versions[2].version_id,
        versions[1].version_id,
    ]
    pointer.delete("experiment:current")
    assert json.loads(invoke("prune", "--keep", "1", "--json").stdout)["removed"] == [versions[0].version_id]


def test_a_redis_that_does_not_answer_is_told(tmp_path):
    """Where no Redis listens the error names what was asked."""
    registry = str(tmp_path)
    result = CliRunner().invoke(model, ["list", "--redis", "redis://127.0.0.1:1/0", "--registry", registry])
    assert isinstance(result.exception, StateError)
    assert "model: reading the current version" in str(result.exception)


def test_promote_serves_any_stored_version_and_announces_it(invoke, versions, pointer, stack, topic_prefix):
    """The oldest version serves again as promoted; one that is not stored moves nothing."""
    settings = Settings(stack.kafka, "redis://unused", "unused", topic_prefix, partitions=2)
    create_topics(settings)
    serve(pointer, versions[2])
    result = invoke("promote", "v000001")
    assert result.exit_code == 0, result.output
    assert f"promoted {versions[0].version_id} instead of {versions[2].version_id}" in result.stdout
    assert pointer.hget("model:current", "version") == versions[0].version_id
    [(key, value)] = announced(settings)
    assert (key, value["status"], value["version"]) == (b"current", "promoted", versions[0].version_id)
    assert isinstance(invoke("promote", "v000009-00000000").exception, RegistryError)
    assert pointer.hget("model:current", "version") == versions[0].version_id


def test_verify_names_what_is_broken_and_fails(invoke, versions):
    """With one of three versions torn, that one is named with its cause and the exit status is 1."""
    assert invoke("verify").exit_code == 0
    weights = Path(versions[1].uri) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (Path(versions[2].uri) / "version.json").write_bytes(b"{}")
    result = invoke("verify", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["versions"]
    assert found[versions[0].version_id] is None
    assert "must have bytes" in found[versions[1].version_id]
    assert "format" in found[versions[2].version_id]
    assert invoke("verify", versions[0].version_id).stdout == f"{versions[0].version_id}  whole\n"


def test_diff_matches_rows_by_id(invoke, versions, tmp_path):
    """Another order of rows is no change; a new item and one moved row are, and shapes and metrics stand beside."""
    registry = Registry(str(tmp_path / "models"))
    snapshot, _ = registry.load(versions[0].version_id)
    weights = {name: weight.copy() for name, weight in snapshot.weights.items()}
    for name in ("item_genres", "item_factors", "item_mlp_factors", "item_bias"):
        weights[name] = np.concatenate([weights[name][[1, 0]], weights[name][:1]])
    for name in ("neighbours", "counts", "followed", "touched"):
        weights[f"evidence.{name}"] = weights[f"evidence.{name}"][[1, 0, 0]]
    weights["item_bias"][0] += 1.0
    items = ("i2", "i1", "i3")
    later = registry.save(
        Snapshot(snapshot.config, weights, items, snapshot.users, snapshot.genres),
        parent=versions[0].version_id,
        metrics={"hr@10": 0.3},
        offsets={"watch-events": {0: 12}},
        created_ms=0,
        seed=0,
        code_revision="abc123",
    )
    found = json.loads(invoke("diff", versions[0].version_id, later.version_id, "--json").stdout)
    assert found["is_child"]
    assert found["metrics"] == {"hr@10": [0.25, 0.3], "loss": [0.5, None]}
    assert found["config"] == {}
    assert (found["items"]["both"], found["items"]["added"], found["items"]["n_removed"]) == (2, ["i3"], 0)
    assert found["weights"]["item_bias"]["moved"] == 1
    assert {name for name, moved in found["weights"].items() if moved["moved"]} == {"item_bias"}
    assert found["events"] == {"watch-events": 12}
    said = invoke("diff", versions[0].version_id, later.version_id).stdout
    assert "2 in both, +1 -0  i3" in said
    assert "+12 events" in said


def test_history_tells_who_decided_what_and_why(invoke, versions, redis_url, stack, topic_prefix, pointer):
    """A promotion by hand is told with the person, and a rejected round with its reason, newest first."""
    create_topics(Settings(stack.kafka, redis_url, "unused", prefix=topic_prefix, partitions=2))
    assert invoke("history").output == "nothing was decided yet\n"
    assert invoke("promote", versions[0].version_id, "--because", "it is the first").exit_code == 0
    rejected = {"version": None, "status": "rejected", "parent": versions[0].version_id, "uri": None, "ts": 1}
    told = {"metrics": {"hr@10": 0.125}, "cause": "popularity is better", "by": "trainer"}
    pointer.zadd("model:history:rounds", {json.dumps(rejected | told): 1})
    found = json.loads(invoke("history", "--json").output)["decisions"]
    assert [(one["status"], one["version"]) for one in found] == [
        ("promoted", versions[0].version_id),
        ("rejected", None),
    ]
    assert (found[0]["by"], found[0]["cause"]) == (person(), "it is the first")
    assert (found[1]["by"], found[1]["cause"]) == ("trainer", "popularity is better")
    text = invoke("history").output
    assert f"promoted     {versions[0].version_id}" in text
    assert "hr@10 0.1250" in text
    assert "    popularity is better\n" in text
    assert [one["status"] for one in json.loads(invoke("history", "--moves", "--json").output)["decisions"]] == [
        "promoted"
    ]
