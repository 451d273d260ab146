"""Our own scorer with each list re-ranked as a worker does, so that diversity is measured with what it costs.

Only the order changes: what the re-ranked list holds comes first, in its order, and then everything else by score.
"""

import numpy as np
from numpy.typing import NDArray

from model.history import Interaction
from model.ranking.content import ContentIndex
from model.reranking.diversified import DiversityConfig, ListMaterial, diversified
from replay.evaluation.scorers import RankerScorer
from replay.evaluation.split import Split
from streams.serving.lists import ServingConfig

__all__ = ["RerankedScorer"]


class RerankedScorer:
    """A scorer whose k best are the re-ranked list.

    Parameters
    ----------
    inner : scores, as logits.
    split : whose users are asked about.
    config : weights of what is said against alike items.
    k : length of the lists.
    """

    def __init__(self, inner: RankerScorer, split: Split, config: DiversityConfig, k: int) -> None:
        self._inner, self._split, self._config, self._k = inner, split, config, k
        self._candidates = min(k + ServingConfig().overfetch, split.n_items)
        self._index = ContentIndex(split.catalogue)

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 (B, N)."""
        scores = np.array(self._inner.scores(start, stop), dtype=np.float32)
        allowed = np.where(self._split.excluded(start, stop), np.float32("-inf"), scores)
        rows = np.argsort(-allowed, axis=1, kind="stable")[:, : self._candidates]
        logits = np.take_along_axis(allowed, rows, axis=1)
        rows = np.where(np.isneginf(logits), -1, rows)
        likely = 1.0 / (1.0 + np.exp(-logits))
        material = ListMaterial.of(self._index.members, rows, likely.astype(np.float32), *self._liked(start, stop))
        best = scores.max(axis=1)
        places = diversified(material, self._k, self._config)
        for place in range(places.shape[1]):
            users = np.flatnonzero(places[:, place] >= 0)
            scores[users, rows[users, places[users, place]]] = best[users] + (places.shape[1] - place)
        return scores

    def _liked(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return what the users touched and how they liked it: int64 (B, L), -1 for none, and float32 (B, L)."""
        recents: list[tuple[Interaction, ...]] = [
            self._index.known(self._inner.profile(place).recent) for place in range(start, min(stop, len(self._split)))
        ]
        longest = max(map(len, recents), default=0)
        rows = np.full((len(recents), longest), -1, dtype=np.int64)
        likings = np.zeros((len(recents), longest), dtype=np.float32)
        for line, recent in enumerate(recents):
            rows[line, : len(recent)] = self._index.rows(recent)
            likings[line, : len(recent)] = [one.liking for one in recent]
        return rows, likings
