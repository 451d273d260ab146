"""Fitting a method and ranking every held-out event with it, once.

One pass over the scores of all items gives both ranks of each event, among its negatives and among the whole catalogue
without what the user touched, and the lists of the k best. Everything that is reported is a function of these.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.metrics.ranking import full_ranks, half_ranks, listed
from replay.evaluation.scorers import ItemScorer, Method
from replay.evaluation.split import Split

__all__ = ["MethodRun", "RankingPass", "over_seeds", "rank_held_out", "run_method"]

USERS_PER_BATCH = 256  # users scored at once: 256 x 3,706 scores are 4 MB
SCORES_PER_BATCH = 1 << 22  # of a long catalogue: 16 MiB, which the allocator keeps from batch to batch


@dataclass(frozen=True, slots=True)
class RankingPass:
    """What one pass over a scorer's scores found.

    Parameters
    ----------
    sampled : float64 (U,), rank of each held-out item among itself and its negatives, one that is the item itself left
        out; 1 where there are none.
    full : float64 (U,), rank among all items that the user had not touched, or among all where repeats are kept.
    recommended : int64 (N,), on how many lists each item is.
    lists : int64 (U, k), rows of what each user's list holds, lowest row first, -1 where it is shorter.
    """

    sampled: NDArray[np.float64]
    full: NDArray[np.float64]
    recommended: NDArray[np.int64]
    lists: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MethodRun:
    """One fitted method, ranked.

    Parameters
    ----------
    seed : of everything random in the method.
    ranks : what its scores led to.
    fit_s, rank_s : seconds that fitting and ranking took.
    reranked : the same fitted method with its lists re-ranked, where that was asked for.
    """

    seed: int
    ranks: RankingPass
    fit_s: float
    rank_s: float
    reranked: "MethodRun | None" = None


def rank_held_out(scorer: ItemScorer, split: Split, k: int = 10) -> RankingPass:
    """Rank the held-out items of all tested users.

    k : length of the lists that are counted.

    Raises
    ------
    ValueError
        If a score is not a number.
    """
    sampled, full = np.empty(len(split)), np.empty(len(split))
    lists = np.full((len(split), min(k, split.n_items)), -1, dtype=np.int64)
    is_own = split.is_own_negative()  # (U, C)
    step = max(1, min(USERS_PER_BATCH, SCORES_PER_BATCH // split.n_items))
    for start in range(0, len(split), step):
        batch = slice(start, min(start + step, len(split)))
        scores = scorer.scores(batch.start, batch.stop)  # (B, N)
        candidates = split.candidates[batch]
        picked = np.take_along_axis(scores, candidates, axis=1)
        others = np.where(is_own[batch], np.float32("-inf"), picked[:, 1:])
        sampled[batch] = half_ranks(picked[:, 0], others)
        excluded = split.excluded(batch.start, batch.stop)
        full[batch] = full_ranks(scores, candidates[:, 0], excluded)
        lists[batch] = _rows(listed(np.where(excluded, np.float32("-inf"), scores), k), lists.shape[1])
    return RankingPass(sampled, full, np.bincount(lists[lists >= 0], minlength=split.n_items), lists)


def _rows(is_listed: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """Return the rows of what is listed, int64 (B, k), lowest first, -1 where there are fewer."""
    found = np.full((len(is_listed), k), -1, dtype=np.int64)
    users, rows = np.nonzero(is_listed)
    counts = is_listed.sum(axis=1)
    found[users, np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)] = rows
    return found


def run_method(
    method: Method, split: Split, seed: int, k: int = 10, rerank: Callable[[ItemScorer], ItemScorer] | None = None
) -> MethodRun:
    """Fit a method and rank with it; with ``rerank`` once more with what that makes of its scorer."""
    began = time.monotonic()
    scorer = method.fit(split, np.random.default_rng(seed))
    fitted = time.monotonic()
    ranks = rank_held_out(scorer, split, k)
    run = MethodRun(seed, ranks, fitted - began, time.monotonic() - fitted)
    if rerank is None:
        return run
    began = time.monotonic()
    again = rank_held_out(rerank(scorer), split, k)
    return replace(run, reranked=replace(run, ranks=again, rank_s=time.monotonic() - began))


def over_seeds(
    method: Method,
    split: Split,
    seeds: Iterable[int],
    k: int = 10,
    done: Callable[[MethodRun], None] | None = None,
    rerank: Callable[[ItemScorer], ItemScorer] | None = None,
) -> tuple[MethodRun, ...]:
    """Fit and rank once for each seed, or once in all where nothing in the method is random.

    done : called after each run.
    rerank : makes, of a fitted scorer, the one of its re-ranked lists.
    """
    runs = []
    for seed in seeds if method.is_random else list(seeds)[:1]:
        runs.append(run_method(method, split, seed, k, rerank))
        if done is not None:
            done(runs[-1])
    return tuple(runs)
