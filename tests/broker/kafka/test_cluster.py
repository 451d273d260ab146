"""The worker and the trainer on a real Redis Cluster of three servers, one of which is lost and comes back."""

from contextlib import suppress

import numpy as np
import pytest
from redis import Redis, RedisError

from streams.stack.cluster import running_cluster

N_ITEMS = 80
LENGTH = 6
TS = 1_700_000_000_000


@pytest.fixture
def nodes(tmp_path):
    """Return the servers of a cluster of this test."""
    with running_cluster(tmp_path / "cluster") as servers:
        yield servers


def send_chains(installation, users, seed):
    """Send six watches of each user, who goes from some item to the next, and return the users' names."""
    starts = np.random.default_rng(seed).integers(0, N_ITEMS, users)
    names = [f"u{seed}-{user}" for user in range(users)]
    watches = [
        {
            "event_id": f"{name}-{step}",
            "user_id": name,
            "item_id": f"i{(start + step) % N_ITEMS}",
            "ts": TS + step * 1000,
            "progress": 1.0,
        }
        for step in range(LENGTH)
        for name, start in zip(names, starts, strict=True)
    ]
    installation.send_all("watch-events", [(watch["user_id"], watch) for watch in watches])
    return names


def counted(installation, names):
    """Return whether exactly these users are known, with all their watches, counted by item as well."""
    with suppress(RedisError):  # our own reader may ask the cluster before all members agree that it is whole
        return (
            installation.counts("watches") == dict.fromkeys(names, LENGTH)
            and sum(installation.item_counts("watches").values()) == len(names) * LENGTH
        )
    return False


def served(installation):
    """Return the users who have got a list."""
    return {value["user_id"] for value in installation.values("recommendations")}


def test_lists_and_models_come_from_a_cluster(install, stack, nodes, until):
    """Every event is counted once over three servers, every user has a list, and a version is trained and served."""
    installation = install(stack.kafka, nodes[1].url)
    films = [(f"i{n}", {"item_id": f"i{n}", "title": f"Film {n}", "genres": []}) for n in range(N_ITEMS)]
    installation.send_all("catalog-items", films)
    fast = ("--first-events", "1000", "--every-events", "1000")
    with installation.process("worker") as worker, installation.process("trainer", *fast) as trainer:
        worker.await_ready()
        trainer.await_ready()
        names = send_chains(installation, 200, seed=1)  # 1,200 events
        until(lambda: counted(installation, names), 60, worker.said)
        for node in nodes:
            with Redis.from_url(node.url) as client:
                assert client.dbsize() > 200  # five keys each of a third of 200 users
        version = installation.await_value("model-versions", lambda value: value["status"] == "promoted", 120)[
            "version"
        ]
        until(lambda: installation.reports("worker")[0].get("model_version") == version, 30, worker.said)
        until(lambda: served(installation) == set(names), 30, worker.said)
        for asked in (("recommend", names[0], "--json"), ("health", "worker"), ("model", "list")):
            with installation.process(*asked) as answer:
                assert answer.child.wait(60) == 0, answer.said()


def test_a_lost_member_is_waited_for(install, stack, nodes, until):
    """One of three servers killed in the middle of a stream pauses the worker; back again, nothing was lost."""
    installation = install(stack.kafka, nodes[0].url)
    with installation.process("worker") as worker:
        worker.await_ready()
        names = send_chains(installation, 150, seed=3)
        until(lambda: counted(installation, names), 60, worker.said)
        nodes[2].kill()
        names += send_chains(installation, 150, seed=5)
        worker.await_saying("redis.unavailable worker")
        nodes[2].restart()
        worker.await_saying("redis.available worker")
        until(lambda: counted(installation, names), 60, worker.said)
        assert worker.terminate(20) == 0
