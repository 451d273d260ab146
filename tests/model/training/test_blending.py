"""What the blend learns from events, and how far it lets few of them move it."""

import numpy as np
import pytest

from model.history import Interaction, Profile
from model.network.blend import Blend, feature
from model.ranking.exact import Ranker
from model.ranking.signals import Signals
from model.training.blending import learnt_blend
from model.training.held_out import HeldOutEvent
from tests.toy import toy_snapshot

ITEMS = [f"i{n}" for n in range(40)]


@pytest.fixture(scope="module")
def ranker():
    """Rank forty items by a network that has learnt nothing."""
    return Ranker(toy_snapshot(ITEMS))


def came(user, item, recent=("i39",)):
    """Return an event of a user who had touched some items."""
    history = tuple(Interaction(one, 1000 * place, "rate", 1.0) for place, one in enumerate(reversed(recent)))[::-1]
    return HeldOutEvent(Profile(user, recent=history, seen=len(history)), item)


def hot(*items):
    """Return signals in which some items trend."""
    heat = np.array([item in items for item in ITEMS], dtype=np.float32)
    return Signals(heat, np.zeros(len(ITEMS), dtype=np.float32))


def test_what_foretells_the_events_gains_weight(ranker):
    """Two hundred events with what trends teach that trending tells what comes, in both modes and at each length."""
    tests = [came(f"u{n}", f"i{n % 4}") for n in range(200)]
    blend = learnt_blend(ranker, hot("i0", "i1", "i2", "i3"), tests, np.random.default_rng(0))
    assert blend.is_learnt
    assert (blend.weights[:, 1, feature("trending")] > 1.0).all()
    assert (blend.weights[:, 1, feature("trending")] > blend.weights[:, 1, feature("newcomers_trending")]).all()
    assert blend.hits.sum() > 1.8 * blend.tests.sum()  # of both modes


def test_cold_start_never_learns_to_use_the_network(ranker):
    """Its weights of heads and taste stay at zero."""
    tests = [came(f"u{n}", f"i{n % 7}") for n in range(100)]
    blend = learnt_blend(ranker, Signals.none(len(ranker)), tests, np.random.default_rng(0))
    assert not blend.weights[0][:, [feature("heads"), feature("taste")]].any()


def test_few_users_are_no_sample(ranker):
    """Nine users teach nothing, however many their events are."""
    tests = [came(f"u{n % 9}", f"i{n % 4}", recent=tuple(f"i{k}" for k in range(10, 20))) for n in range(400)]
    blend = learnt_blend(ranker, hot("i0", "i1"), tests, np.random.default_rng(0))
    assert not blend.is_learnt
    assert np.array_equal(blend.weights, Blend().weights)


def test_one_user_speaks_for_a_tenth_at_most(ranker):
    """Seven of ten events are one user's; what the others touch still weighs more."""
    busy = [came("busy", "i0") for _ in range(700)]
    others = [came(f"u{n}", "i20") for n in range(300)]
    signals = Signals(
        np.array([item == "i0" for item in ITEMS], dtype=np.float32),
        np.array([item == "i20" for item in ITEMS], dtype=np.float32),
    )
    weights = learnt_blend(ranker, signals, busy + others, np.random.default_rng(0)).weights[1, 1]
    assert weights[feature("newcomers_trending")] > weights[feature("trending")]


def test_equal_seeds_learn_the_same(ranker):
    """The choice of events and items is the generator's alone."""
    tests = [came(f"u{n}", f"i{n % 11}") for n in range(3000)]
    found = [learnt_blend(ranker, hot("i3"), tests, np.random.default_rng(4)).weights for _ in range(2)]
    assert np.array_equal(*found)
