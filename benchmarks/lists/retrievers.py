"""How many held-out items are among the candidates that each retriever proposes, alone and together.

Run: ``python -m benchmarks.lists.retrievers ml-100k [--epochs 18] [--users 2000]`` (or the path of a log). Each user's
last event is held out. Every retriever proposes the same number of items that its user has not touched:

* ``tower`` is the index of the network alone: the linear part of GMF, MLP and biases (``model/ranking/retrieval.py``),
* ``followers`` and ``popular`` are what is proposed beside any index: what most often follows a user's items, and what
  most touch,
* ``taste`` is ALS as it is part of a version (``model/network/taste.py``), folded in from the newest 50 items,
* ``als`` and ``lightgcn`` are the baselines of ``reelstream eval``, which know each user's whole history,
* ``index`` is tower and taste in one inner product, each as much as the blend lets it count,
* ``blend`` is the same with genres and popularity, which are inner products too.

Names joined by ``+`` take turns, best first, until there are as many distinct items. Printed are the share of held-out
items among them with its standard error over users, the differences to the first and to the second line with theirs,
and the share of the exact list's ten items. Not run by the test suite.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from commands.parts.training_options import training_of
from model.network.blend import feature
from model.network.served import ServedNetwork
from model.network.shape import NeuMFConfig
from model.ranking.exact import HistoryBatch, recent_of
from model.ranking.retrieval import (
    FOLLOWERS_PER_ITEM,
    POPULAR_PER_FEATURE,
    RECENT_ITEMS,
    RetrievalConfig,
    RetrievingRanker,
)
from model.ranking.signals import Signals
from model.vocabulary import Rows
from replay.datasets.readers import read_dataset
from replay.evaluation.baselines import baseline
from replay.evaluation.leave_one_out import leave_one_out
from replay.evaluation.neumf import TrainedNeuMF
from replay.evaluation.scorers import RankerScorer
from replay.evaluation.split import Split

Scores = NDArray[np.float32]

BESIDE = "followers+popular"
FIRST = f"tower+{BESIDE}"
COMPARED = (
    FIRST,
    f"index+{BESIDE}",
    f"blend+{BESIDE}",
    f"{FIRST}+taste",
    f"{FIRST}+als",
    f"{FIRST}+lightgcn",
    f"index+{BESIDE}+lightgcn",
    "tower",
    "index",
    "blend",
    "taste",
    "als",
    "lightgcn",
    "tower+taste",
    "index+lightgcn",
)
SIZES = (100, 200, 500)
LISTED = 10


def main() -> None:
    """Print a table for each number of candidates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--epochs", type=int, default=18, help="of the network's training")
    parser.add_argument("--users", type=int, default=2000, help="tested, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    split = leave_one_out(read_dataset(given.dataset, seed=given.seed), np.random.default_rng(given.seed), negatives=0)
    asked = np.sort(np.random.default_rng(given.seed).permutation(len(split))[: given.users])
    began = time.process_time()
    method = TrainedNeuMF(NeuMFConfig(), training_of(len(split.train), given.epochs))
    ranker = RetrievingRanker(method.snapshot(split, np.random.default_rng(given.seed)))
    alone = RetrievingRanker(ranker.snapshot, RetrievalConfig(taste=False))
    print(
        f"{given.dataset}: {len(split.train):,} events, {split.n_items:,} items, {len(asked):,} users; "
        f"trained in {time.process_time() - began:.0f} s of CPU"
    )
    tested = Tested(ranker, alone, split, asked)
    for name in ("als", "lightgcn"):
        began = time.process_time()
        tested.add(name, baseline(name).fit(split, np.random.default_rng(given.seed)).scores(0, len(split))[asked])
        print(f"{name}: fitted in {time.process_time() - began:.0f} s of CPU")
    print(f"HR@{LISTED} of the exact ranking {tested.exact_hits.mean():.4f}")
    for n in SIZES:
        tested.report(n)


class Tested:
    """The tested users, and the order in which each retriever would propose items to them.

    Parameters
    ----------
    ranker, alone : of a version trained on the split, with taste in the index and without.
    split : all its users.
    asked : int64 (B,), places of the tested ones.
    """

    def __init__(self, ranker: RetrievingRanker, alone: RetrievingRanker, split: Split, asked: Rows) -> None:
        scorer = RankerScorer(ranker, split)
        self._rows = ranker.items.rows(tuple(split.catalogue.items))  # of the split's items in the version
        histories = ranker.histories([scorer.profile(place) for place in asked.tolist()])
        self.held_out = self._rows[split.candidates[asked, 0]]
        self._known = np.zeros((len(asked), len(ranker)), dtype=np.bool_)
        for line, place in zip(self._known, asked.tolist(), strict=True):
            line[self._rows] = split.known(place, place + 1)[0]
        logits = ranker.logits(histories)
        self._exact = self._order(logits)[:, :LISTED]
        self.exact_hits = (self._exact == self.held_out[:, None]).any(axis=1)
        self.orders = {name: self._order(scores) for name, scores in _scores(ranker, alone, histories).items()}
        self.orders["followers"] = self._kept(_followers(ranker, histories))
        self.orders["popular"] = self._kept(np.broadcast_to(_popular(ranker), (len(asked), 2 * POPULAR_PER_FEATURE)))

    def add(self, name: str, scores: Scores) -> None:
        """Add a retriever by the scores of the split's items, float32 (B, N)."""
        found = np.full(self._known.shape, -np.inf, dtype=np.float32)
        found[:, self._rows] = scores
        self.orders[name] = self._order(found)

    def report(self, n: int) -> None:
        """Print what is among ``n`` candidates."""
        print(f"\n{n} candidates\n| | held-out items | to the first | to the second | of the exact ten |")
        print("|---|---:|---:|---:|---:|")
        hits_of = {}
        for name in COMPARED:
            found = self._candidates([self.orders[part] for part in name.split("+")], n)
            hits = (found == self.held_out[:, None]).any(axis=1).astype(np.float64)
            exact = np.mean([np.isin(best, mine).mean() for best, mine in zip(self._exact, found, strict=True)])
            hits_of[name] = hits
            leads = [_with_error(hits - hits_of.get(other, hits), sign="+") for other in COMPARED[:2]]
            print(f"| {name} | {_with_error(hits)} | {' | '.join(leads)} | {exact:.4f} |")

    def _order(self, scores: Scores) -> Rows:
        """Return the rows of untouched items, best first: int64 (B, M), -1 behind them."""
        masked = np.where(self._known, np.float32("-inf"), scores)
        order = np.argsort(-masked, axis=1, kind="stable")[:, : max(SIZES)]
        return np.where(np.isneginf(np.take_along_axis(masked, order, axis=1)), -1, order)

    def _kept(self, rows: Rows) -> Rows:
        """Return proposed rows without those that a user has touched."""
        return np.where(np.take_along_axis(self._known, np.maximum(rows, 0), axis=1), -1, rows)

    def _candidates(self, orders: Sequence[Rows], n: int) -> Rows:
        """Return the first ``n`` distinct rows of several orders that take turns: int64 (B, n)."""
        width = max(order.shape[1] for order in orders)
        padded = [np.pad(order, ((0, 0), (0, width - order.shape[1])), constant_values=-1) for order in orders]
        in_turn = np.stack(padded, axis=2).reshape(len(padded[0]), -1)
        found = np.full((len(in_turn), n), -1, dtype=np.int64)
        for line, rows in zip(found, in_turn, strict=True):
            distinct = list(dict.fromkeys(rows[rows >= 0].tolist()))[:n]
            line[: len(distinct)] = distinct
        return found


def _scores(ranker: RetrievingRanker, alone: RetrievingRanker, histories: HistoryBatch) -> dict[str, Scores]:
    """Return the inner products of what a version holds, each float32 (B, N)."""
    tower, index = (_products(one, histories) for one in (alone, ranker))
    weights = ranker._blend.at(histories.lengths(), "personalized")  # noqa: SLF001 - no other way to them
    products = ranker._products(histories, weights, None)  # noqa: SLF001 - taste, genres and popularity
    rest = sum(left @ right for left, right in products.values())
    taste = ServedNetwork(ranker.snapshot).taste
    assert taste is not None, "the default network has a part for taste"
    return {
        "tower": tower,
        "index": index,
        "blend": (weights[:, feature("heads"), None] * tower + rest),
        "taste": taste.scores(histories.items),
    }


def _products(ranker: RetrievingRanker, histories: HistoryBatch) -> Scores:
    """Return what the index sorts by, were it read whole: float32 (B, N)."""
    return ranker._askers(histories) @ ranker._vectors().T  # noqa: SLF001 - the two sides of the index


def _followers(ranker: RetrievingRanker, histories: HistoryBatch) -> Rows:
    """Return what follows the items of each history: the strongest of each first, newest items first."""
    evidence = ServedNetwork(ranker.snapshot).evidence
    assert evidence is not None, "the default network counts what follows what"
    rows = evidence.followers(recent_of(histories, RECENT_ITEMS), FOLLOWERS_PER_ITEM)
    return rows.reshape(len(rows), -1, FOLLOWERS_PER_ITEM).swapaxes(1, 2).reshape(len(rows), -1)


def _popular(ranker: RetrievingRanker) -> Rows:
    """Return what leads in popularity and among newcomers; nothing trends in a log that is split by users."""
    static = ranker._static(Signals.none(len(ranker)))[:2]  # noqa: SLF001 - as it is served
    return np.argsort(-static, axis=1, kind="stable")[:, :POPULAR_PER_FEATURE].T.reshape(-1)


def _with_error(values: NDArray[np.float64], sign: str = "") -> str:
    return f"{values.mean():{sign}.4f} ± {values.std(ddof=1) / len(values) ** 0.5:.4f}"


if __name__ == "__main__":
    main()
