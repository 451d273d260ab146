"""Places left to chance: which stay, which are drawn, and with what probability."""

from collections import Counter
from itertools import groupby
from math import sqrt
from random import Random

import pytest

from model.ranking.exploration import explore

ITEMS = tuple(range(40))


def test_the_first_places_stay_and_the_last_are_drawn():
    """Of ten places two are drawn from the 32 behind the eighth: each of those is there with probability 2 / 32."""
    found = explore(ITEMS, 10, 2, Random(1))
    assert found.ranked == ITEMS[:8]
    assert len(set(found.drawn)) == 2
    assert set(found.drawn) <= set(ITEMS[8:])
    assert found.propensity == 2 / 32


def test_every_candidate_is_drawn_as_often_as_its_propensity_says():
    """Over 8,000 draws of 2 among 16 each is there 1,000 times, within four deviations sqrt(8000 * 7 / 64) = 29.6."""
    drawn = Counter(item for seed in range(8000) for item in explore(ITEMS[:24], 10, 2, Random(f"rec{seed}")).drawn)
    assert set(drawn) == set(ITEMS[8:24])
    assert all(n == pytest.approx(1000, abs=4 * sqrt(8000 * 2 / 16 * 14 / 16)) for n in drawn.values())


def test_every_pair_is_drawn_equally_often():
    """Without replacement, each of the 6 pairs of 4 comes 1,000 times in 6,000, within four deviations of 28.9 each."""
    pairs = Counter(frozenset(explore(ITEMS[:5], 3, 2, Random(f"rec{seed}")).drawn) for seed in range(6000))
    assert len(pairs) == 6
    assert all(n == pytest.approx(1000, abs=4 * sqrt(6000 * 1 / 6 * 5 / 6)) for n in pairs.values())


@pytest.mark.parametrize(("n", "slots"), [(40, 0), (10, 2), (9, 2), (3, 2), (0, 2)])
def test_where_there_is_nothing_to_choose_the_list_is_as_ranked(n, slots):
    """Without places for chance, or with no more candidates than places, each item is there for certain."""
    found = explore(ITEMS[:n], 10, slots, Random(1))
    assert (found.ranked, found.drawn, found.propensity) == (ITEMS[: min(n, 10)], (), 1.0)


def test_more_places_than_the_list_has_are_all_of_them():
    """Five places for chance in a list of three leave none to the ranking: 3 of 40 are drawn."""
    found = explore(ITEMS, 3, 5, Random(1))
    assert (found.ranked, len(found.drawn), found.propensity) == ((), 3, 3 / 40)


def logged(n):
    """Return n lists, of which three in ten could not explore, and whether item 12 was touched where it was shown."""
    chance = Random(1)
    for seed in range(n):
        can_explore = chance.random() < 0.7
        found = explore(ITEMS[:24] if can_explore else ITEMS[:10], 10, 2, Random(f"rec{seed}"))
        yield found, 12 in found.drawn and chance.random() < 0.3


def test_weighted_by_propensity_the_log_judges_another_ranking():
    """Item 12 is touched in 30 % of its showings, and so is the mean of touched / p over lists that could show it."""
    # drawn and touched with 2 / 16 * 0.3 = 0.0375 it counts 8: sqrt(0.0375 * 0.9625 / 14,000) * 8 = 0.0128
    weights = [touched / found.propensity for found, touched in logged(20_000) if found.drawn]
    assert len(weights) == pytest.approx(14_000, abs=4 * sqrt(20_000 * 0.7 * 0.3))
    assert sum(weights) / len(weights) == pytest.approx(0.3, abs=4 * 0.0128)


def test_lists_that_could_not_explore_would_pull_the_mean_down():
    """Over all lists the same sum comes to 0.7 * 0.3 = 0.21, more than four deviations of 0.0107 below 0.3."""
    weights = [touched / found.propensity for found, touched in logged(20_000)]
    mean = sum(weights) / len(weights)
    assert mean == pytest.approx(0.21, abs=4 * 0.0107)
    assert mean < 0.3 - 4 * 0.0107


def test_the_mean_over_many_logs_is_that_of_the_lists_that_could_explore():
    """Of 40 logs of 2,000 lists the mean is 0.3 within four deviations of 0.0064, so the estimate has no bias."""
    # 0.0375 * 0.9625 / 56,000 lists that could explore: sqrt of it times 8 is 0.0064
    means = []
    for _, part in groupby(enumerate(logged(80_000)), key=lambda numbered: numbered[0] // 2000):
        weights = [touched / found.propensity for _, (found, touched) in part if found.drawn]
        means.append(sum(weights) / len(weights))
    assert sum(means) / len(means) == pytest.approx(0.3, abs=4 * 0.0064)
