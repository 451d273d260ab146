import numpy as np
import pytest
import torch

from model.metrics import half_ranks, hit_rate
from model.neumf import NeuMF, NeuMFConfig
from model.ranking import Ranker
from model.sequences import Sequences
from model.training import TrainingConfig, fit, torch_generator

SMALL = NeuMFConfig(history_length=4, factors=8, mlp_factors=4, genre_factors=2, hidden=(4, 2), heads=1)
SEQUENCES = Sequences.of([0, 0, 0, 1, 1], [0, 1, 2, 3, 4], range(5), [1.0] * 5)


def _network(seed=0):
    return NeuMF(SMALL, 2, np.zeros((6, 0), dtype=np.float32), torch.Generator().manual_seed(seed))


def test_the_rule_of_the_ring_is_learnt(ring, world):
    """For users never trained on, the item that follows is in the top two far more often than by popularity."""
    ranker = Ranker(ring.snapshot)
    walks = world["walks"](200, 12, seed=99)
    users = {}
    for user_id, event in walks:
        users.setdefault(user_id, []).append(event.item_id)
    histories = ranker.histories([world["profile"](*items[:-1]) for items in users.values()])
    lists = ranker.rank(histories, 2).rows
    wanted = ranker.items.rows(items[-1] for items in users.values())
    hits = np.mean((lists == wanted[:, None]).any(axis=1))
    counts = np.bincount(ranker.items.rows(one.item_id for _, one in ring.events), minlength=len(ranker))
    others = np.stack([np.delete(counts, row) for row in wanted])
    popular = hit_rate(half_ranks(counts[wanted], others), k=2)
    assert hits > 0.8
    assert popular < 0.2


def test_progress_is_told_every_step():
    """One window batch an epoch and five epochs are five steps of five, and 3 events x 5 samples x 5 epochs."""
    told = []
    result = fit(_network(), SEQUENCES, TrainingConfig(epochs=5), np.random.default_rng(0), told.append)
    assert [(step.number, step.of) for step in told] == [(number, 5) for number in range(1, 6)]
    assert (result.steps, result.samples) == (5, 75)


def test_a_small_log_is_passed_over_more_often():
    """With one step an epoch, at least seven steps take seven epochs."""
    assert fit(_network(), SEQUENCES, TrainingConfig(epochs=2, least_steps=7), np.random.default_rng(0)).steps == 7


def test_equal_seeds_train_equally():
    """Two trainings from one seed end in the same weights, dropout included."""
    ends = []
    for _ in range(2):
        network = _network()
        fit(network, SEQUENCES, TrainingConfig(epochs=3), np.random.default_rng(7))
        ends.append(network.item_factors)
    assert torch.equal(*ends)


def test_training_leaves_the_global_generators_alone():
    """Neither numpy's nor torch's global state moves."""
    before = torch.random.get_rng_state()
    fit(_network(), SEQUENCES, TrainingConfig(epochs=2), np.random.default_rng(0))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_loss_that_is_not_a_number_stops_the_training():
    """A spoilt weight is reported with the step and the users of the batch."""
    network = _network()
    with torch.no_grad():
        network.item_bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"step 1 .*users \[0, 1\]|step 1 .*users \[1, 0\]"):
        fit(network, SEQUENCES, TrainingConfig(epochs=1), np.random.default_rng(0))


def test_nothing_to_predict_is_refused():
    """One event for each user leaves no next one."""
    single = Sequences.of([0, 1], [0, 1], [0, 1], [1.0, 1.0])
    with pytest.raises(ValueError, match="two events"):
        fit(_network(), single, TrainingConfig(), np.random.default_rng(0))


def test_torch_generators_follow_the_numpy_one():
    """The same numpy seed makes the same torch generator, and a second call another."""
    generator = np.random.default_rng(0)
    first, second = torch_generator(generator), torch_generator(generator)
    assert first.initial_seed() == torch_generator(np.random.default_rng(0)).initial_seed()
    assert first.initial_seed() != second.initial_seed()
