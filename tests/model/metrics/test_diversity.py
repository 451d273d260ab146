"""Intra-list diversity: lists whose pairs can be counted by hand."""

import numpy as np

from model.metrics.diversity import genre_vectors, intra_list_diversity, mean_diversity

ALONG, ACROSS, NOTHING = (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)
VECTORS = np.array([ALONG, ALONG, ACROSS, (0.6, 0.8), NOTHING], dtype=np.float32)


def diversity_of(*rows):
    """Return that of one list."""
    return float(intra_list_diversity(VECTORS, np.array([rows]))[0])


def test_pairs_of_a_list_count_by_their_cosine():
    """Twins differ by 0, items that share nothing by 1, and a list by the mean over its pairs."""
    assert diversity_of(0, 1) == 0.0
    assert diversity_of(0, 2) == 1.0
    np.testing.assert_allclose(diversity_of(0, 2, 3), (1.0 + 0.4 + 0.2) / 3, atol=1e-6)


def test_an_item_of_which_nothing_is_known_is_like_no_other():
    """Its pairs count 1."""
    np.testing.assert_allclose(diversity_of(0, 1, 4), (0.0 + 1.0 + 1.0) / 3)


def test_a_shorter_list_counts_by_its_own_pairs_and_one_item_has_none():
    """Missing places add nothing, and a list without a pair has no diversity."""
    np.testing.assert_allclose(diversity_of(0, 2, -1), 1.0)
    assert np.isnan(diversity_of(0, -1, -1))
    assert np.isnan(diversity_of(-1, -1, -1))


def test_genres_are_directions_of_length_one():
    """Two genres weigh the root of a half each, in any case of letters; an item without genres has length 0."""
    half = 0.5**0.5
    found = genre_vectors([("Comedy", "Drama"), ("drama",), ()])
    np.testing.assert_allclose(found, [[half, half], [0.0, 1.0], [0.0, 0.0]], atol=1e-7)


def test_the_mean_is_over_lists_with_a_pair():
    """Of lists that differ by 0, by 1 and not at all the mean is a half; without a pair or a genre there is none."""
    assert mean_diversity(VECTORS, np.array([[0, 1], [0, 2], [0, -1]])) == 0.5
    assert np.isnan(mean_diversity(VECTORS, np.array([[0, -1]])))
    assert np.isnan(mean_diversity(np.zeros((2, 0), dtype=np.float32), np.array([[0, 1]])))
