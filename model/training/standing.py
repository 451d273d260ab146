"""How the versions that serve stand over many rounds, and what a round's held-out events decide by it.

A candidate may be one standard error behind the champion and still pass, for a stricter rule turns away half of the
candidates that are exactly as good. But who passes is the next yardstick, so small losses would add up without an end.
Therefore an earlier version, the *anchor*, is kept and ranks the same events. The champion's leads over it are summed,
round after round, until they decide: a champion behind by more than two standard errors of the sum gives its place back
to the anchor, and one ahead by more than two is the next anchor. Only the champion's own hits count, on events from
after its choice: hits that a candidate was chosen by are too many by that choice.

Each version is also held against what is simple: popularity, and the co-occurrence counts alone. A candidate that is
behind one of them by more than one standard error does not serve, unless it is behind the counts alone and ahead of the
champion by more than two: what serves meanwhile would be worse, and every later candidate would begin with it. Neither
does one whose lists of one mode are behind popularity by more than two: these are fewer events, and to ask for more
would turn sound candidates away. The
champion's leads over these two are summed as well, since it was ahead of them last (Page's test [1]_). Where it is
behind by more than two standard errors and no candidate passes, the anchor serves again, if it is not behind as
well; without such an anchor a champion that is worse than popularity is withdrawn, and lists come from cold start. One
that is behind the counts alone stays, for cold start would be worse still.

References
----------
.. [1] Page, "Continuous inspection schemes", Biometrika 1954.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.history import Mode
from model.metrics.paired_lead import PairedLead

__all__ = ["SIMPLE", "Decision", "HeldOutHits", "Judgement", "Standing", "ahead_of", "judge", "popularity_in"]

Decision = Literal["promote", "reject", "hold", "return", "withdraw"]
Hits = NDArray[np.bool_]

SIMPLE = ("popularity", "counts")
ROUND_SIGMAS = 1.0  # of one round: two would let more through that is worse, and learning needs no less
MODE_SIGMAS = 2.0  # of the lists of one mode
CLEAR_SIGMAS = 2.0  # by which a candidate is better than the champion for certain
SUM_SIGMAS = 2.0  # of a sum, which is looked at after every round


@dataclass(frozen=True, slots=True)
class Standing:
    """What the champions' hits say, summed over rounds.

    Parameters
    ----------
    anchor : over the anchor, since it became the anchor; nothing while it serves itself.
    popularity, counts : over these, since the champion was ahead of them last.
    """

    anchor: PairedLead = field(default_factory=PairedLead)
    popularity: PairedLead = field(default_factory=PairedLead)
    counts: PairedLead = field(default_factory=PairedLead)

    def after(self, leads: Mapping[str, PairedLead]) -> "Standing":
        """Return the standing after a round, given the champion's leads in it by rival."""
        sums = {name: getattr(self, name) + lead for name, lead in leads.items()}
        return replace(
            self, **{name: PairedLead() if name in SIMPLE and one.lead > 0 else one for name, one in sums.items()}
        )

    def describe(self) -> dict[str, tuple[int, int]]:
        """Return the sums as JSON-able values: lead and events apart, by rival."""
        return {name: (one.lead, one.apart) for name in self.__slots__ for one in (getattr(self, name),)}

    @classmethod
    def restore(cls, described: Mapping[str, tuple[int, int]]) -> "Standing":
        """Return what :meth:`describe` described.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            return cls(**{name: PairedLead(int(lead), int(apart)) for name, (lead, apart) in described.items()})
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"Standing: pairs of numbers by rival are required, got {described!r:.200}") from error


@dataclass(frozen=True, slots=True)
class HeldOutHits:
    """Who hit which of a round's held-out events; each array is bool (E,).

    Parameters
    ----------
    candidate : hits of the candidate.
    rivals : hits of ``popularity``, of the ``champion`` unless this is a first version, of the ``anchor`` where that is
        not the champion, and of the ``counts`` where a version keeps them.
    is_new : whether no earlier round has judged by the event; others are not summed again.
    is_cold : whether the candidate would make a cold-start list; by default none.
    """

    candidate: Hits
    rivals: Mapping[str, Hits]
    is_new: Hits
    is_cold: Hits | None = None

    def over(self, hits: Hits, names: tuple[str, ...], only: Hits | slice = slice(None)) -> dict[str, PairedLead]:
        """Return the leads of some hits over those rivals that there are."""
        return {name: PairedLead.of(hits[only], self.rivals[name][only]) for name in names if name in self.rivals}

    def modes(self) -> dict[Mode, Hits]:
        """Return which events are of each mode, bool (E,), where there are events of both."""
        if self.is_cold is None or not self.is_cold.any() or self.is_cold.all():
            return {}
        return {"cold_start": self.is_cold, "personalized": ~self.is_cold}

    def by_mode(self) -> dict[str, PairedLead]:
        """Return the candidate's leads over popularity in the lists of each mode."""
        popularity = self.rivals["popularity"]
        return {
            popularity_in(mode): PairedLead.of(self.candidate[some], popularity[some])
            for mode, some in self.modes().items()
        }


def popularity_in(mode: Mode) -> str:
    """Return what popularity is called as a rival in lists of one mode alone."""
    return f"popularity_{mode}"


def ahead_of(leads: Mapping[str, PairedLead]) -> tuple[str, ...]:
    """Return the rivals that a candidate with these leads is too far behind to serve."""
    sigmas = dict.fromkeys(("champion", *SIMPLE), ROUND_SIGMAS)
    return tuple(name for name, one in leads.items() if one.is_behind(sigmas.get(name, MODE_SIGMAS)))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a round decides.

    Parameters
    ----------
    decision : whether the candidate should serve (``promote``), should not (``reject``), should be asked again with
        more events (``hold``), or the anchor serves again (``return``), or nothing does (``withdraw``).
    leads : of the candidate, over the champion, popularity and the counts, as far as there are any, and over popularity
        in each mode where there are lists of both.
    lost_to : what is too far ahead: of the champion for ``return`` and ``withdraw``, else of the candidate.
    standing : of the champion, with this round; whatever serves in its place begins with a new one.
    is_anchored : whether what serves now, before a candidate does, is its own anchor from here on.
    """

    decision: Decision
    leads: Mapping[str, PairedLead]
    lost_to: tuple[str, ...]
    standing: Standing
    is_anchored: bool


def judge(hits: HeldOutHits, standing: Standing, *, is_thin: bool = False) -> Judgement:
    """Decide about a candidate, and about the champion that it was made from.

    Parameters
    ----------
    hits : of the round.
    standing : before it.
    is_thin : whether there are too few events to decide about a champion's place.
    """
    leads = hits.over(hits.candidate, ("champion", *SIMPLE)) | hits.by_mode()
    lost_to = ahead_of(leads)
    champion, anchor = hits.rivals.get("champion"), hits.rivals.get("anchor")
    if lost_to == ("counts",) and champion is not None and leads["champion"].is_ahead(CLEAR_SIGMAS):
        lost_to = ()
    if champion is None:
        return Judgement("reject" if lost_to else "promote", leads, lost_to, Standing(), is_anchored=True)
    if is_thin:
        return Judgement("hold", leads, (), standing, anchor is None)
    after = standing.after(hits.over(champion, ("anchor", *SIMPLE), hits.is_new))
    if after.anchor.is_behind(SUM_SIGMAS):
        return Judgement("return", leads, ("anchor",), after, is_anchored=True)
    behind = tuple(name for name in SIMPLE if getattr(after, name).is_behind(SUM_SIGMAS))
    if lost_to and behind:
        is_cure = anchor is not None and not any(
            one.is_behind(ROUND_SIGMAS) for one in hits.over(anchor, behind).values()
        )
        if is_cure:
            return Judgement("return", leads, behind, after, is_anchored=True)
        if "popularity" in behind:
            return Judgement("withdraw", leads, behind, after, is_anchored=True)
    is_anchored = anchor is None or after.anchor.is_ahead(SUM_SIGMAS)
    after = replace(after, anchor=PairedLead()) if is_anchored else after
    return Judgement("reject" if lost_to else "promote", leads, lost_to, after, is_anchored)
