"""Which versions a trainer goes on from."""

from dataclasses import replace

import pytest

from agents.trainer.config import TrainerConfig
from agents.trainer.report import TrainerReport
from agents.trainer.versions import VersionKeeper
from model.network.neumf import NeuMFConfig
from model.training.rounds import RoundConfig
from streams.errors import RegistryError
from streams.registry.registry import Registry
from streams.state.store import ModelPointer
from tests.toy import toy_snapshot


@pytest.mark.parametrize("keeps", [False, True])
def test_a_version_of_the_other_way_with_repeats_is_not_tuned(tmp_path, keeps):
    """The one trained as the installation does is loaded, the other one is refused with the cure."""
    snapshot = toy_snapshot(("a", "b"), seed=2)
    registry = Registry(str(tmp_path))
    config = TrainerConfig(rounds=RoundConfig(network=NeuMFConfig(repeats=keeps)))
    keeper = VersionKeeper(str(tmp_path), config, None, None, TrainerReport())
    for repeats in (False, True):
        version = registry.save(
            replace(snapshot, config=replace(snapshot.config, repeats=repeats)),
            parent=None,
            metrics={},
            offsets={},
            created_ms=int(repeats),
            seed=1,
            code_revision="test",
        )
        pointer = ModelPointer(version.version_id, version.uri, 1)
        if repeats == keeps:
            assert keeper._load(pointer)[0].config.repeats is keeps
        else:
            with pytest.raises(RegistryError, match=f"set REELSTREAM_KEEP_REPEATS={int(not keeps)}"):
                keeper._load(pointer)
