"""What came of a prequential run: a track of ranks for each method, and their figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.metrics.ranking import hit_rate, ndcg
from replay.prequential.list_figures import ListFigures
from replay.prequential.run import MODES, ListTrack, RoundMark
from replay.prequential.stream import Stream

__all__ = [
    "FROZEN",
    "LENGTHS",
    "LIKED_FROM",
    "LOW_BELOW",
    "ONLINE",
    "RERANKED",
    "WINDOW",
    "EvaluationSlice",
    "Figures",
    "PrequentialOutcome",
    "RerankingPrice",
    "TasteFigures",
    "moving_average",
    "slices",
]

ONLINE, RERANKED, FROZEN = "Reelstream", "Reelstream, re-ranked", "frozen"
WINDOW = 5000  # tests of the moving average
QUARTERS = 4
LIKED_FROM = 4.0  # stars that say that a user liked the item
LOW_BELOW = (
    3.0  # stars, the middle of the scale, below which a rating says the opposite, whatever the user's own middle
)
LENGTHS = (5, 20)  # where the groups by history length begin anew


@dataclass(frozen=True, slots=True)
class EvaluationSlice:
    """Some of the tests: its name, and bool (T,) which they are."""

    name: str
    is_in: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.is_in.sum())


@dataclass(frozen=True, slots=True)
class Figures:
    """HR@k and NDCG@k over some tests, and how many they are."""

    tests: int
    hit_rate: float
    ndcg: float

    @classmethod
    def of(cls, ranks: NDArray[np.float64], k: int) -> "Figures":
        """Summarise ranks."""
        return cls(len(ranks), hit_rate(ranks, k), ndcg(ranks, k))


@dataclass(frozen=True, slots=True)
class TasteFigures:
    """Whether what is listed is liked, not merely touched.

    Parameters
    ----------
    liked_tests : tests of items that their users then rated with ``LIKED_FROM`` stars or more.
    liked_hit_rate : HR@k over these, 0 where there are none.
    low_share : share of the hits whose item was then rated below ``LOW_BELOW`` stars, 0 where nothing was hit.
    """

    liked_tests: int
    liked_hit_rate: float
    low_share: float

    @classmethod
    def of(cls, ranks: NDArray[np.float64], stars: NDArray[np.float64], k: int) -> "TasteFigures":
        """Summarise ranks, float64 (T,), by the stars that came, float64 (T,)."""
        is_hit, is_liked = ranks <= k, stars >= LIKED_FROM
        liked, hits = int(is_liked.sum()), int(is_hit.sum())
        return cls(
            liked,
            int((is_hit & is_liked).sum()) / max(1, liked),
            int((is_hit & (stars < LOW_BELOW)).sum()) / max(1, hits),
        )


@dataclass(frozen=True, slots=True)
class RerankingPrice:
    """What diversity costs and brings, as shares of the figures by score alone.

    Parameters
    ----------
    hit_rate : change of HR@k.
    error : its standard error, of the paired differences, were the tests independent.
    diversity : change of the intra-list diversity; nan where no item has a genre.
    """

    hit_rate: float
    error: float
    diversity: float


@dataclass(frozen=True, slots=True)
class PrequentialOutcome:
    """All tracks of one run.

    Parameters
    ----------
    stream : what was tested.
    online : what came of each test of the learning model.
    marks : its rounds, the first one included.
    tracks : float64 (T,) ranks by method, ours first.
    k : length of the lists.
    listed : what the lists are like, of the methods whose lists are at hand.
    """

    stream: Stream
    online: ListTrack
    marks: Sequence[RoundMark]
    tracks: Mapping[str, NDArray[np.float64]]
    k: int
    listed: Mapping[str, ListFigures] = field(default_factory=dict)

    def figures(self, name: str, part: EvaluationSlice | None = None) -> Figures:
        """Return the figures of a method, over all tests or some."""
        ranks = self.tracks[name]
        return Figures.of(ranks if part is None else ranks[part.is_in], self.k)

    def taste(self, name: str) -> TasteFigures:
        """Return what became of a method's hits, by the ratings that came."""
        return TasteFigures.of(self.tracks[name], self.stars, self.k)

    def price(self) -> RerankingPrice | None:
        """Return what re-ranking changed; None where it was off, or nothing was hit by score alone."""
        if RERANKED not in self.tracks or not self.hits(ONLINE).any():
            return None
        lost, rate = self.hits(RERANKED) - self.hits(ONLINE), self.hits(ONLINE).mean()
        before, after = self.listed[ONLINE].diversity, self.listed[RERANKED].diversity
        return RerankingPrice(
            float(lost.mean() / rate),
            float(lost.std() / np.sqrt(len(lost)) / rate),
            after / before - 1.0 if before > 0.0 else float("nan"),
        )

    @property
    def is_rated(self) -> bool:
        """Whether the log rates; one without ratings gives each event equally many stars, which tell no taste."""
        return len(np.unique(self.stream.stars)) > 1

    @property
    def stars(self) -> NDArray[np.float64]:
        """Return what was given in each test, float64 (T,)."""
        return self.stream.stars[self.stream.tests]

    def hits(self, name: str) -> NDArray[np.float64]:
        """Return float64 (T,), 1 for each hit."""
        return (self.tracks[name] <= self.k).astype(np.float64)

    def served(self, name: str) -> int | None:
        """Return at how many tests a version served; None for a method that has none.

        The frozen model serves the first version from the first test on, or never one.
        """
        if name in (ONLINE, RERANKED):
            return int(np.count_nonzero(self.online.versions))
        if name == FROZEN:
            return len(self.online.versions) if self.marks and self.marks[0].decision == "promote" else 0
        return None

    def switches(self) -> NDArray[np.int64]:
        """Return the tests whose mode differs from that of the same user's test before: int64 (S,)."""
        users = self.stream.users[self.stream.tests]
        order = np.argsort(users, kind="stable")
        same_user = users[order][1:] == users[order][:-1]
        changed = self.online.modes[order][1:] != self.online.modes[order][:-1]
        return np.sort(order[1:][same_user & changed])


def slices(outcome: PrequentialOutcome) -> dict[str, tuple[EvaluationSlice, ...]]:
    """Return the slices that a report shows, by what they divide the tests by; empty ones are left out."""
    stream, tests = outcome.stream, len(outcome.stream.tests)
    low, high = LENGTHS
    quarter = np.arange(tests) * QUARTERS // tests
    found = {
        "history": (
            EvaluationSlice(f"<{low}", stream.history < low),
            EvaluationSlice(f"{low}-{high - 1}", (stream.history >= low) & (stream.history < high)),
            EvaluationSlice(f">={high}", stream.history >= high),
        ),
        "quarter": tuple(EvaluationSlice(f"Q{number + 1}", quarter == number) for number in range(QUARTERS)),
        "second": (
            EvaluationSlice("first of its second", stream.is_first_of_second),
            EvaluationSlice("later in it", ~stream.is_first_of_second),
        ),
        "mode": tuple(EvaluationSlice(mode, outcome.online.modes == number) for number, mode in enumerate(MODES)),
    }
    return {by: tuple(part for part in some if len(part)) for by, some in found.items()}


def moving_average(values: NDArray[np.float64], window: int = WINDOW) -> NDArray[np.float64]:
    """Return the mean of each value and those before it, ``window`` in all, fewer at the start: float64 (T,)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    averages: NDArray[np.float64] = (sums[end] - sums[start]) / (end - start)
    return averages
