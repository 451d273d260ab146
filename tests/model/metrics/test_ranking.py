import math

import numpy as np
import pytest

from model.metrics.ranking import coverage, full_ranks, half_ranks, hit_rate, listed, ndcg, novelty, precision, recall


def test_a_tie_costs_half_a_place():
    """One better and two equal competitors give rank 1 + 1 + 2/2 = 3."""
    assert half_ranks([0.5], [[0.9, 0.5, 0.5, 0.1]]).tolist() == [3.0]


def test_a_constant_scorer_lands_in_the_middle():
    """With 99 equal competitors the rank is 1 + 99/2 = 50.5, a miss at 10."""
    ranks = half_ranks([1.0], np.ones((1, 99)))
    assert ranks.tolist() == [50.5]
    assert hit_rate(ranks) == 0.0


def test_half_ranks_are_not_the_mean_of_random_orders_under_heavy_ties():
    """All of C + 1 equal: random orders hit 10 / (C + 1) times; the half rank 1 + C/2 hits always up to C = 18."""
    generator = np.random.default_rng(0)
    for others, half in ((99, 0.0), (18, 1.0)):
        drawn = generator.random((20_000, others + 1))  # no two are equal: one random order in each row
        mean = hit_rate(half_ranks(drawn[:, 0], drawn[:, 1:]))
        assert mean == pytest.approx(10 / (others + 1), abs=0.02)
        assert hit_rate(half_ranks([1.0], np.ones((1, others)))) == half


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


def test_recall_and_precision_follow_from_the_hit_rate():
    """Ranks 1, 4, 6 and infinity at 5: two of four right items found, and 2 right among 4 * 5 places."""
    ranks = [1, 4, 6, math.inf]
    assert recall(ranks, 5) == 2 / 4
    assert precision(ranks, 5) == pytest.approx(2 / 20)


def test_a_list_holds_the_best_and_the_lower_rows_of_a_tie():
    """Of 5 7 5 5 one place is left for three equals, which row 0 gets; of four equals rows 0 and 1 are listed."""
    scores = np.array([[5, 7, 5, 5], [1, 1, 1, 1]], dtype=np.float32)
    assert listed(scores, 2).tolist() == [[True, True, False, False], [True, True, False, False]]


def test_lists_agree_with_a_stable_sort():
    """On small integers, which tie often, the marked items are the first k of a stable descending sort."""
    scores = np.random.default_rng(0).integers(0, 6, (50, 30)).astype(np.float32)
    expected = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(expected, np.argsort(-scores, axis=1, kind="stable")[:, :7], values=True, axis=1)
    assert (listed(scores, 7) == expected).all()


def test_a_list_is_shorter_where_too_little_may_be_listed():
    """One of three items is allowed and five are asked for: the list has one."""
    assert listed(np.array([[-np.inf, 2, -np.inf]], dtype=np.float32), 5).tolist() == [[False, True, False]]


def test_coverage_counts_items_and_not_lists():
    """Items 0 and 2 of four are listed, once and nine times: 2/4."""
    assert coverage(np.array([1, 0, 9, 0])) == 0.5
    assert coverage(np.empty(0, dtype=np.int64)) == 0.0


def test_novelty_is_the_mean_self_information():
    """Of 8 users 8, 2 and none have the items: 0, 2 and (as if one had) 3 bits; (2*0 + 1*2 + 1*3) / 4 = 1.25."""
    assert novelty(np.array([2, 1, 1]), np.array([8, 2, 0]), 8) == pytest.approx(1.25)
    assert novelty(np.array([0, 0, 0]), np.array([8, 2, 0]), 8) == 0.0
