"""The gate between training and serving: a candidate must be no worse than what serves now.

Each held-out event is ranked among the whole catalogue, without the user's known items, from the history
before it. A candidate is *not worse* unless the champion's lists hit more often by more than one standard
error of the paired difference: of the events on which just one of the two hits, D in all, the champion
must lead by more than sqrt(D) to stop a candidate (McNemar's test [1]_ at one sigma). A stricter rule
would turn away half of the candidates that are exactly as good, and the model would stop following its
users. A first version is held against popularity by the same rule. Without held-out events nothing speaks
against a candidate.

References
----------
.. [1] McNemar, "Note on the sampling error of the difference between correlated proportions",
   Psychometrika 1947.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.metrics import full_ranks, hit_rate, ndcg
from model.ranking import Ranker
from model.rounds import Candidate, HeldOut
from model.snapshot import Snapshot

__all__ = ["Quality", "Verdict", "gate", "held_out_ranks", "is_not_worse", "popularity_ranks"]

BATCH = 256  # events ranked at once: 256 x 3,706 scores are 4 MB


@dataclass(frozen=True, slots=True)
class Quality:
    """HR@k and NDCG@k of one scorer."""

    hit_rate: float
    ndcg: float

    @classmethod
    def of(cls, ranks: NDArray[np.float64], k: int) -> "Quality":
        """Summarise ranks."""
        return cls(hit_rate(ranks, k), ndcg(ranks, k))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate decided, and on what.

    Parameters
    ----------
    promote : whether the candidate should serve.
    candidate, champion, popularity : quality on the same events; no champion for a first version.
    events : held-out events ranked.
    k : length of the lists.
    """

    promote: bool
    candidate: Quality
    champion: Quality | None
    popularity: Quality
    events: int
    k: int


def gate(candidate: Candidate, k: int = 10) -> Verdict:
    """Decide about a candidate against the champion it started from, or popularity if there was none."""
    material = candidate.material
    ranker = Ranker(candidate.snapshot)
    mine = held_out_ranks(ranker, material.held_out)
    popular = popularity_ranks(ranker, material.held_out, material.popularity)
    theirs = _champion_ranks(material.champion, material.held_out)
    against = popular if theirs is None else theirs
    return Verdict(
        is_not_worse(mine <= k, against <= k),
        Quality.of(mine, k),
        None if theirs is None else Quality.of(theirs, k),
        Quality.of(popular, k),
        len(material.held_out),
        k,
    )


def is_not_worse(candidate_hits: NDArray[np.bool_], other_hits: NDArray[np.bool_]) -> bool:
    """Tell whether the other leads by no more than one standard error of the paired difference."""
    lead = int(other_hits.sum()) - int(candidate_hits.sum())
    return bool(lead <= np.sqrt(np.count_nonzero(candidate_hits != other_hits)))


def held_out_ranks(ranker: Ranker, held_out: Sequence[HeldOut]) -> NDArray[np.float64]:
    """Return the rank of each event's item in the whole catalogue: float64 (E,), infinite if unknown."""
    return _ranks(ranker, held_out, None)


def popularity_ranks(ranker: Ranker, held_out: Sequence[HeldOut], popularity: Mapping[str, int]) -> NDArray[np.float64]:
    """Return the ranks by number of interactions, over the same items as the ranker's."""
    counts = np.array([popularity.get(item_id, 0) for item_id in ranker.items.ids], dtype=np.float32)
    return _ranks(ranker, held_out, counts)


def _champion_ranks(champion: Snapshot | None, held_out: Sequence[HeldOut]) -> NDArray[np.float64] | None:
    return None if champion is None else held_out_ranks(Ranker(champion), held_out)


def _ranks(ranker: Ranker, held_out: Sequence[HeldOut], fixed: NDArray[np.float32] | None) -> NDArray[np.float64]:
    ranks = [np.empty(0)]
    for start in range(0, len(held_out), BATCH):
        events = held_out[start : start + BATCH]
        histories = ranker.histories([event.before for event in events])
        scores = ranker.logits(histories).numpy() if fixed is None else np.tile(fixed, (len(events), 1))
        known = np.zeros(scores.shape, dtype=np.bool_)
        for place, event in enumerate(events):
            rows = ranker.items.rows(one.item_id for one in event.before.recent)
            known[place, rows[rows >= 0]] = True
        ranks.append(full_ranks(scores, ranker.items.rows(event.item_id for event in events), known))
    return np.concatenate(ranks)
