"""Following the model pointer on a real Redis and a real registry: swap, refusal, rollback."""

from pathlib import Path

import numpy as np
import pytest
import torch

from agents.upkeep import Upkeep, UpkeepConfig, WorkerReport
from model.modes import ModeConfig
from model.neumf import NeuMF, NeuMFConfig
from model.snapshot import Snapshot
from streams.connection import connect
from streams.health import SignOfLife
from streams.outbox import Outbox
from streams.registry import Registry
from streams.settings import Settings
from streams.state import ModelPointer, State


@pytest.fixture
async def state(redis_url):
    """Return the state of an empty database."""
    client = connect(redis_url)
    yield State(client)
    await client.aclose()


@pytest.fixture
def versions(tmp_path):
    """Return three stored versions of one small network."""
    shape = NeuMFConfig(history_length=5, factors=4, mlp_factors=4, genre_factors=2, hidden=(4, 4), blocks=1)
    network = NeuMF(shape, 1, np.ones((4, 1), dtype=np.float32), generator=torch.Generator().manual_seed(2))
    snapshot = Snapshot.of(network, ("a", "b", "c", "d"), ("u",), ("Drama",))
    registry = Registry(str(tmp_path / "models"))
    return [
        registry.save(snapshot, parent=None, metrics={}, offsets={}, created_ms=n, seed=n, code_revision="test")
        for n in range(3)
    ]


@pytest.fixture
def upkeep(state, redis_url, tmp_path):
    """Return the upkeep of a worker that leads nobody."""
    settings = Settings("unused:1", redis_url, str(tmp_path / "models"), partitions=2)
    life = SignOfLife(connect(redis_url), "worker")
    return Upkeep(
        settings, UpkeepConfig(), ModeConfig(), state, life, lambda: False, WorkerReport(), lambda: Outbox(None)
    )


async def follow(upkeep, state, version):
    """Move the pointer to a version, look once, and return the version that serves then."""
    await state.move_model(ModelPointer(version.version_id, version.uri, 1))
    await upkeep._look_at_model()
    assert upkeep.report.model_version == upkeep.recommender.version
    return upkeep.recommender.version


async def test_the_pointer_is_followed_forwards_and_back(upkeep, state, versions):
    """No pointer, no model; then the first version, the second, and the first again after a rollback."""
    await upkeep._look_at_model()
    assert (upkeep.recommender.version, upkeep.recommender.ranker) == (None, None)
    for version in (versions[0], versions[1], versions[0]):
        assert await follow(upkeep, state, version) == version.version_id
    assert len(upkeep.recommender.ranker) == 4


async def test_the_same_version_is_loaded_once(upkeep, state, versions):
    """A second look at an unmoved pointer keeps the very ranker."""
    await follow(upkeep, state, versions[0])
    before = upkeep.recommender
    await upkeep._look_at_model()
    assert upkeep.recommender is before


async def test_a_torn_version_is_refused_and_the_old_one_serves(upkeep, state, versions):
    """Pointed at a version whose weights were cut the worker keeps the first, and takes the third that is whole."""
    await follow(upkeep, state, versions[0])
    weights = Path(versions[1].uri) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert await follow(upkeep, state, versions[1]) == versions[0].version_id
    assert await follow(upkeep, state, versions[2]) == versions[2].version_id
