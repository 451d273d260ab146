from dataclasses import replace

import numpy as np
import pytest

from replay.evaluation.behind import better_methods
from replay.evaluation.protocol import MethodRun, RankingPass


def runs(*ranks):
    """Return one run for each array of ranks among all items."""
    nobody, no_lists = np.zeros(120, dtype=np.int64), np.empty((0, 10), dtype=np.int64)
    return [
        MethodRun(seed, RankingPass(np.ones(60), np.asarray(some), nobody, no_lists), 0.0, 0.0)
        for seed, some in enumerate(ranks)
    ]


def test_the_lead_is_paired_over_users(ring_split):
    """60 users: ours hits 10, theirs these and 20 more: lead 20/60, standard error sqrt(20/60 * 40/59) / sqrt(60)."""
    mine = np.full(60, 99.0)
    mine[:10] = 1.0
    theirs = mine.copy()
    theirs[10:30] = 1.0
    first, *_ = better_methods(runs(mine), {"other": runs(theirs)}, ring_split, "full")
    assert (first.method, first.group, first.users) == ("other", "all", 60)
    assert (first.ours, first.hit_rate, first.lead) == pytest.approx((10 / 60, 30 / 60, 20 / 60))
    assert first.error == pytest.approx(np.sqrt(20 / 60 * 40 / 59 / 60))
    assert first.is_clear


def test_several_runs_count_as_their_mean(ring_split):
    """Ours hits all users in one of two runs, the other half of them in both: nobody is ahead."""
    half = np.where(np.arange(60) < 30, 1.0, 99.0)
    assert better_methods(runs(np.ones(60), np.full(60, 99.0)), {"half": runs(half)}, ring_split, "full") == ()


def test_of_a_group_only_a_clear_lead_is_told(ring_split):
    """All 60 users have 11 events, one group: one hit more in 60 is told of all users as chance, of the group not."""
    theirs = np.full(60, 99.0)
    theirs[0] = 1.0
    found = better_methods(runs(np.full(60, 99.0)), {"lucky": runs(theirs)}, ring_split, "full")
    assert [(one.group, one.is_clear) for one in found] == [("all", False)]


def test_the_ranks_among_negatives_are_compared_where_these_are_the_main_ones(ring_split):
    """Both hit everybody among the negatives, so nobody is ahead there."""
    other = [replace(one, ranks=replace(one.ranks, full=np.ones(60))) for one in runs(np.ones(60))]
    assert better_methods(runs(np.full(60, 99.0)), {"other": other}, ring_split, "sampled") == ()
