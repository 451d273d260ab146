"""Impressions: what is counted of what a user was shown, and what that takes from an item."""

import numpy as np
import pytest

from model.history import Interaction, Profile
from model.reranking.impressions import MAX_ITEMS, discounted, impressions_after, untouched_impressions


def test_a_count_grows_with_each_list_and_fades_without():
    """Listed twice an item has 1 + .95 = 1.95; one that then makes way has .95 of its 1."""
    once = impressions_after(Profile("u"), ["a", "b"])
    twice = impressions_after(Profile("u", impressions=once), ["a", "c"])
    assert once == {"a": 1.0, "b": 1.0}
    assert twice == {"a": 1.95, "c": 1.0, "b": 0.95}
    assert list(twice) == ["a", "c", "b"]


def test_what_is_always_listed_comes_to_twenty():
    """1 + .95 + .95 ** 2 + ... is 20."""
    profile = Profile("u")
    for _ in range(400):
        profile = Profile("u", impressions=impressions_after(profile, ["a"]))
    assert profile.impressions["a"] == pytest.approx(20.0, abs=0.02)


def test_a_touched_item_is_shown_anew():
    """An item among the latest interactions has no count, and begins at one when it is listed again."""
    profile = Profile("u", recent=(Interaction("a", 1, "watch", 1.0),), impressions={"a": 9.0, "b": 2.0})
    assert untouched_impressions(profile) == {"b": 2.0}
    assert impressions_after(profile, ["a"]) == {"b": 1.9, "a": 1.0}


def test_counts_are_bounded():
    """Of more items than are kept the highest counts stay, and a count below a tenth goes."""
    many = {f"i{n}": 1.0 + n for n in range(MAX_ITEMS)}
    found = impressions_after(Profile("u", impressions=many), ["new"])
    assert len(found) == MAX_ITEMS
    assert "i0" not in found  # .95 * 1, less than one
    assert impressions_after(Profile("u", impressions={"old": 0.105}), []) == {}  # .95 * .105 = .09975


def test_the_discount_divides_the_odds():
    """Odds of 3 after three impressions, by 4 ** .5 = 2, are 1.5, a score of .6; no candidate stays none."""
    scores = np.array([[0.75, 0.75, -np.inf]], np.float32)
    found = discounted(scores, np.array([[3.0, 0.0, 3.0]], np.float32), 0.5)
    np.testing.assert_allclose(found[0, :2], [0.6, 0.75], atol=1e-6)
    assert np.isneginf(found[0, 2])
    np.testing.assert_allclose(discounted(scores, np.array([[3.0, 0.0, 3.0]], np.float32), 0.0), scores, atol=1e-6)
