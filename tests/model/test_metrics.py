import math

import numpy as np
import pytest

from model.metrics import full_ranks, half_ranks, hit_rate, ndcg


def test_a_tie_costs_half_a_place():
    """One better and two equal competitors give rank 1 + 1 + 2/2 = 3."""
    assert half_ranks([0.5], [[0.9, 0.5, 0.5, 0.1]]).tolist() == [3.0]


def test_a_constant_scorer_lands_in_the_middle():
    """With 99 equal competitors the rank is 1 + 99/2 = 50.5, a miss at 10."""
    ranks = half_ranks([1.0], np.ones((1, 99)))
    assert ranks.tolist() == [50.5]
    assert hit_rate(ranks) == 0.0


def test_nan_is_refused():
    """A score that is not a number would beat everybody without being better."""
    with pytest.raises(ValueError, match="nan"):
        half_ranks([math.nan], [[1.0]])


def test_known_items_do_not_compete_and_the_target_always_does():
    """Of scores 4 3 2 1 with item 0 known, item 2 has one better (item 1): rank 2; item 0 itself ranks 1."""
    scores = np.array([[4, 3, 2, 1]] * 3, dtype=np.float32)
    known = np.array([[True, False, False, False]] * 3)
    assert full_ranks(scores, np.array([2, 0, -1]), known).tolist() == [2.0, 1.0, math.inf]


def test_hit_rate_counts_the_tenth_place_and_not_the_next_half():
    """Ranks 1, 10, 10.5 and infinity: two of four are within 10."""
    assert hit_rate([1, 10, 10.5, math.inf]) == 0.5


def test_ndcg_follows_the_formula():
    """Ranks 1, 3 and 11: (1/log2(2) + 1/log2(4) + 0) / 3 = (1 + 0.5) / 3 = 0.5."""
    assert ndcg([1, 3, 11]) == pytest.approx(0.5)


def test_no_ranks_give_zero():
    """Nothing measured is nothing won."""
    assert (hit_rate([]), ndcg([])) == (0.0, 0.0)
