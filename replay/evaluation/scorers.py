"""What every evaluated method comes down to: the score of each item for each tested user.

A method is fitted on a split and gives a scorer; a scorer answers for a batch of tested users at a time, so that no
more than a batch of scores is ever held. Three shapes serve most baselines: the same scores for everybody, the product
of user and item vectors, and the product of a user's history with item-to-item weights. The fourth is Reelstream's
own ranker, asked exactly as a worker asks it.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.history import Interaction, Profile
from model.ranking.exact import Ranker
from replay.evaluation.split import Split
from streams.errors import DataError

__all__ = ["FactorScorer", "FixedScorer", "HistoryScorer", "ItemScorer", "Method", "RankerScorer"]

MAX_RECENT = 200  # interactions of a profile, as the state keeps them


class ItemScorer(Protocol):
    """A fitted method."""

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the scores of all items, higher is better: float32 (B, N).

        start, stop : which of the tested users.
        """
        ...


class Method(Protocol):
    """A way to recommend, with its constants, not fitted yet."""

    @property
    def is_random(self) -> bool:
        """Tell whether two generators may lead to different scorers; if not, one run says all."""
        ...

    def fit(self, split: Split, generator: np.random.Generator) -> ItemScorer:
        """Learn from the training events of a split, which is not changed."""
        ...


@dataclass(frozen=True, slots=True)
class FixedScorer:
    """Scores that are the same for everybody.

    Parameters
    ----------
    items : float32 (N,).
    """

    items: NDArray[np.float32]

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 (B, N)."""
        return np.tile(self.items, (stop - start, 1))


@dataclass(frozen=True, slots=True)
class FactorScorer:
    """Products of vectors, which an index for nearest neighbours could retrieve.

    Parameters
    ----------
    users : float32 (U, D), of the tested users.
    items : float32 (N, D).
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 (B, N)."""
        return self.users[start:stop] @ self.items.T


@dataclass(frozen=True, slots=True)
class HistoryScorer:
    """Products of histories with item-to-item weights.

    Parameters
    ----------
    histories : sparse float32 (U, N), of the tested users.
    weights : float32 (N, N), how much the item of the row speaks for the item of the column.
    """

    histories: Any
    weights: NDArray[np.float32]

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 (B, N)."""
        return np.asarray(self.histories[start:stop] @ self.weights)


class RankerScorer:
    """Our own ranker over the profiles that the state would hold just before the held-out events.

    Parameters
    ----------
    ranker : of a snapshot that has all items of the split.
    split : whose users are asked about.

    Raises
    ------
    DataError
        If the ranker lacks an item.
    """

    def __init__(self, ranker: Ranker, split: Split) -> None:
        self._ranker, self._split = ranker, split
        self._item_ids = tuple(split.catalogue.items)
        self._positive = split.positive()
        self._rows = ranker.items.rows(self._item_ids)
        self._begins, self._ends = split.bounds()
        if self._rows.min() < 0:
            n = int((self._rows < 0).sum())
            raise DataError(f"eval: a model of all {len(self._rows)} items is required, got none for {n!r}")

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 (B, N)."""
        histories = self._ranker.histories([self.profile(place) for place in range(start, min(stop, len(self._ends)))])
        return self._ranker.logits(histories)[:, self._rows]

    def profile(self, place: int) -> Profile:
        """Return a tested user's latest events before the held-out one, newest first."""
        length = max(MAX_RECENT, self._ranker.snapshot.config.history_length)
        end = int(self._ends[place])
        latest = slice(max(int(self._begins[place]), end - length), end)
        table = self._split.train.iloc[latest]
        columns = [table[name].tolist() for name in ("item", "ts", "weight")]
        events = [
            Interaction(self._item_ids[item], ts, "rate", weight, is_positive)
            for item, ts, weight, is_positive in zip(*columns, self._positive[latest].tolist(), strict=True)
        ]
        return Profile(self._split.user_ids[self._split.users[place]], recent=tuple(reversed(events)))
