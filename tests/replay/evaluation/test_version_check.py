from dataclasses import replace

import numpy as np
import pytest

from commands.parts.comparing import verdict
from model.catalogue import Catalogue, Item
from model.history import Interaction
from model.network.shape import NeuMFConfig
from model.training.fit import TrainingConfig
from model.training.learner import Learner, LearnerConfig
from model.training.rounds import RoundConfig
from replay.evaluation.version_check import check_version

TINY = NeuMFConfig(history_length=4, factors=8, mlp_factors=4, genre_factors=2, hidden=(4, 2))


@pytest.fixture(scope="module")
def candidate():
    """Return a version of 20 users who walk through 40 films from their own number on, the latest step held out."""
    rounds = RoundConfig(network=TINY, first=TrainingConfig(epochs=1))
    learner = Learner(LearnerConfig(held_out_share=0.1), rounds)
    steps = [(step, user) for step in range(10) for user in range(20)]
    learner.observe((f"u{user}", Interaction(f"i{user + step}", 60_000 * step, "rate", 1.0)) for step, user in steps)
    return learner.fine_tune(Catalogue.of(Item(f"i{row}", f"Item {row}") for row in range(40)), generator=chance())


def chance():
    """Return a generator."""
    return np.random.default_rng(0)


def test_each_user_is_asked_about_the_first_event_that_was_held_out(candidate):
    """Of 20 held-out events, one of each user, the blend took half; counts know what follows but for film 28."""
    found = check_version(candidate, chance())
    assert (found.users, found.simple["co-occurrence"]) == (10, 9 / 10)
    assert set(found.simple) == {"popularity", "item-knn", "co-occurrence"}


def test_a_version_that_knows_less_than_the_counts_is_behind_them(candidate):
    """With a bias against all the films that came next it hits none, and both lead and wording say so."""
    held_out = {event.item_id for event in candidate.material.held_out}
    snapshot = candidate.snapshot
    against = np.array([-100.0 * (item_id in held_out) for item_id in snapshot.items], np.float32)
    ignorant = replace(snapshot, weights={**snapshot.weights, "item_bias": against})
    found = check_version(replace(candidate, snapshot=ignorant), chance())
    first = found.better[0]
    assert (found.hit_rate, first.ours, first.hit_rate) == (0.0, 0.0, 9 / 10)
    said = verdict("v1", found.better, tuple(found.simple), 10)
    assert "v1 is worse than co-occurrence: HR@10 0.0000 against 0.9000, 0.9000 less" in said


def test_nothing_held_out_is_nothing_compared(candidate):
    """A version of which no event was held out is compared with nothing."""
    assert check_version(replace(candidate, material=replace(candidate.material, held_out=())), chance()) is None
