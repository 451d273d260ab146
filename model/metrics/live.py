"""Which list an event is credited to, and how often lists were right: the live twin of a prequential run.

A scoreboard takes every published list and every event, in the order of their times. It looks for an event's item in
the list that the event names, else in the list that its user saw last, and asks popularity about the same event. No
clock and no I/O: the records bring their times, and the caller keeps them in order. Everything is bounded.

Figures outlive the process (``describe``, ``restore``). So do the tests of the window (``window``), and tests and hits
of each user of the experiment that runs (``take_users``): without them every user would be new after a restart, and the
intervals too narrow. Lists, items and popularity do not: after a restart the caller adds the latest records once more,
and says of each whether the figures hold it already (``RecordStatus``).

One experiment runs at a time. It is over, and its figures stand, once a list of another one was tested.

References
----------
.. [1] Gama, Sebastião and Rodrigues, "On evaluating stream learning algorithms", Machine Learning 2013 (each event is
   tested first and learnt then).
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import inf, log2
from typing import Any, Literal, TypeVar

from model.metrics.exposure import ExposureTally
from model.metrics.intervals import UserSums
from model.metrics.popularity import PopularityRanking
from model.metrics.window import Window, WindowTest

__all__ = [
    "ArmTally",
    "Credit",
    "ExperimentUser",
    "ExperimentUsers",
    "PublishedList",
    "RecordStatus",
    "Scoreboard",
    "ScoreboardConfig",
    "Tally",
]

RecordStatus = Literal["new", "counted", "before"]
Group = tuple[str | None, str | None]
ExperimentUser = tuple[str, str]  # arm of the experiment that runs, user id
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
    remembered : latest items of all users together, a bound that is met in the same way.
    groups : versions with their modes, and arms of experiments, whose figures are kept: the latest of each.
    experiment_users : users of the experiment that runs, of both arms; tests of further ones are not counted in it.
    renew_every : events after which the ranking by popularity is made anew.
    exposed : new items of which it is kept how often they were shown; the latest shown.
    repeats : whether users come back to items, so that an item that a user knows is tested as well.
    """

    k: int = 10
    window: int = 5000
    lists: int = 4
    items: int = 500
    users: int = 100_000
    remembered: int = 5_000_000
    groups: int = 50
    experiment_users: int = 100_000
    renew_every: int = 50
    exposed: int = 1000
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class PublishedList:
    """A published list.

    Parameters
    ----------
    rec_id : its identity.
    user_id : for whom.
    at_ms : when, milliseconds.
    mode, version : the mode of the list, and the model version that scored it.
    items : item ids, best first.
    experiment, arm : what the user takes part in, and in which arm; None without one.
    is_by_chance : whether a place of it was left to chance.
    exposed : the item at the place for new ones, where it went to one.
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
    exposed: str | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """What came of one test.

    Parameters
    ----------
    published : the list that was tested.
    rank : place of the item in it from 1, infinite where it is not.
    popular_rank : place among the k most popular items that the user did not know, infinite beyond them.
    is_named : whether the event named the list.
    """

    published: PublishedList
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

    def add(self, credit: Credit | WindowTest, k: int) -> None:
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
        """Return the tally that was described; raise KeyError or TypeError if it is none."""
        _require_numbers(described, (*_COUNTS, *_RATES))
        return cls(**{name: described[name] for name in _COUNTS})


_COUNTS = ("tests", "named", "hits", "gain", "popularity_hits", "popularity_gain", "apart")
_RATES = ("hit_rate", "ndcg", "popularity_hit_rate", "popularity_ndcg")


@dataclass(slots=True)
class ArmTally:
    """Figures of one arm of an experiment, with what their uncertainty over users needs.

    Parameters
    ----------
    tally : figures of its tests.
    users, tests_squared, hits_squared, products : as in ``model.metrics.intervals.UserSums``.
    left_out : tests of users beyond those that are kept, which are counted nowhere else here.
    versioned : tests of lists that a model version made; degraded lists have none, nor cold ones without a blend.
    versions : version -> tests of lists that it made, of the 50 versions that were tested last.
    """

    tally: Tally = field(default_factory=Tally)
    users: int = 0
    tests_squared: int = 0
    hits_squared: int = 0
    products: int = 0
    left_out: int = 0
    versioned: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    def sums(self) -> UserSums:
        """Return the sums over users."""
        return UserSums(
            self.users, self.tally.tests, self.tally.hits, self.tests_squared, self.hits_squared, self.products
        )

    def add(self, credit: Credit, k: int, before: tuple[int, int] | None) -> None:
        """Count one test of a user who had so many tests and hits in this arm before, None for a user who is new."""
        tests, hits = before or (0, 0)
        hit = credit.rank <= k
        self.tally.add(credit, k)
        self.users += before is None
        self.tests_squared += 2 * tests + 1  # (t + 1)^2 - t^2
        self.hits_squared += (2 * hits + 1) * hit
        self.products += (tests + 1) * (hits + hit) - tests * hits
        version = credit.published.version
        if version is not None:
            self.versioned += 1
            self.versions[version] = self.versions.pop(version, 0) + 1  # the latest stands last
            if len(self.versions) > _ARM_VERSIONS:
                del self.versions[next(iter(self.versions))]

    def describe(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return self.tally.describe() | {name: getattr(self, name) for name in _SUMS} | {"versions": dict(self.versions)}

    @classmethod
    def restored(cls, described: Mapping[str, Any]) -> "ArmTally":
        """Return what was described; raise KeyError or TypeError if it is something else."""
        _require_numbers(described, _SUMS)
        versions = dict(described["versions"])
        _require_numbers(versions, versions)
        return cls(Tally.restored(described), **{name: described[name] for name in _SUMS}, versions=versions)


_SUMS = ("users", "tests_squared", "hits_squared", "products", "left_out", "versioned")
_ARM_VERSIONS = 50  # an arm of whatever serves sees a new one with each promotion


@dataclass(frozen=True, slots=True)
class ExperimentUsers:
    """Users of the experiment that runs.

    Parameters
    ----------
    users : arm and user -> tests and hits.
    is_whole : whether these are all of them; else those that have changed.
    """

    users: Mapping[ExperimentUser, tuple[int, int]] = field(default_factory=dict)
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class _RunningExperiment:
    experiment: str
    since_ms: int  # of the list that was tested first


@dataclass(slots=True)
class _RememberedUser:
    lists: deque[PublishedList]
    items: dict[str, None] = field(default_factory=dict)  # the latest last; a quarter of an OrderedDict


class Scoreboard:
    """Counts tests of lists as records are added.

    Parameters
    ----------
    config : sizes.
    may_list : tells of an item and a time in milliseconds whether lists may hold it then; what they may not hold is
        neither tested nor among what is popular.

    Attributes
    ----------
    total : figures of all tests.
    window : the latest tests; described and restored beside the figures.
    """

    def __init__(
        self, config: ScoreboardConfig | None = None, may_list: Callable[[str, int], bool] = lambda *_: True
    ) -> None:
        self.config = config or ScoreboardConfig()
        self._may_list = may_list
        self.total = Tally()
        self._exposure = ExposureTally(self.config.exposed)
        self._users: OrderedDict[str, _RememberedUser] = OrderedDict()
        self._remembered = 0
        self._popularity = PopularityRanking(self.config.items + self.config.k, self.config.renew_every)
        self.window = Window(self.config.window, self.config.k)
        self._versions: OrderedDict[Group, Tally] = OrderedDict()
        self._arms: OrderedDict[Group, ArmTally] = OrderedDict()
        self._running: _RunningExperiment | None = None
        self._experiment_users: dict[ExperimentUser, tuple[int, int]] = {}
        self._changed: set[ExperimentUser] | None = None  # None: all of them

    def add_list(self, published: PublishedList) -> None:
        """Take note of a published list; one that is published once more is the same list as before."""
        lists = self._touched(published.user_id).lists
        for kept in lists:
            if kept.rec_id == published.rec_id:
                lists.remove(kept)
                published = replace(published, at_ms=min(kept.at_ms, published.at_ms))
                break
        lists.append(published)

    def add_event(
        self, user_id: str, item_id: str, at_ms: int, rec_id: str | None = None, status: RecordStatus = "new"
    ) -> Credit | None:
        """Test an event against the list before it, then learn it.

        Parameters
        ----------
        user_id, item_id : who touched what.
        at_ms : when, milliseconds; a list of that very millisecond comes after it.
        rec_id : the list that the event says it came from. It came before the event whatever the times say, as the
            producer's clock may be behind.
        status : a ``new`` event is counted. One from ``before`` is learnt and not counted at all: the figures hold it
            already, or never will. A ``counted`` one counts in the window alone: the restored figures hold it, and came
            without their window.

        Returns
        -------
        What came of the test, or None where there was none: the user has no list yet, lists may not hold the item, or
        the user knew it (which no list has unless repeats are kept, and which is also what a producer's duplicate looks
        like: with repeats the caller leaves duplicates out).
        """
        user = self._touched(user_id)
        is_test = (self.config.repeats or item_id not in user.items) and self._may_list(item_id, at_ms)
        credit = self._tested(user, item_id, at_ms, rec_id) if is_test else None
        self._learn(user, self._popularity.count(item_id))
        if credit is not None and status != "before":
            self.window.add(_kept(credit))
            if status == "new":
                self._count(credit)
        return credit

    def add_disliked(self, user_id: str, item_id: str) -> None:
        """Learn that a user knows an item, by an event that is no endorsement: no test, and nothing for popularity."""
        self._learn(self._touched(user_id), self._popularity.shared(item_id))

    def forget_users(self, names: Mapping[str, str]) -> bool:
        """Forget lists and items of some users, and let the tests of an experiment be of somebody without a name.

        So the sums over users stay what they were.

        Parameters
        ----------
        names : of the users, and what stands in their places.

        Returns
        -------
        Whether anybody of the experiment was among them; then all its users are to be stored anew.
        """
        for user_id in names:
            user = self._users.pop(user_id, None)
            self._remembered -= 0 if user is None else len(user.items)
        found = [
            one
            for one in self._experiment_users
            if one[1] in names and (one[0], names[one[1]]) not in self._experiment_users
        ]
        for arm, user_id in found:
            self._experiment_users[arm, names[user_id]] = self._experiment_users.pop((arm, user_id))
        if found:
            self._changed = None
        return bool(found)

    def latest(self) -> Tally:
        """Return the figures of the window."""
        return _tally(self.window, self.config.k)

    def describe(self) -> dict[str, Any]:
        """Return all figures as JSON values: in all and of the window (``latest``); groups newest first."""
        versions = self._windowed(lambda test: (test.version, test.mode))
        arms = self._windowed(lambda test: (test.experiment, test.arm))
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
                    "total": tally.describe(),
                    "latest": arms.get(group, nothing).describe(),
                }
                for group, tally in reversed(self._arms.items())
            ],
            "running": None if self._running is None else asdict(self._running),
            "exposure": self._exposure.describe(),
        }

    def take_users(self, *, whole: bool = False) -> ExperimentUsers:
        """Return the users of the experiment that runs who have changed since they were last taken, or all of them."""
        changed, self._changed = self._changed, set()
        if whole or changed is None:
            return ExperimentUsers(dict(self._experiment_users))
        return ExperimentUsers({user: self._experiment_users[user] for user in changed}, is_whole=False)

    def restore(
        self, described: Mapping[str, Any], users: Mapping[ExperimentUser, tuple[int, int]] | None = None
    ) -> bool:
        """Take up the figures that an earlier scoreboard described; its lists come back with the records.

        The window is restored by itself; without that it comes back with the ``counted`` records, measured anew.

        Parameters
        ----------
        described : the figures.
        users : all users of the experiment that ran, as they were taken.

        Returns
        -------
        Whether these users make up the figures of the experiment that ran. If not, it begins anew.

        Raises
        ------
        ValueError
            If it is not what ``describe`` returns.
        """
        try:
            total = Tally.restored(described["total"])
            versions = [((one["version"], one["mode"]), Tally.restored(one["total"])) for one in described["versions"]]
            arms = [((one["experiment"], one["arm"]), ArmTally.restored(one["total"])) for one in described["arms"]]
            running = None if described["running"] is None else _RunningExperiment(**described["running"])
            exposure = ExposureTally.restored(described["exposure"], self.config.exposed)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"scoreboard: what `describe` returns is required, got {error!r} in it") from error
        self.total = total
        self._exposure = exposure
        self._versions = OrderedDict(reversed(versions))
        self._arms = OrderedDict(reversed(arms))
        self._running = running
        self._experiment_users = {} if running is None else dict(users or {})
        self._changed = None
        if running is None or self._is_made_up(running.experiment):
            return True
        self._arms = OrderedDict((group, tally) for group, tally in reversed(arms) if group[0] != running.experiment)
        self._running, self._experiment_users = None, {}
        return False

    def _touched(self, user_id: str) -> _RememberedUser:
        """Return the user, now the latest touched one; a new user takes the place of the one untouched for longest."""
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = _RememberedUser(deque(maxlen=self.config.lists))
            if len(self._users) > self.config.users:
                self._forget_user()
        else:
            self._users.move_to_end(user_id)
        return user

    def _tested(self, user: _RememberedUser, item_id: str, at_ms: int, rec_id: str | None) -> Credit | None:
        named = [published for published in user.lists if rec_id is not None and published.rec_id == rec_id]
        lists = named or [published for published in user.lists if published.at_ms < at_ms]
        if not lists:
            return None
        published = lists[-1]
        known = () if self.config.repeats else user.items
        popular = self._popularity.top(known, self.config.k, lambda popular_id: self._may_list(popular_id, at_ms))
        return Credit(published, _rank(item_id, published.items), _rank(item_id, popular), bool(named))

    def _learn(self, user: _RememberedUser, item_id: str) -> None:
        before = len(user.items)
        user.items.pop(item_id, None)
        user.items[item_id] = None
        if len(user.items) > self.config.items:
            del user.items[next(iter(user.items))]
        self._remembered += len(user.items) - before
        while self._remembered > self.config.remembered and len(self._users) > 1:
            self._forget_user()

    def _forget_user(self) -> None:
        _, user = self._users.popitem(last=False)
        self._remembered -= len(user.items)

    def _count(self, credit: Credit) -> None:
        published, k = credit.published, self.config.k
        self.total.add(credit, k)
        self._count_last_place(credit)
        self._grouped(self._versions, (published.version, published.mode), Tally).add(credit, k)
        if (
            published.experiment is not None
            and published.arm is not None
            and self._runs(published.experiment, published.at_ms)
        ):
            tally = self._grouped(self._arms, (published.experiment, published.arm), ArmTally)
            self._count_experiment_user(tally, (published.arm, published.user_id), credit)

    def _count_last_place(self, credit: Credit) -> None:
        """Count a list that holds a new item, or might have: whole, and with no other place left to chance."""
        published, place = credit.published, self.config.k
        if published.exposed is not None:
            place = published.items.index(published.exposed) + 1
        elif published.is_by_chance or len(published.items) < place:
            return
        if place <= self.config.k:
            self._exposure.add(published.exposed, is_hit=credit.rank == place)

    def _runs(self, experiment: str, at_ms: int) -> bool:
        """Return whether this experiment runs; it begins to with a list that is later than the other one's first."""
        running = self._running
        if running is not None and running.experiment == experiment:
            return True
        if any(name == experiment for name, _ in self._arms) or (running is not None and at_ms <= running.since_ms):
            return False
        self._running, self._experiment_users, self._changed = _RunningExperiment(experiment, at_ms), {}, None
        return True

    def _count_experiment_user(self, tally: ArmTally, user: ExperimentUser, credit: Credit) -> None:
        before = self._experiment_users.get(user)
        if before is None and len(self._experiment_users) >= self.config.experiment_users:
            tally.left_out += 1
            return
        tally.add(credit, self.config.k, before)
        tests, hits = before or (0, 0)
        self._experiment_users[user] = (tests + 1, hits + (credit.rank <= self.config.k))
        if self._changed is not None:
            self._changed.add(user)

    def _is_made_up(self, experiment: str) -> bool:
        """Return whether the users' tests and hits make up the sums of both arms."""
        sums = {str(arm): tally.sums() for (name, arm), tally in self._arms.items() if name == experiment}
        users: dict[str, list[tuple[int, int]]] = {arm: [] for arm in sums}
        for (arm, _), counts in self._experiment_users.items():
            users.setdefault(arm, []).append(counts)
        return {arm: UserSums.of(counts) for arm, counts in users.items()} == sums

    def _grouped(self, groups: OrderedDict[Group, T], group: Group, make: Callable[[], T]) -> T:
        if group not in groups:
            groups[group] = make()
        groups.move_to_end(group)
        if len(groups) > self.config.groups:
            groups.popitem(last=False)
        return groups[group]

    def _windowed(self, group_of: Callable[[WindowTest], Group]) -> dict[Group, Tally]:
        grouped: dict[Group, list[WindowTest]] = {}
        for test in self.window:
            grouped.setdefault(group_of(test), []).append(test)
        return {group: _tally(tests, self.config.k) for group, tests in grouped.items()}


def _kept(credit: Credit) -> WindowTest:
    published = credit.published
    group = (published.version, published.mode, published.experiment, published.arm)
    return WindowTest(*group, credit.rank, credit.popular_rank, credit.is_named)


def _tally(tests: Iterable[WindowTest], k: int) -> Tally:
    tally = Tally()
    for test in tests:
        tally.add(test, k)
    return tally


def _require_numbers(described: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if not isinstance(described[name], int | float):
            raise TypeError(f"{name} must be a number, got {described[name]!r}")


def _rank(item_id: str, items: tuple[str, ...]) -> float:
    return items.index(item_id) + 1.0 if item_id in items else inf


def _gain(rank: float, k: int) -> float:
    return 1.0 / log2(1.0 + rank) if rank <= k else 0.0
