"""Places for new items: which are promising, how each is drawn, and with what probability."""

from collections import Counter
from math import sqrt
from random import Random

import pytest

from model.catalogue import Catalogue, Item
from model.ranking.cold_start import ScoredItem
from model.ranking.exposure import (
    ExposureConfig,
    ExposureEvidence,
    NewItem,
    Showings,
    expose,
    most_promising,
    newest_first,
)

RANKED = tuple(ScoredItem(f"r{n}", 1.0 - n / 100, "trending", "Trending now") for n in range(12))
NEW = (NewItem("a", 0.02, 0.06), NewItem("b", 0.01, 0.03), NewItem("c", 0.01, 0.01))


def test_the_bound_is_the_posterior_mean_and_its_deviation():
    """After 80 showings with 5 hits and a prior of 20 at .05 the mean is .06 = (1 + 5) / 100, over a weight of 101."""
    evidence = ExposureEvidence(showings={"a": Showings(80, 5)}, hit_rate=0.05)
    [found] = most_promising(["a"], evidence, ExposureConfig(prior=20.0, optimism=2.0))
    assert found.mean == pytest.approx(0.06)
    assert found.bound == pytest.approx(0.06 + 2.0 * sqrt(0.06 * 0.94 / 101.0))


def test_an_item_is_new_until_so_many_events_have_touched_it():
    """Touched by 49 events an item is new, touched by 50 it is not; one that nobody has touched is."""
    evidence = ExposureEvidence({"a": 49, "b": 50})
    assert [item.item_id for item in most_promising(["a", "b", "c"], evidence, ExposureConfig(until=50))] == ["a", "c"]


def test_an_item_is_given_up_when_its_bound_is_below_the_last_place():
    """At .05 an item without a hit is given up between 5 and 40 showings; with a hit in ten it stays."""
    showings = {"few": Showings(5), "many": Showings(40), "good": Showings(40, 4)}
    found = most_promising(["few", "many", "good"], ExposureEvidence(showings=showings, hit_rate=0.05))
    assert [item.item_id for item in found] == ["few", "good"]


def test_the_newest_come_first_up_to_the_bounds():
    """Of four new items the two newest are drawn from; the fourth is not even looked at among three candidates."""
    config = ExposureConfig(candidates=3, pool=2)
    assert [item.item_id for item in most_promising("abcd", ExposureEvidence(), config)] == ["a", "b"]
    touched = ExposureEvidence({"a": 99, "b": 99})
    assert [item.item_id for item in most_promising("abcd", touched, config)] == ["c"]


def test_the_newest_items_are_those_of_no_year_then_by_year_then_the_last_to_come():
    """Nothing says that a film without a year is old; of two of one year the later in the catalogue is the newer."""
    years = {"a": 1999, "b": None, "c": 2001, "d": 1999, "e": None}
    catalogue = Catalogue.of(Item(item_id, item_id, year) for item_id, year in years.items())
    assert newest_first(catalogue) == ("e", "b", "c", "d", "a")


def test_each_item_has_the_last_place_as_often_as_its_propensity_says():
    """With a share of .2 and bounds .06, .03, .01 they have it in .12, .06 and .02 of lists, the ranked one in .8."""
    n = 20_000
    found = [expose(RANKED, 10, NEW, 0.2, Random(f"rec{seed}")) for seed in range(n)]
    last = Counter((one.items[-1].item_id, round(one.propensity, 9)) for one in found)
    expected = {("a", 0.12): 0.12, ("b", 0.06): 0.06, ("c", 0.02): 0.02, ("r9", 0.8): 0.8}
    assert set(last) == set(expected)
    assert all(last[key] / n == pytest.approx(p, abs=4 * sqrt(p * (1 - p) / n)) for key, p in expected.items())
    assert {one.items[:9] for one in found} == {RANKED[:9]}


def test_a_new_item_that_is_listed_anyway_is_not_drawn():
    """Ranked third, a new item stays there, and the others share the place."""
    ranked = (*RANKED[:2], ScoredItem("a", 0.5, "neumf", "Because of"), *RANKED[2:])
    found = [expose(ranked, 10, NEW, 1.0, Random(seed)) for seed in range(200)]
    assert {one.items[-1].item_id for one in found} == {"b", "c"}
    assert {one.items[2] for one in found} == {ranked[2]}
    assert {round(one.propensity, 9) for one in found} == {0.75, 0.25}


@pytest.mark.parametrize(
    ("ranked", "new", "share"), [(RANKED, NEW, 0.0), (RANKED, (), 0.5), (RANKED[:9], NEW, 0.5), ((), NEW, 0.5)]
)
def test_where_nothing_may_be_exposed_the_list_is_as_ranked(ranked, new, share):
    """Without a share, without new items, or with fewer than ten candidates, each item is there for certain."""
    found = expose(ranked, 10, new, share, Random(1))
    assert (found.items, found.propensity) == (ranked[:10], 1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"until": 0}, {"candidates": 0}, {"pool": 0}, {"prior": 0.0}, {"optimism": -1.0}, {"optimism": float("nan")}],
)
def test_a_configuration_out_of_range_is_refused(wrong):
    """The message names the field and its value."""
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must .*got"):
        ExposureConfig(**wrong)
