"""Which list an event is credited to, and how often lists were right: the live twin of a prequential run.

Told of every published list and every event in the order of their times, a scoreboard looks each event's item up in
the list that its user had seen last, or in the one that the event names, and asks popularity about the same event. No
clock and no I/O: times come with what is told, and whoever tells keeps them in order. Everything is bounded.

Figures outlive the process (``describe``, ``restore``), what they are made from does not: whoever starts again tells
the latest records once more, and says of each whether the figures hold it already (``Told``).

References
----------
.. [1] Gama, Sebastião and Rodrigues, "On evaluating stream learning algorithms", Machine Learning 2013 (each event is
   tested first and learnt then).
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf, log2
from typing import Any, Literal, TypeVar

from model.intervals import UserSums
from model.popularity import Popularity

__all__ = ["ArmTally", "Credit", "Scoreboard", "ScoreboardConfig", "Shown", "Tally", "Told"]

Told = Literal["new", "counted", "before"]
Group = tuple[str | None, str | None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScoreboardConfig:
    """Sizes.

    Parameters
    ----------
    k : places of a list that count.
    window : latest tests that the figures of the present are of.
    lists : latest lists kept of one user, one of which an event may name.
    items : latest items of one user, to tell an item that the user knows.
    users : users kept; who was untouched for longest goes first.
    groups : versions with their modes, and sides of experiments, whose figures are kept: the latest of each.
    renew_every : events after which the ranking by popularity is made anew.
    """

    k: int = 10
    window: int = 5000
    lists: int = 4
    items: int = 500
    users: int = 100_000
    groups: int = 50
    renew_every: int = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """A published list.

    Parameters
    ----------
    rec_id : its identity.
    user_id : for whom.
    at_ms : when, milliseconds.
    mode, version : by which road and model version.
    items : item ids, best first.
    experiment, arm : what the user takes part in, and on which side; None without one.
    is_by_chance : whether a place of it was left to chance.
    """

    rec_id: str
    user_id: str
    at_ms: int
    mode: str
    version: str | None
    items: tuple[str, ...]
    experiment: str | None = None
    arm: str | None = None
    is_by_chance: bool = False


@dataclass(frozen=True, slots=True)
class Credit:
    """What came of one test.

    Parameters
    ----------
    shown : the list that was tested.
    rank : place of the item in it from 1, infinite where it is not.
    popular_rank : place among the k most popular items that the user did not know, infinite beyond them.
    is_named : whether the event named the list.
    """

    shown: Shown
    rank: float
    popular_rank: float
    is_named: bool


@dataclass(slots=True)
class Tally:
    """Figures of some tests.

    Parameters
    ----------
    tests, named : how many, and how many of them named their list.
    hits, popularity_hits : on how many the item was among the first k.
    gain, popularity_gain : sums of 1 / log2(1 + rank) of those: with one right item, NDCG times tests.
    apart : tests that just one of list and popularity hit.
    """

    tests: int = 0
    named: int = 0
    hits: int = 0
    gain: float = 0.0
    popularity_hits: int = 0
    popularity_gain: float = 0.0
    apart: int = 0

    def add(self, credit: Credit, k: int) -> None:
        """Count one test."""
        mine, popular = _gain(credit.rank, k), _gain(credit.popular_rank, k)
        self.tests += 1
        self.named += credit.is_named
        self.hits += mine > 0.0
        self.gain += mine
        self.popularity_hits += popular > 0.0
        self.popularity_gain += popular
        self.apart += (mine > 0.0) != (popular > 0.0)

    def describe(self) -> dict[str, Any]:
        """Return counts and rates as JSON values; rates of no tests are 0."""
        n = max(1, self.tests)
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "hit_rate": self.hits / n,
            "ndcg": self.gain / n,
            "popularity_hit_rate": self.popularity_hits / n,
            "popularity_ndcg": self.popularity_gain / n,
        }

    @classmethod
    def restored(cls, described: Mapping[str, Any]) -> "Tally":
        """Return the tally that was described."""
        return cls(**{name: described[name] for name in _COUNTS})


_COUNTS = ("tests", "named", "hits", "gain", "popularity_hits", "popularity_gain", "apart")


@dataclass(slots=True)
class ArmTally:
    """Figures of one side of an experiment, with what their uncertainty over users needs.

    Parameters
    ----------
    tally : figures of its tests.
    users, tests_squared, hits_squared, products : as in ``model.intervals.UserSums``.
    """

    tally: Tally = field(default_factory=Tally)
    users: int = 0
    tests_squared: int = 0
    hits_squared: int = 0
    products: int = 0

    def sums(self) -> UserSums:
        """Return the sums over users."""
        return UserSums(
            self.users, self.tally.tests, self.tally.hits, self.tests_squared, self.hits_squared, self.products
        )

    def add(self, credit: Credit, k: int, before: tuple[int, int] | None) -> None:
        """Count one test of a user who had so many tests and hits on this side before, None for a user who is new."""
        tests, hits = before or (0, 0)
        hit = credit.rank <= k
        self.tally.add(credit, k)
        self.users += before is None
        self.tests_squared += 2 * tests + 1  # (t + 1)^2 - t^2
        self.hits_squared += (2 * hits + 1) * hit
        self.products += (tests + 1) * (hits + hit) - tests * hits

    def describe(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return self.tally.describe() | {name: getattr(self, name) for name in _SUMS}

    @classmethod
    def restored(cls, described: Mapping[str, Any]) -> "ArmTally":
        """Return what was described."""
        return cls(Tally.restored(described), **{name: described[name] for name in _SUMS})


_SUMS = ("users", "tests_squared", "hits_squared", "products")


@dataclass(slots=True)
class _Side:
    """One side of an experiment: its figures, and each user's tests and hits there as far as they are known."""

    figures: ArmTally = field(default_factory=ArmTally)
    users: dict[str, tuple[int, int]] = field(default_factory=dict)

    def remember(self, user_id: str, *, hit: bool) -> None:
        tests, hits = self.users.get(user_id, (0, 0))
        self.users[user_id] = (tests + 1, hits + hit)


@dataclass(slots=True)
class _User:
    lists: deque[Shown]
    items: OrderedDict[str, None] = field(default_factory=OrderedDict)


class Scoreboard:
    """Counts tests of lists as records are told.

    Parameters
    ----------
    config : sizes.
    """

    def __init__(self, config: ScoreboardConfig | None = None) -> None:
        self.config = config or ScoreboardConfig()
        self.total = Tally()
        self._users: OrderedDict[str, _User] = OrderedDict()
        self._popularity = Popularity(self.config.items + self.config.k, self.config.renew_every)
        self._window: deque[Credit] = deque(maxlen=self.config.window)
        self._versions: OrderedDict[Group, Tally] = OrderedDict()
        self._sides: OrderedDict[Group, _Side] = OrderedDict()

    def shown(self, shown: Shown) -> None:
        """Take note of a published list; one that is published once more is the same list as before."""
        lists = self._touched(shown.user_id).lists
        for kept in lists:
            if kept.rec_id == shown.rec_id:
                lists.remove(kept)
                shown = replace(shown, at_ms=min(kept.at_ms, shown.at_ms))
                break
        lists.append(shown)

    def happened(
        self, user_id: str, item_id: str, at_ms: int, rec_id: str | None = None, told: Told = "new"
    ) -> Credit | None:
        """Test an event against the list before it, then learn it.

        Parameters
        ----------
        user_id, item_id : who touched what.
        at_ms : when, milliseconds; a list of that very millisecond comes after it.
        rec_id : the list that the event says it came from.
        told : ``new`` is counted. After a restart, ``counted`` is what the restored figures hold already, and
            ``before`` what they never held: nothing of it is counted, not even in the window.

        Returns
        -------
        What came of the test, or None where there was none: the user has no list yet, or knew the item (which no list
        has, and which is also what a producer's duplicate looks like).
        """
        user = self._touched(user_id)
        credit = None if item_id in user.items else self._tested(user, item_id, at_ms, rec_id)
        self._learn(user, item_id)
        if credit is not None and told != "before":
            self._window.append(credit)
            if told == "new":
                self._count(credit)
            elif side := self._sides.get((credit.shown.experiment, credit.shown.arm)):
                side.remember(user_id, hit=credit.rank <= self.config.k)
        return credit

    def latest(self) -> Tally:
        """Return the figures of the window."""
        return _tally(self._window, self.config.k)

    def describe(self) -> dict[str, Any]:
        """Return all figures as JSON values: in all and of the window (``latest``); groups newest first."""
        versions = self._windowed(lambda shown: (shown.version, shown.mode))
        sides = self._windowed(lambda shown: (shown.experiment, shown.arm))
        nothing = Tally()
        return {
            "k": self.config.k,
            "window": self.config.window,
            "total": self.total.describe(),
            "latest": self.latest().describe(),
            "versions": [
                {
                    "version": group[0],
                    "mode": group[1],
                    "total": tally.describe(),
                    "latest": versions.get(group, nothing).describe(),
                }
                for group, tally in reversed(self._versions.items())
            ],
            "arms": [
                {
                    "experiment": group[0],
                    "arm": group[1],
                    "total": side.figures.describe(),
                    "latest": sides.get(group, nothing).describe(),
                }
                for group, side in reversed(self._sides.items())
            ],
        }

    def restore(self, described: Mapping[str, Any]) -> None:
        """Take up the figures that an earlier scoreboard described; its window and users come by telling again.

        Raises
        ------
        ValueError
            If it is not what ``describe`` returns.
        """
        try:
            total = Tally.restored(described["total"])
            versions = [((one["version"], one["mode"]), Tally.restored(one["total"])) for one in described["versions"]]
            arms = [((one["experiment"], one["arm"]), ArmTally.restored(one["total"])) for one in described["arms"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"scoreboard: what `describe` returns is required, got {error!r} in it") from error
        self.total = total
        self._versions = OrderedDict(reversed(versions))
        self._sides = OrderedDict((group, _Side(figures)) for group, figures in reversed(arms))

    def _touched(self, user_id: str) -> _User:
        """Return the user as the latest touched one, in the place of whoever was untouched for longest."""
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = _User(deque(maxlen=self.config.lists))
            if len(self._users) > self.config.users:
                gone, _ = self._users.popitem(last=False)
                for side in self._sides.values():
                    side.users.pop(gone, None)
        else:
            self._users.move_to_end(user_id)
        return user

    def _tested(self, user: _User, item_id: str, at_ms: int, rec_id: str | None) -> Credit | None:
        lists = [shown for shown in user.lists if shown.at_ms < at_ms]
        if not lists:
            return None
        named = [shown for shown in lists if rec_id is not None and shown.rec_id == rec_id]
        shown = named[0] if named else lists[-1]
        popular = self._popularity.top(user.items, self.config.k)
        return Credit(shown, _rank(item_id, shown.items), _rank(item_id, popular), bool(named))

    def _learn(self, user: _User, item_id: str) -> None:
        user.items[item_id] = None
        user.items.move_to_end(item_id)
        if len(user.items) > self.config.items:
            user.items.popitem(last=False)
        self._popularity.count(item_id)

    def _count(self, credit: Credit) -> None:
        shown, k = credit.shown, self.config.k
        self.total.add(credit, k)
        self._grouped(self._versions, (shown.version, shown.mode), Tally).add(credit, k)
        if shown.experiment is not None:
            side = self._grouped(self._sides, (shown.experiment, shown.arm), _Side)
            side.figures.add(credit, k, side.users.get(shown.user_id))
            side.remember(shown.user_id, hit=credit.rank <= k)

    def _grouped(self, groups: OrderedDict[Group, T], group: Group, make: Callable[[], T]) -> T:
        if group not in groups:
            groups[group] = make()
        groups.move_to_end(group)
        if len(groups) > self.config.groups:
            groups.popitem(last=False)
        return groups[group]

    def _windowed(self, group_of: Callable[[Shown], Group]) -> dict[Group, Tally]:
        grouped: dict[Group, list[Credit]] = {}
        for credit in self._window:
            grouped.setdefault(group_of(credit.shown), []).append(credit)
        return {group: _tally(credits_, self.config.k) for group, credits_ in grouped.items()}


def _tally(tests: Iterable[Credit], k: int) -> Tally:
    tally = Tally()
    for credit in tests:
        tally.add(credit, k)
    return tally


def _rank(item_id: str, items: tuple[str, ...]) -> float:
    return items.index(item_id) + 1.0 if item_id in items else inf


def _gain(rank: float, k: int) -> float:
    return 1.0 / log2(1.0 + rank) if rank <= k else 0.0
