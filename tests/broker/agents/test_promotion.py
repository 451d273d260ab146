"""Killed between moving the pointer and announcing it, on a real Kafka and Redis: the next process announces it."""

from contextlib import closing, contextmanager

import numpy as np
import pytest
import torch
from kafka.admin import ConfigResource

from model.network.shape import NeuMFConfig
from model.trainable.neumf import NeuMF
from streams.errors import TopicError
from streams.kafka.clients import blocking_admin
from streams.kafka.topics import verify_topics
from streams.registry.registry import Registry
from streams.stack import open_stack


@pytest.fixture(scope="module")
def own(stack, tmp_path_factory):
    """Return a broker of this module alone, which may be stopped."""
    with open_stack(tmp_path_factory.mktemp("own"), redis=stack.redis) as opened:
        yield opened


@contextmanager
def frozen(own, installation, until):
    """Stop the broker's process during the block, and wait until it answers again."""
    installation.producer.close(10)  # nothing more is sent, and it does not outlive its broker well
    [broker] = own.brokers
    broker.pause()
    try:
        yield
    finally:
        broker.resume()
    until(lambda: has_topics(installation), 30, lambda: "a broker that is back")


def has_topics(installation):
    """Return whether the broker knows this installation's topics."""
    try:
        verify_topics(installation.settings)
    except TopicError:
        return False
    return True


def pointer(installation):
    """Return the pointer's hash."""
    return installation.redis.hgetall("model:current")


def killed_when_moved(installation, until, process, from_version):
    """Kill a process once the pointer has left a version, and return the pointer."""
    until(lambda: pointer(installation).get("version") != from_version, 180, process.said)
    process.child.kill()
    process.child.wait()
    found = pointer(installation)
    assert "announcing" in found
    return found


def watches():
    """Return 1,200 watches: each user goes through the films in their order, which popularity cannot know."""
    starts = np.random.default_rng(1).integers(0, 80, 200)
    return [
        (
            f"u{user}",
            {
                "event_id": f"{user}-{step}",
                "user_id": f"u{user}",
                "item_id": f"i{(starts[user] + step) % 80}",
                "ts": 1_700_000_000_000 + step * 1000,
                "progress": 1.0,
            },
        )
        for step in range(6)
        for user in range(200)
    ]


def test_a_restarted_trainer_announces_what_serves(own, install, until):
    """Frozen while it trains, Kafka hears of the promotion from the next trainer, once, which goes on from there."""
    installation = install(kafka=own.addresses.kafka)
    installation.send_all(
        "catalog-items", [(f"i{at}", {"item_id": f"i{at}", "title": f"Film {at}", "genres": []}) for at in range(80)]
    )
    options = ("--every-events", "5000", "--first-events", "1000", "--every-s", "3600")
    installation.send_all("watch-events", watches())
    with installation.process("trainer", *options) as killed:
        installation.await_training()
        with frozen(own, installation, until):
            found = killed_when_moved(installation, until, killed, None)
    with installation.process("trainer", *options) as trainer:
        said = installation.await_value("model-versions", lambda _: True, 60)
        trainer.await_ready()
        assert f"promotion.finished {found['version']}" in trainer.said()
        assert f"ready from {found['version']}" in trainer.said()
    assert (said["version"], said["status"], said["uri"]) == (found["version"], "promoted", found["uri"])
    assert said["ts"] == int(found["promoted_at"])
    assert "hr@10" in said["metrics"]
    assert [record.key for record in installation.records("model-versions")] == [b"current"]
    assert "announcing" not in pointer(installation)


@pytest.mark.parametrize("role", ["scorekeeper", "trainer"])
def test_what_a_killed_command_left_is_announced(own, install, until, role):
    """A rollback by hand that was killed in between is announced by whichever process starts next."""
    installation = install(kafka=own.addresses.kafka)
    small = NeuMFConfig(history_length=10, factors=8, mlp_factors=8, genre_factors=4, hidden=(8, 4), blocks=1)
    network = NeuMF(small, 0, np.zeros((2, 1), np.float32), torch.Generator().manual_seed(0))
    registry = Registry(installation.settings.registry)
    about = {"metrics": {"hr@10": 0.25}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    first, second = (
        registry.save(network.snapshot(("i1", "i2"), (), ("Drama",)), parent=None, **about) for _ in range(2)
    )
    installation.redis.hset(
        "model:current", mapping={"version": second.version_id, "uri": second.uri, "promoted_at": 1}
    )
    with frozen(own, installation, until), installation.process("model", "rollback", first.version_id) as command:
        found = killed_when_moved(installation, until, command, second.version_id)
    assert found["version"] == first.version_id
    with installation.process(role) as process:
        said = installation.await_value("model-versions", lambda _: True, 60)
        process.await_ready()
        until(lambda: "announcing" not in pointer(installation), 10, lambda: pointer(installation))
    assert (said["version"], said["status"], said["metrics"]) == (first.version_id, "rolled_back", {"hr@10": 0.25})
    assert [record.key for record in installation.records("model-versions")] == [b"current"]


def test_a_command_that_cannot_announce_says_who_does(install):
    """The pointer has moved, the command ends with one line and status 1, and running it again announces it."""
    installation = install()
    network = NeuMF(NeuMFConfig(), 1, np.zeros((2, 1), np.float32), torch.Generator().manual_seed(0))
    about = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    registry = Registry(installation.settings.registry)
    version = registry.save(network.snapshot(("i1", "i2"), ("u1",), ("Drama",)), parent=None, **about)
    topic = installation.settings.prefix + "model-versions"
    command = installation.process("model", "promote", version.version_id)
    with closing(blocking_admin(installation.settings, "test")) as admin:
        admin.alter_configs([ConfigResource("topic", topic, {"max.message.bytes": "10"})])
        with command:
            assert command.end(60) == 1
        admin.alter_configs([ConfigResource("topic", topic, {"max.message.bytes": "1000000"})])
    assert pointer(installation)["version"] == version.version_id
    assert "announcing" in pointer(installation)
    [line] = [line for line in command.said().splitlines() if line.startswith("reelstream: ")]
    assert f"or `reelstream model promote {version.version_id}` does" in line
    with installation.process("model", "promote", version.version_id) as again:
        assert again.end(60) == 0
    assert [value["status"] for value in installation.values("model-versions")] == ["promoted"]
    assert "announcing" not in pointer(installation)
