"""What followed a user's latest items, among all users: directed counts within 20 events, and nothing learnt.

``b`` after ``a`` by k events adds ``1 / (1 + 0.1 (k - 1))``; two events of one time count half in each order. An item's
counts are divided by their sum plus ``shrinkage`` and by the root of the other's popularity. A user's latest
items count ``exp(-step / reach)``. These are the counts inside our own network, read without it.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from model.network.cooccurrence import counted_pairs
from model.sequences import Sequences
from replay.evaluation.scorers import HistoryScorer
from replay.evaluation.split import Split

__all__ = ["PairCounts"]


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Its constants, those of ``reelstream prequential``.

    Parameters
    ----------
    shrinkage : added to the sum of an item's counts, so that what was seen twice proves little.
    reach : steps back after which an item counts 1 / e.
    depth : latest items of a user that are read.
    """

    is_random: ClassVar[bool] = False
    shrinkage: float = 20.0
    reach: float = 8.0
    depth: int = 20

    def fit(self, split: Split, generator: np.random.Generator) -> HistoryScorer:  # noqa: ARG002 - the method's contract
        """Count all pairs."""
        columns = (split.train[name].to_numpy() for name in ("user", "item", "ts", "weight"))
        sequences = Sequences.of(*columns, repeats=split.repeats)
        counts = counted_pairs(sequences, split.n_items).toarray()  # (N, N)
        counts /= counts.sum(axis=1, keepdims=True) + np.float32(self.shrinkage)
        counts /= np.sqrt(split.owners() + 1.0).astype(np.float32)
        return HistoryScorer(self._latest(split), counts)

    def _latest(self, split: Split) -> csr_array:
        """Return how much each item counts for each tested user: sparse float32 (U, N)."""
        begins, ends = split.bounds()
        place = ends[:, None] - 1 - np.arange(self.depth)  # (U, depth)
        user, step = np.nonzero(place >= begins[:, None])
        weights = np.exp(-step / self.reach).astype(np.float32)
        items = split.train["item"].to_numpy()[place[user, step]]
        return csr_array((weights, (user, items)), shape=(len(split), split.n_items))
