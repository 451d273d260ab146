"""When a version that serves has become worse than no model at all: its lists against popularity, event by event.

Of the events on which just one of the two hits, D in all, popularity must lead by more than three times sqrt(D), three
standard errors (``model.metrics.paired_lead``). The gate asks for one: it looks once at a candidate, but this question
is asked every second, and whoever looks at one standard error again and again finds it sooner or later. Only
personalised lists count: cold-start lists are what is left where a version is taken back, so they are no reason for it.
Of the personalised ones only those count whose places are all given by score: what chance put there is not the
version's choice.

Of each list only the first test counts. While no new lists come, because workers are away or behind, users go on with
the list they have, and it grows old while popularity does not: its later tests speak against the workers' absence, not
against the version. What follows from drift is not decided here.

Tests outlive the process (``describe``, ``restore``), so a version is judged by the same ones after a restart. Which
lists were tested does not: whoever reads the latest records again says of their tests that these are held already.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model.metrics.live import Credit, PublishedList
from model.metrics.paired_lead import PairedLead

__all__ = ["Drift", "DriftConfig", "DriftGuard"]


@dataclass(frozen=True, slots=True)
class DriftConfig:
    """How many tests are asked for, and how clear they must be.

    Parameters
    ----------
    min_tests : tests of a version below which nothing is said of it.
    max_tests : its latest tests that are looked at; what was long ago says little about now.
    sigmas : standard errors of the paired difference by which popularity must lead.
    versions : versions whose tests are kept; lists of an earlier one are still tested for a while.
    lists : latest lists whose first test is remembered; an older list would count once more.
    """

    min_tests: int = 500
    max_tests: int = 5000
    sigmas: float = 3.0
    versions: int = 4
    lists: int = 100_000


@dataclass(frozen=True, slots=True)
class Drift:
    """What speaks against a version.

    Parameters
    ----------
    version : its id.
    tests : of its lists.
    hits, popularity_hits : tests that its lists hit, and that popularity hit.
    apart : tests that just one of the two hit.
    """

    version: str
    tests: int
    hits: int
    popularity_hits: int
    apart: int

    @property
    def z(self) -> float:
        """The lists' lead in standard errors of the paired difference: negative, as popularity leads."""
        return PairedLead(self.hits - self.popularity_hits, self.apart).z

    def metrics(self) -> dict[str, float]:
        """Return the figures as they are announced."""
        return {
            "hit_rate": self.hits / self.tests,
            "popularity_hit_rate": self.popularity_hits / self.tests,
            "tests": float(self.tests),
            "z": self.z,
        }


class DriftGuard:
    """Keeps the latest tests of the latest versions and says which version has drifted.

    Parameters
    ----------
    config : how many tests are asked for, and how clear they must be.
    k : places of a list that count.
    """

    def __init__(self, config: DriftConfig | None = None, k: int = 10) -> None:
        self._config = config or DriftConfig()
        self._k = k
        self._tests: OrderedDict[str, deque[tuple[int, bool, bool]]] = OrderedDict()
        self._tested: OrderedDict[str, None] = OrderedDict()

    def observe(self, credit: Credit, *, is_held: bool = False) -> None:
        """Take note of one test, if it is the first of a list that a version personalised and chance did not fill.

        Parameters
        ----------
        credit : what came of the test.
        is_held : whether the restored tests hold it already; then it only says that its list was tested.
        """
        published = credit.published
        if (
            published.version is None
            or published.mode != "personalized"
            or published.is_by_chance
            or not self._is_first(published)
            or is_held
        ):
            return
        tests = self._tests.setdefault(published.version, deque(maxlen=self._config.max_tests))
        self._tests.move_to_end(published.version)
        tests.append((published.at_ms, credit.rank <= self._k, credit.popular_rank <= self._k))
        if len(self._tests) > self._config.versions:
            self._tests.popitem(last=False)

    def describe(self) -> dict[str, Any]:
        """Return the tests as JSON values: of each version, the one tested last behind the others, a whole number each.

        It is 4 d + 2 hit + popular hit, with d the milliseconds from the list of the test before, of the first from 0.
        """
        return {"versions": [[version, _encoded(tests)] for version, tests in self._tests.items()]}

    def restore(self, described: Mapping[str, Any]) -> None:
        """Keep the tests that an earlier guard described.

        Raises
        ------
        ValueError
            If it is not what ``describe`` returns.
        """
        try:
            tests = {
                str(version): deque(_decoded(codes), self._config.max_tests) for version, codes in described["versions"]
            }
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"drift guard: what `describe` returns is required, got {error!r} in it") from error
        self._tests = OrderedDict(tests)

    def _is_first(self, published: PublishedList) -> bool:
        is_first = published.rec_id not in self._tested
        self._tested[published.rec_id] = None
        self._tested.move_to_end(published.rec_id)
        if len(self._tested) > self._config.lists:
            self._tested.popitem(last=False)
        return is_first

    def judge(self, version: str, since_ms: int) -> Drift | None:
        """Return what speaks against the version that serves, or None while too little does.

        Parameters
        ----------
        version : that serves.
        since_ms : when it began to, milliseconds: lists that it made in an earlier turn do not count.
        """
        tests = [(mine, popular) for at_ms, mine, popular in self._tests.get(version, ()) if at_ms >= since_ms]
        hits = sum(mine for mine, _ in tests)
        popular_hits = sum(popular for _, popular in tests)
        apart = sum(mine != popular for mine, popular in tests)
        is_behind = PairedLead(hits - popular_hits, apart).is_behind(self._config.sigmas)
        if len(tests) < self._config.min_tests or not is_behind:
            return None
        return Drift(version, len(tests), hits, popular_hits, apart)


def _encoded(tests: Iterable[tuple[int, bool, bool]]) -> list[int]:
    codes, before = [], 0
    for at_ms, mine, popular in tests:
        codes.append(4 * (at_ms - before) + 2 * mine + popular)
        before = at_ms
    return codes


def _decoded(codes: Iterable[int]) -> list[tuple[int, bool, bool]]:
    tests, at_ms = [], 0
    for code in codes:
        at_ms += code >> 2  # rounds down, so a list earlier than the one before comes out right
        tests.append((at_ms, bool(code & 2), bool(code & 1)))
    return tests
