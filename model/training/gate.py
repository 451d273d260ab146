"""The gate between training and serving: a candidate must be no worse than what serves now.

Each held-out event is ranked among the whole catalogue, without the user's known items unless repeats are kept, from
the history before it. A candidate is *not worse* unless the champion's lists hit more often by more than one standard
error of the paired difference: of the events on which just one of the two hits, D in all, the champion
must lead by more than sqrt(D) to stop a candidate (McNemar's test [1]_ at one sigma). A stricter rule
would turn away half of the candidates that are exactly as good, and the model would stop following its
users. A first version is compared with popularity by the same rule. With few events even a much worse candidate
would pass, so below a minimum the decision is to *hold*: nothing changes, and the next round decides, with these events
and more. Where no events are ever held out, every candidate passes.

References
----------
.. [1] McNemar, "Note on the sampling error of the difference between correlated proportions",
   Psychometrika 1947.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.metrics.ranking import full_ranks, hit_rate, ndcg
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from model.training.rounds import Candidate, HeldOutEvent

__all__ = [
    "Decision",
    "GateVerdict",
    "HeldOutQuality",
    "compare_hits",
    "gate",
    "held_out_ranks",
    "is_not_worse",
    "popularity_ranks",
]

Decision = Literal["promote", "reject", "hold"]

EVENTS_PER_BATCH = 256  # 256 x 3,706 scores are 4 MB


@dataclass(frozen=True, slots=True)
class HeldOutQuality:
    """HR@k and NDCG@k of one scorer."""

    hit_rate: float
    ndcg: float

    @classmethod
    def of(cls, ranks: NDArray[np.float64], k: int) -> "HeldOutQuality":
        """Summarise ranks."""
        return cls(hit_rate(ranks, k), ndcg(ranks, k))


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate decided, and on what.

    Parameters
    ----------
    decision : whether the candidate should serve, should not, or should be asked again with more events.
    candidate, champion, popularity : quality on the same events; no champion for a first version.
    events : held-out events ranked.
    lead : hits of the candidate less those of the champion, or of popularity for a first version.
    apart : events on which just one of the two hits.
    k : length of the lists.
    """

    decision: Decision
    candidate: HeldOutQuality
    champion: HeldOutQuality | None
    popularity: HeldOutQuality
    events: int
    lead: int
    apart: int
    k: int

    @property
    def promote(self) -> bool:
        """Return whether the candidate should serve."""
        return self.decision == "promote"

    @property
    def z(self) -> float:
        """Return the lead in standard errors of the paired difference, 0 where the two hit the same events."""
        return self.lead / sqrt(self.apart) if self.apart else 0.0


def gate(candidate: Candidate, k: int = 10, *, min_events: int = 1) -> GateVerdict:
    """Decide about a candidate against the champion it started from, or popularity if there was none.

    Parameters
    ----------
    candidate : with the events that were held out of it.
    k : length of the lists.
    min_events : with fewer held-out events a candidate is held where there is a champion, as long as more will come.
    """
    material = candidate.material
    ranker = Ranker(candidate.snapshot)
    mine = held_out_ranks(ranker, material.held_out)
    popular = popularity_ranks(ranker, material.held_out, material.popularity)
    theirs = _champion_ranks(material.champion, material.held_out)
    against = popular if theirs is None else theirs
    lead, apart = compare_hits(mine <= k, against <= k)
    is_thin = theirs is not None and material.may_wait and len(mine) < min_events
    return GateVerdict(
        "hold" if is_thin else "promote" if is_not_worse(lead, apart) else "reject",
        HeldOutQuality.of(mine, k),
        None if theirs is None else HeldOutQuality.of(theirs, k),
        HeldOutQuality.of(popular, k),
        len(material.held_out),
        lead,
        apart,
        k,
    )


def compare_hits(candidate_hits: NDArray[np.bool_], other_hits: NDArray[np.bool_]) -> tuple[int, int]:
    """Return by how many hits the candidate leads, and on how many events just one of the two hits."""
    return int(candidate_hits.sum()) - int(other_hits.sum()), int(np.count_nonzero(candidate_hits != other_hits))


def is_not_worse(lead: int, apart: int) -> bool:
    """Tell whether the candidate is behind by no more than one standard error of the paired difference."""
    return -lead <= sqrt(apart)


def held_out_ranks(ranker: Ranker, held_out: Sequence[HeldOutEvent]) -> NDArray[np.float64]:
    """Return the rank of each event's item in the whole catalogue: float64 (E,), infinite if unknown."""
    return _ranks(ranker, held_out, None)


def popularity_ranks(
    ranker: Ranker, held_out: Sequence[HeldOutEvent], popularity: Mapping[str, int]
) -> NDArray[np.float64]:
    """Return the ranks by number of interactions, over the same items as the ranker's."""
    counts = np.array([popularity.get(item_id, 0) for item_id in ranker.items.ids], dtype=np.float32)
    return _ranks(ranker, held_out, counts)


def _champion_ranks(champion: Snapshot | None, held_out: Sequence[HeldOutEvent]) -> NDArray[np.float64] | None:
    return None if champion is None else held_out_ranks(Ranker(champion), held_out)


def _ranks(ranker: Ranker, held_out: Sequence[HeldOutEvent], fixed: NDArray[np.float32] | None) -> NDArray[np.float64]:
    ranks = [np.empty(0)]
    for start in range(0, len(held_out), EVENTS_PER_BATCH):
        events = held_out[start : start + EVENTS_PER_BATCH]
        histories = ranker.histories([event.before for event in events])
        scores = ranker.logits(histories).numpy() if fixed is None else np.tile(fixed, (len(events), 1))
        known = np.zeros(scores.shape, dtype=np.bool_)
        for place, event in enumerate(() if ranker.snapshot.config.repeats else events):
            rows = ranker.items.rows(one.item_id for one in event.before.recent)
            known[place, rows[rows >= 0]] = True
        ranks.append(full_ranks(scores, ranker.items.rows(event.item_id for event in events), known))
    return np.concatenate(ranks)
