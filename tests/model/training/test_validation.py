import numpy as np
import pytest
import torch

from model.network.shape import NeuMFConfig
from model.sequences import Sequences
from model.trainable.neumf import NeuMF
from model.training.fit import TrainingConfig, TrainingHooks, fit
from model.training.validation import ValidationEvents

SMALL = NeuMFConfig(history_length=4, factors=8, mlp_factors=4, genre_factors=2, hidden=(4, 2), heads=1)


def _cycles(n_users=60, n_items=120):
    """Return users who walk up a ring of items, five each."""
    users = np.repeat(np.arange(n_users), 5)
    items = (np.repeat(np.arange(n_users) * 7, 5) + np.tile(np.arange(5), n_users)) % n_items
    return Sequences.of(users, items, np.tile(np.arange(5) * 1000, n_users), np.ones(len(users)))


def test_the_latest_event_of_every_user_with_three_is_held_out():
    """Of users with 2, 3 and 4 events, the second loses item 12 and the third 23; the first keeps both."""
    users, items = [0, 0, 1, 1, 1, 2, 2, 2, 2], [0, 1, 10, 11, 12, 20, 21, 22, 23]
    held_out, left = ValidationEvents.of(Sequences.of(users, items, range(9), [1.0] * 9), np.random.default_rng(0))
    assert left.items.tolist() == [0, 1, 10, 11, 20, 21, 22]
    assert held_out.rows[:, 0].tolist() == [12, 23]
    assert left.items[held_out.at].tolist() == [11, 22]
    touched = {0: {10, 11, 12}, 1: {20, 21, 22, 23}}
    assert all(not touched[place] & set(row[1:].tolist()) for place, row in enumerate(held_out.rows))


def test_users_of_two_events_leave_nothing_to_stop_by():
    """Holding out one of two would leave nothing to predict."""
    with pytest.raises(ValueError, match="three events"):
        ValidationEvents.of(Sequences.of([0, 0], [0, 1], [0, 1], [1.0, 1.0]), np.random.default_rng(0))


def test_learning_the_rule_raises_the_score():
    """On a ring whose next item is certain the score goes from about 10 of 100 to far above."""
    held_out, left = ValidationEvents.of(_cycles(), np.random.default_rng(0))
    network = NeuMF(SMALL, 60, np.zeros((120, 0), dtype=np.float32), torch.Generator().manual_seed(0))
    before = held_out.hit_rate(network)
    config = TrainingConfig(epochs=15, batch=16, learning_rate=2.0e-2, patience=15)
    result = fit(network, left, config, np.random.default_rng(0), hooks=TrainingHooks(score=held_out.hit_rate))
    assert before < 0.3
    assert max(result.scores) > 0.6
    assert held_out.hit_rate(network) == max(result.scores)
