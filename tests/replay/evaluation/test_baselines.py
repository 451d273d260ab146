import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from model.metrics.ranking import hit_rate
from model.plain.fit import PlainTraining
from model.plain.network import PlainConfig
from replay.evaluation.baselines import BASELINES, baseline
from replay.evaluation.baselines.als import ImplicitALS
from replay.evaluation.baselines.cooccurrence import PairCounts
from replay.evaluation.baselines.ease import Ease
from replay.evaluation.baselines.item_knn import ItemKNN
from replay.evaluation.baselines.lightgcn import LightGCN, normalised, propagated
from replay.evaluation.baselines.matrix import interactions, overlaps
from replay.evaluation.baselines.nmf import NonNegative
from replay.evaluation.baselines.plain_neumf import PaperNeuMF
from replay.evaluation.baselines.popularity import MostPopular
from replay.evaluation.baselines.svd import TruncatedSVD
from replay.evaluation.protocol import rank_held_out

SMALL = (
    ItemKNN(neighbours=20, shrinkage=1.0),
    PairCounts(),
    Ease(ridge=1.0),
    ImplicitALS(factors=32, regularisation=0.1, confidence=10.0),
    TruncatedSVD(factors=24),
    NonNegative(factors=24),
    LightGCN(factors=32, layers=1, epochs=60, batch=60),
    PaperNeuMF(PlainConfig(8, (16, 8)), PlainTraining(epochs=40, batch=256, learning_rate=0.02)),
)


@pytest.fixture(autouse=True)
def one_thread():
    """Hold PyTorch to one thread, as sums in another order end in other last digits."""
    torch.set_num_threads(1)


def scores_of(method, split, seed=0):
    """Return all scores of a fitted method: float32 (U, N)."""
    return method.fit(split, np.random.default_rng(seed)).scores(0, len(split))


def test_the_matrix_holds_each_training_event_once(ring_split):
    """60 users with 11 training events; neighbours on the ring are shared by 10 steps of the walks that pass both."""
    touched = interactions(ring_split)
    assert touched.sum() == 660
    assert (touched.toarray()[7].nonzero()[0] == np.arange(14, 25)).all()
    both = overlaps(ring_split)
    walks = [set(range(2 * user, 2 * user + 11)) for user in range(60)]
    assert both[40, 43] == sum({40, 43} <= walk for walk in walks)
    assert (both.diagonal() == ring_split.owners()).all()


def test_popularity_scores_by_number_of_users(ring_split):
    """Everybody gets the same scores, which are counts."""
    scores = scores_of(MostPopular(), ring_split)
    assert (scores == ring_split.owners()).all()


@pytest.mark.parametrize("method", SMALL, ids=lambda method: type(method).__name__)
def test_what_comes_next_on_the_ring_is_among_the_first(ring_split, method):
    """Popularity never hits, for the end of a walk is a lesser item; who learns the ring nearly always does."""
    ranks = rank_held_out(method.fit(ring_split, np.random.default_rng(0)), ring_split)
    assert hit_rate(rank_held_out(MostPopular().fit(ring_split, np.random.default_rng(0)), ring_split).sampled) == 0.0
    assert hit_rate(ranks.sampled) >= 0.9
    assert scores_of(method, ring_split).dtype == np.float32


@pytest.mark.parametrize("method", SMALL, ids=lambda method: type(method).__name__)
def test_the_same_seed_gives_the_same_scores(ring_split, method):
    """Twice with one seed is the same to the last digit; a method that another seed changes says that it is random."""
    first, again = scores_of(method, ring_split), scores_of(method, ring_split)
    assert (first == again).all()
    assert method.is_random or (first == scores_of(method, ring_split, seed=1)).all()


def test_item_knn_follows_its_formula(ring_split):
    """Score of item 25 for user 7 (items 14 to 24), all being neighbours: the sum of overlap / (sqrt(n n) + 3)."""
    both = overlaps(ring_split).astype(np.float64)
    n = both.diagonal()
    expected = sum(both[25, item] / (np.sqrt(n[25] * n[item]) + 3.0) for item in range(14, 25))
    scores = scores_of(ItemKNN(neighbours=120, shrinkage=3.0), ring_split)
    assert scores[7, 25] == pytest.approx(expected, rel=1e-5)


def test_item_knn_asks_the_neighbours_of_the_scored_item(ring_split):
    """With two neighbours an item's score counts at most two of a user's items, whoever else is like it."""
    scores = scores_of(ItemKNN(neighbours=2, shrinkage=0.0), ring_split)
    alike = scores_of(ItemKNN(neighbours=120, shrinkage=0.0), ring_split)
    assert (scores <= alike + 1e-6).all()
    both, user = overlaps(ring_split).astype(np.float64), 7
    n = both.diagonal()
    to_25 = sorted((both[25, item] / np.sqrt(n[25] * n[item]), item) for item in range(120) if item != 25)
    expected = sum(value for value, item in to_25 if value >= to_25[-2][0] and 14 <= item <= 24)
    assert scores[user, 25] == pytest.approx(expected, rel=1e-5)


def test_ease_minimises_its_objective(ring_split):
    """Column 25 of the weights is what L-BFGS finds for |x - X b|^2 + ridge |b|^2 with b at 25 held at 0."""
    touched = interactions(ring_split).toarray().astype(np.float64)
    free = np.delete(touched, 25, axis=1)

    def objective(weights):
        error = free @ weights - touched[:, 25]
        return error @ error + 2.0 * weights @ weights, 2.0 * (free.T @ error) + 4.0 * weights

    found = minimize(objective, np.zeros(119), jac=True, method="L-BFGS-B", options={"gtol": 1e-10, "ftol": 1e-15})
    weights = Ease(ridge=2.0).fit(ring_split, np.random.default_rng(0)).weights
    assert np.abs(np.delete(weights[:, 25], 25) - found.x).max() < 1e-5
    assert weights[25, 25] == 0.0


def test_svd_is_the_best_approximation_of_its_rank(ring_split):
    """Its squared error is the sum of squares of the singular values left out, by LAPACK (Eckart-Young)."""
    touched = interactions(ring_split).toarray().astype(np.float64)
    left_out = np.linalg.svd(touched, compute_uv=False)[12:]
    scores = scores_of(TruncatedSVD(factors=12), ring_split)
    assert np.square(scores - touched).sum() == pytest.approx(np.square(left_out).sum(), rel=0.01)


def test_propagation_follows_its_formula(ring_split):
    """The mean of e, A e and A A e, where A is the adjacency over the roots of both degrees, built here densely."""
    touched = interactions(ring_split).toarray()
    n_users, n_items = touched.shape
    adjacency = np.zeros((n_users + n_items,) * 2)
    adjacency[:n_users, n_users:] = touched
    adjacency += adjacency.T
    degree = np.maximum(adjacency.sum(axis=1), 1.0)
    adjacency /= np.sqrt(np.outer(degree, degree))
    first = np.random.default_rng(0).normal(size=(n_users + n_items, 3))
    expected = (first + adjacency @ first + adjacency @ adjacency @ first) / 3
    found = propagated(normalised(interactions(ring_split)), torch.tensor(first, dtype=torch.float32), 2)
    assert np.abs(found.numpy() - expected).max() < 1e-6


def test_every_baseline_is_found_by_its_name():
    """Each name of the table leads to a class of that name with constants of its own."""
    assert [type(baseline(name)).__name__ for name in BASELINES] == [method for _, method in BASELINES.values()]


def test_co_occurrence_reads_what_followed_the_latest_items(ring_split):
    """Score of item 25 for user 7, who ended with 14 to 24: counts by hand, over 20 more than their sum, by a root."""
    events = {user: [(2 * user + step) % 120 for step in range(11)] for user in range(60)}
    counts = np.zeros((120, 120))
    for walk in events.values():
        for place, first in enumerate(walk):
            for lag, second in enumerate(walk[place + 1 :], start=1):
                counts[first, second] += 1 / (1 + 0.1 * (lag - 1))
    followed, owners = counts.sum(axis=1), ring_split.owners()
    latest = events[7][::-1]
    expected = sum(np.exp(-step / 8) * counts[item, 25] / (followed[item] + 20) for step, item in enumerate(latest))
    scores = scores_of(PairCounts(), ring_split)
    assert scores[7, 25] == pytest.approx(expected / np.sqrt(owners[25] + 1), rel=1e-5)
