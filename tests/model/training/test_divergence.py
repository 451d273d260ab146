from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from model.history import Interaction
from model.training.divergence import require_not_diverged
from model.training.fit import TrainingConfig
from model.training.learner import Learner
from model.training.rounds import RoundConfig


def scaled(snapshot, name, factor):
    """Return a snapshot with one tensor multiplied."""
    return replace(snapshot, weights={**snapshot.weights, name: snapshot.weights[name] * factor})


def test_an_ordinary_round_is_within_bounds(ring):
    """Weights that doubled, and counts that grew a thousandfold, are accepted."""
    for name, factor in (("item_factors", 2.0), ("evidence.counts", 1000.0), ("evidence.touched", 1000.0)):
        require_not_diverged(ring.snapshot, scaled(ring.snapshot, name, factor))


@pytest.mark.parametrize("name", ["item_factors", "second.weight", "fuse_gmf"])
def test_an_exploding_norm_is_refused(ring, name):
    """A table whose norm grew a thousandfold is named, with what was allowed."""
    with pytest.raises(FloatingPointError, match=f"'{name}' must stay below"):
        require_not_diverged(ring.snapshot, scaled(ring.snapshot, name, 1000.0))


@pytest.mark.parametrize("name", ["item_factors", "item_bias", "user_factors"])
def test_one_exploding_row_is_refused(ring, name):
    """A single row of a large table, which its mean would hide, is on top of every list."""
    table = np.concatenate([ring.snapshot.weights[name]] * 1000)
    before = SimpleNamespace(weights={name: table})
    table = table.copy()
    table[7] = 300.0
    with pytest.raises(FloatingPointError, match=f"'{name}' must stay below"):
        require_not_diverged(before, SimpleNamespace(weights={name: table}))


def test_small_weights_may_grow(ring):
    """A table of zeros may become an ordinary one: its bound is 10 times 0.1, not 10 times nothing."""
    before = scaled(ring.snapshot, "user_factors", 0.0)
    ordinary = np.full_like(ring.snapshot.weights["user_factors"], 0.9)
    require_not_diverged(before, replace(before, weights={**before.weights, "user_factors": ordinary}))
    with pytest.raises(FloatingPointError, match="must stay below 1,"):
        require_not_diverged(before, replace(before, weights={**before.weights, "user_factors": 1.2 * ordinary}))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_even_of_a_first_version(ring, number):
    """One NaN or infinity in a table is enough."""
    weight = ring.snapshot.weights["item_bias"].copy()
    weight[3] = number
    with pytest.raises(FloatingPointError, match="item_bias"):
        require_not_diverged(None, replace(ring.snapshot, weights={**ring.snapshot.weights, "item_bias": weight}))


def test_a_round_at_an_absurd_rate_leads_to_no_candidate(ring):
    """With a learning rate of 50 the weights explode, and the round says so instead of offering a version."""
    tuning = TrainingConfig(epochs=2, batch=4, learning_rate=50.0)
    learner = Learner(rounds=RoundConfig(network=ring.config, tuning=tuning), champion=ring.snapshot)
    learner.preload(ring.events)
    learner.observe([("u0", Interaction(f"i{item}", 10**9 + item, "watch", 1.0)) for item in range(40)])
    with pytest.raises(FloatingPointError):
        learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))


def test_the_round_after_a_divergence_is_more_cautious(ring):
    """Its rate and its events are half of what was configured."""
    learner = Learner(rounds=RoundConfig(max_predicted=600), champion=ring.snapshot)
    learner.abandon_round()
    assert learner.scaled_rounds() == learner.rounds
    learner.abandon_round(diverged=True)
    scaled = learner.scaled_rounds()
    assert scaled.tuning.learning_rate == learner.rounds.tuning.learning_rate / 2
    assert scaled.max_predicted == 300
