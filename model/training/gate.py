"""The gate between training and serving: a candidate must be no worse than what serves, and than what is simple.

Each held-out event is ranked among the whole catalogue, without the user's known items unless repeats are kept, from
the history before it and in the mode that its user would get at that moment: by the candidate, by the champion, by the
anchor that the champion is measured by, by popularity, and by the co-occurrence counts alone. What these ranks decide
is said in ``model.training.standing``. With few events even a much worse candidate would pass, so below a minimum the
decision is to *hold*: nothing changes, and the next round decides, with these events and more. Where no events are ever
held out, every candidate passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from model.history import Mode
from model.metrics.paired_lead import PairedLead
from model.metrics.ranking import hit_rate, ndcg
from model.ranking.exact import Ranker
from model.training.held_out import HeldOutColumns, are_cold, counts_ranks, held_out_ranks, popularity_ranks
from model.training.rounds import Candidate
from model.training.standing import Decision, HeldOutHits, Standing, ahead_of, judge, popularity_in

__all__ = ["Decision", "GateVerdict", "HeldOutQuality", "ModeQuality", "gate"]

Ranks = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeldOutQuality:
    """HR@k and NDCG@k of one scorer."""

    hit_rate: float
    ndcg: float

    @classmethod
    def of(cls, ranks: Ranks, k: int) -> "HeldOutQuality":
        """Summarise ranks."""
        return cls(hit_rate(ranks, k), ndcg(ranks, k))


@dataclass(frozen=True, slots=True)
class ModeQuality:
    """The quality of the lists of one mode, and that of popularity on the same events."""

    events: int
    candidate: HeldOutQuality
    popularity: HeldOutQuality


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate decided, and on what.

    Parameters
    ----------
    decision, leads, lost_to, standing, is_anchored : as in ``model.training.standing.Judgement``.
    candidate : its quality.
    rivals : the others' on the same events: ``popularity``, and as far as there are any ``champion``, ``anchor`` and
        ``counts``.
    events : held-out events ranked.
    k : length of the lists.
    modes : the candidate's quality in each mode, where there are lists of both.
    """

    decision: Decision
    candidate: HeldOutQuality
    rivals: Mapping[str, HeldOutQuality]
    events: int
    leads: Mapping[str, PairedLead]
    lost_to: tuple[str, ...]
    standing: Standing
    is_anchored: bool
    k: int
    modes: Mapping[Mode, ModeQuality] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def promote(self) -> bool:
        """Return whether the candidate should serve."""
        return self.decision == "promote"

    @property
    def popularity(self) -> HeldOutQuality:
        """Return the quality of popularity."""
        return self.rivals["popularity"]

    @property
    def champion(self) -> HeldOutQuality | None:
        """Return the quality of the champion, None for a first version."""
        return self.rivals.get("champion")

    @property
    def z(self) -> float:
        """Return the lead over the champion, or over popularity without one, in standard errors."""
        return self.leads["champion" if "champion" in self.leads else "popularity"].z

    @property
    def reason(self) -> str | None:
        """Say what the candidate or the champion lost to, and how clearly; None where it did not."""
        if not self.lost_to:
            return None
        if self.decision == "reject":
            return f"on {self.events} events the candidate is behind {' and '.join(map(self._behind, self.lost_to))}"
        sums = self.standing.describe()
        behind = (f"{name} by {-sums[name][0]} hits where {sums[name][1]} are apart" for name in self.lost_to)
        return f"over its rounds the version that serves is behind {' and '.join(behind)}"

    def as_first(self) -> "GateVerdict":
        """Return the verdict on the same candidate as a first version: where no champion serves any more."""
        leads = {name: lead for name, lead in self.leads.items() if name != "champion"}
        lost_to = ahead_of(leads)
        return replace(
            self,
            decision="reject" if lost_to else "promote",
            rivals={name: one for name, one in self.rivals.items() if name not in ("champion", "anchor")},
            leads=leads,
            lost_to=lost_to,
            standing=Standing(),
            is_anchored=True,
        )

    def _behind(self, name: str) -> str:
        """Say how far the candidate is behind a rival, of one mode alone on how many events."""
        sigmas = f"{-self.leads[name].z:.1f} standard errors"
        for mode, one in self.modes.items():
            if name == popularity_in(mode):
                mine, other = one.candidate.hit_rate, one.popularity.hit_rate
                return f"popularity in {mode} lists ({mine:.3f} against {other:.3f} on {one.events}, {sigmas})"
        return f"{name} ({self.candidate.hit_rate:.3f} against {self.rivals[name].hit_rate:.3f}, {sigmas})"


def gate(candidate: Candidate, k: int = 10, *, min_events: int = 1) -> GateVerdict:
    """Decide about a candidate, and about the champion that it was made from.

    Parameters
    ----------
    candidate : with the events that were held out of it.
    k : length of the lists.
    min_events : with fewer held-out events a candidate is held where there is a champion, as long as more will come.
    """
    material = candidate.material
    held_out = HeldOutColumns.of(material.held_out)
    ranker = Ranker(candidate.snapshot)
    versions = (("champion", material.champion), ("anchor", material.anchor))
    mine = held_out_ranks(ranker, held_out, material.trends, k)
    found = {
        **{
            name: held_out_ranks(Ranker(one), held_out, material.trends, k) for name, one in versions if one is not None
        },
        "popularity": popularity_ranks(ranker, held_out, material.popularity),
        "counts": counts_ranks(ranker, held_out),
    }
    ranks = {name: one for name, one in found.items() if one is not None}
    is_new = np.array([event.is_new for event in held_out.events], dtype=np.bool_)
    hits = HeldOutHits(mine <= k, {name: one <= k for name, one in ranks.items()}, is_new, are_cold(ranker, held_out))
    is_thin = material.may_wait and len(held_out) < min_events
    judged = judge(hits, material.standing, is_thin=is_thin)
    return GateVerdict(
        judged.decision,
        HeldOutQuality.of(mine, k),
        {name: HeldOutQuality.of(one, k) for name, one in ranks.items()},
        len(held_out),
        judged.leads,
        judged.lost_to,
        judged.standing,
        judged.is_anchored,
        k,
        {mode: _mode_quality(mine[some], ranks["popularity"][some], k) for mode, some in hits.modes().items()},
    )


def _mode_quality(mine: Ranks, popularity: Ranks, k: int) -> ModeQuality:
    return ModeQuality(len(mine), HeldOutQuality.of(mine, k), HeldOutQuality.of(popularity, k))
