"""Weights by the number of known items, and from where on personalised lists are expected to hit more."""

import numpy as np
import pytest

from model.network.blend import FEATURES, KNOTS, Blend, feature, knot_shares


def test_shares_of_knots_sum_to_one_and_meet_at_the_knots():
    """At a knot it counts alone, between two knots they share, and beyond the last one it stays."""
    shares = knot_shares(np.array([*KNOTS, 2, 1000]))
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert np.allclose(shares[: len(KNOTS)], np.eye(len(KNOTS)), atol=1e-6)
    assert np.count_nonzero(shares[-2]) == 2
    assert shares[-1].argmax() == len(KNOTS) - 1


def test_before_anything_is_learnt_a_personalised_list_is_the_networks_own():
    """Heads and evidence count once, all else not at all; cold start follows newcomers."""
    blend = Blend()
    assert not blend.is_learnt
    assert blend.handover() is None
    (personal,), (cold,) = (blend.at(np.array([7]), mode) for mode in ("personalized", "cold_start"))
    own = [name == "heads" or name.startswith("evidence") for name in FEATURES]
    assert np.allclose(personal, np.array(own, dtype=np.float32))
    assert np.flatnonzero(cold).tolist() == [feature("newcomers")]


@pytest.mark.parametrize(("cold", "personal", "expected"), [((90, 90), (10, 60), 3), ((50, 50), (48, 49), 1)])
def test_the_hand_over_is_where_most_hits_are_expected(cold, personal, expected):
    """Cold start keeps users with one or two known items only where it hits clearly more of them."""
    blend = Blend()
    blend.tests += 100.0
    blend.hits[0, 1:3], blend.hits[1, 1:3] = cold, personal
    blend.hits[1, 3:] = 20.0
    assert blend.handover() == expected
