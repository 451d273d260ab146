"""Lists from candidates: the two terms, each by hand."""

import numpy as np
import pytest

from model.reranking.calibration import distances_with_each, shares_of
from model.reranking.diversified import DiversityConfig, ListMaterial, diversified
from model.reranking.mmr import likeness_to_listed, relevance_of

SAME, OTHER = (1.0, 0.0), (0.0, 1.0)


def scores_of(relevance):
    """Return the scores of which these are the softmax, as far as each is above 0."""
    logits = np.log(np.maximum(np.array(relevance, dtype=np.float64), 1e-4))
    return np.where(np.isneginf(relevance), -np.inf, 1.0 / (1.0 + np.exp(-logits)))


def material(relevance, vectors=None, genres=None, wanted=(0.0, 0.0)):
    """Return what is known of one user's candidates, who are this likely to come next up to a common factor."""
    n = len(relevance)
    return ListMaterial(
        np.array([scores_of(relevance)], dtype=np.float32),
        np.array([vectors or [SAME] * n], dtype=np.float32),
        np.array([genres or [SAME] * n], dtype=np.float32),
        np.array([wanted], dtype=np.float32),
    )


def places(found, k=3, **weights):
    """Return one user's list."""
    return diversified(found, k, DiversityConfig(**weights))[0].tolist()


def test_without_a_weight_the_list_is_the_one_of_the_scores():
    """The best come first, ties to the earlier candidate; who has fewer candidates gets a shorter list."""
    assert places(material([0.3, 0.9, 0.9, 0.1])) == [1, 2, 0]
    assert places(material([0.3, 0.9, -np.inf, -np.inf])) == [1, 0, -1]
    assert places(material([-np.inf, -np.inf])) == [-1, -1]


def test_mmr_takes_what_is_unlike_the_listed_item():
    """With 0.5 a twin of what is listed is worth (1 - 0.5) 1.0 - 0.5 = 0, the unlike one (1 - 0.5) 0.6 = 0.3."""
    found = material([1.2, 1.0, 0.6, 0.2], vectors=[SAME, SAME, OTHER, OTHER])
    assert places(found, mmr=0.5) == [0, 2, 1]
    assert places(found, mmr=0.0) == [0, 1, 2]


def test_likeness_is_the_mean_over_what_is_listed():
    """Of one item that is like and one that is not, a candidate is half like the list; nothing is like an empty one."""
    vectors = np.array([[SAME, OTHER, (0.8, 0.6)]], np.float32)
    both = vectors[:, 0] + vectors[:, 1]
    np.testing.assert_allclose(likeness_to_listed(vectors, both, 2), [[0.5, 0.5, 0.7]], atol=1e-6)
    np.testing.assert_allclose(likeness_to_listed(vectors, 0.0 * both, 0), [[0.0, 0.0, 0.0]])


def test_calibration_brings_in_a_genre_that_the_user_likes():
    """Half of what the user likes is the other genre: of two like candidates the one that was missing comes second."""
    found = material([1.2, 1.0, 0.7, 0.1], genres=[SAME, SAME, OTHER, SAME], wanted=(0.5, 0.5))
    assert places(found, calibration=0.5) == [0, 2, 1]
    assert places(found, calibration=0.0) == [0, 1, 2]


def test_nobody_is_calibrated_whose_genres_are_not_known():
    """Without shares every distance is zero."""
    found = material([1.0, 0.9, 0.8], genres=[SAME, SAME, OTHER])
    assert places(found, calibration=1.0) == [0, 1, 2]


def test_users_of_one_batch_do_not_touch_each_other():
    """Each list is the one that its user would get alone."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(4, 9, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    genres = draw.random((4, 9, 3)).astype(np.float32)
    genres /= genres.sum(axis=2, keepdims=True)
    all_of = ListMaterial(
        draw.random((4, 9)).astype(np.float32),
        vectors,
        genres,
        shares_of(genres, np.ones((4, 9), dtype=np.float32)),
    )
    config = DiversityConfig(0.3, 0.3)
    together = diversified(all_of, 5, config)
    for user in range(4):
        some = slice(user, user + 1)
        alone = ListMaterial(all_of.scores[some], all_of.vectors[some], all_of.genres[some], all_of.wanted[some])
        assert diversified(alone, 5, config).tolist() == together[some].tolist()


def test_the_distance_is_that_of_the_paper():
    """KL of (.5, .5) from (1, 0) smoothed by .01: .5 log(.5 / .995) + .5 log(.5 / .005) = 1.9585."""
    wanted, genres = np.array([[0.5, 0.5]], np.float32), np.array([[SAME, OTHER]], np.float32)
    found = distances_with_each(wanted, np.zeros((1, 2), np.float32), genres)
    np.testing.assert_allclose(found, [[1.9585, 1.9585]], atol=1e-4)
    found = distances_with_each(wanted, np.array([[1.0, 0.0]], np.float32), genres)
    np.testing.assert_allclose(found, [[1.9585, 0.0]], atol=1e-4)


def test_relevance_is_how_likely_a_candidate_comes_next_times_the_length():
    """Odds of 3, 1 and 1 are shares of .6, .2 and .2, for a list of two 1.2, .4 and .4."""
    found = relevance_of(np.array([[0.75, 0.5, 0.5, -np.inf], [1.0, 0.0, 0.0, 0.0]], np.float32), 2)
    np.testing.assert_allclose(found[0, :3], [1.2, 0.4, 0.4], atol=1e-6)
    assert np.isneginf(found[0, 3])
    np.testing.assert_allclose(found[1], [2.0, 0.0, 0.0, 0.0], atol=1e-4)


@pytest.mark.parametrize(
    "weights",
    [
        {"mmr": 1.0},
        {"mmr": -0.1},
        {"calibration": 1.1},
        {"calibration": float("nan")},
        {"impression_discount": 1.1},
        {"impression_discount": float("nan")},
    ],
)
def test_a_weight_out_of_range_is_refused(weights):
    """Each weight is a share, and relevance always counts."""
    with pytest.raises(ValueError, match="DiversityConfig"):
        DiversityConfig(**weights)
