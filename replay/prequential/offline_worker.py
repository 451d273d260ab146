"""A worker's way from events to lists, offline: the same serving, the same recommender, an offline state.

A worker merges trending and takes up a version by the clock. Here both happen after so many events, so that a replay
gives the same lists every time.
"""

from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from model.catalogue import Catalogue
from model.history import Profile
from model.kinds import DEFAULT_KINDS, KindTable
from model.metrics.exposure import ExposureTally
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.exposure import ExposureConfig, ExposureEvidence, NewItem, most_promising, newest_first
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.reranking.diversified import DiversityConfig
from replay.prequential.state import OfflineState
from streams.records.records import Event, Origin, Recommendation
from streams.serving.lists import Answer, Serving, ServingConfig, Trigger
from streams.state.calls import StateConfig

__all__ = ["OfflineWorker", "OfflineWorkerConfig"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OfflineWorkerConfig:
    """How lists are made; each part is what a worker reads.

    Parameters
    ----------
    serving, modes, state, exposure : of the worker; no budget holds in a replay.
    trending : items of each trending list that are kept in memory.
    """

    serving: ServingConfig = field(default_factory=lambda: ServingConfig(explain=0))
    modes: ModeConfig = field(default_factory=ModeConfig)
    state: StateConfig = field(default_factory=StateConfig)
    exposure: ExposureConfig = field(default_factory=ExposureConfig)
    trending: int = 500


class _UnlimitedBudget:
    """Scores at once and for as long as it takes; an error ends the replay."""

    async def within_budget(self, score: Callable[[], T], fallback: Callable[[], T], *, is_urgent: bool = True) -> T:  # noqa: ARG002 - a Scorer's signature
        """Return ``score()``."""
        return score()


class OfflineWorker:
    """Makes the lists of one log as a worker does.

    Parameters
    ----------
    catalogue : of the log.
    config : how lists are made.
    kinds : of events that there are.
    repeats : whether users may get items that they touched before.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        config: OfflineWorkerConfig | None = None,
        kinds: KindTable = DEFAULT_KINDS,
        *,
        repeats: bool = False,
    ) -> None:
        self._config = config or OfflineWorkerConfig()
        self.state = OfflineState(self._config.state, kinds)
        self._serving = Serving(self._config.serving, _UnlimitedBudget(), self.state, lambda: 0)
        index, modes = ContentIndex(catalogue), self._config.modes
        self.recommender = Recommender(catalogue, index, Trending(), ColdStart(), modes, repeats=repeats)
        self._new_items = _NewItems(catalogue, self._config.exposure, self._config.serving.k)
        self._asked: Sequence[tuple[Profile, Trigger]] = ()

    def use(self, ranker: Ranker | None, version: str | None) -> None:
        """Serve another version from the next list on."""
        self.recommender = self.recommender.with_model(ranker, version)

    def merge_trending(self) -> None:
        """Do what the leading worker does every second."""
        trends = self.state.trends(self.recommender.catalogue)
        kept = self._config.trending
        self.recommender = self.recommender.with_trending(
            Trending.of(trends.everything[:kept]), Trending.of(trends.newcomers[:kept])
        )
        if self._config.serving.expose > 0.0:
            self.recommender = self.recommender.with_new(self._new_items.promising())

    def take(self, batches: Sequence[Sequence[tuple[Origin, Event]]]) -> tuple[Recommendation, ...]:
        """Apply batches, one after the other, and return the list of each user that each touched, as a worker does.

        All are scored together, each from the profile of its moment.
        """
        wanted = []
        for batch in batches:
            self.apply([event for _, event in batch])
            latest = {event.user_id: (origin, event) for origin, event in batch}
            wanted += [
                (self._moment(user_id), Trigger.of_event(origin, event.event_id, event.ts))
                for user_id, (origin, event) in latest.items()
            ]
        return self._lists(wanted)

    def ask(self, events: Sequence[tuple[Origin, Event]], tested: Collection[int]) -> tuple[Recommendation, ...]:
        """Return the list of a user just before each tested event, and apply all events, one after the other.

        Test, then learn: a request of that moment would get this list.

        Parameters
        ----------
        events : in their order.
        tested : places in ``events``, ascending, of those that a list is made before.
        """
        wanted = []
        for place, (origin, event) in enumerate(events):
            moment = self._moment(event.user_id)
            if place in tested:
                wanted.append((moment, Trigger.of_event(origin, event.event_id, event.ts)))
            self.apply([event])
        made = self._lists(wanted)
        for place, one in zip(tested, made, strict=True):
            self._new_items.test(one, events[place][1].item_id)
        self._asked = wanted
        return made

    def ask_again(self, diversity: DiversityConfig) -> tuple[Recommendation, ...]:
        """Return the lists of the last ``ask`` as a worker with other weights of diversity makes them.

        Where it counts what users were shown, these are the lists that they are taken to have been shown.
        """
        config = replace(self._config.serving, diversity=diversity)
        return self._lists(self._asked, Serving(config, _UnlimitedBudget(), self.state, lambda: 0), config)

    def apply(self, events: Sequence[Event]) -> None:
        """Take events for which nobody gets a list."""
        self.state.apply(events)
        self._new_items.touch(event.item_id for event in events)

    def last_places(self) -> dict[str, Any]:
        """Return what came of the last places of lists, as a scorekeeper describes it."""
        return self._new_items.tally.describe()

    def _moment(self, user_id: str) -> Profile:
        """Return a user as of now, and note the mode that the list for it will have."""
        profile = self.state.profile(user_id)
        mode, _ = self.recommender.decide(profile)
        self.state.keep_mode(user_id, mode)
        return profile

    def _lists(
        self,
        wanted: Sequence[tuple[Profile, Trigger]],
        serving: Serving | None = None,
        config: ServingConfig | None = None,
    ) -> tuple[Recommendation, ...]:
        """Return a list for each moment: all at once, unless a user's next list depends on the one before."""
        serving, config = serving or self._serving, config or self._config.serving
        if not config.diversity.impression_discount:
            return tuple(one.recommendation for one in _result(serving.answer(self.recommender, wanted)))
        made: dict[int, Answer] = {}
        for places in _waves([profile.user_id for profile, _ in wanted]):
            moments = [wanted[place] for place in places]
            told = [
                (replace(profile, impressions=self.state.impressions_of(profile.user_id)), trigger)
                for profile, trigger in moments
            ]
            made.update(zip(places, _result(serving.answer(self.recommender, told)), strict=True))
            for place in places:
                self.state.keep_impressions(wanted[place][0].user_id, made[place].impressions or {})
        return tuple(made[place].recommendation for place in range(len(wanted)))


class _NewItems:
    """Counts what a scorekeeper and the item counters know of new items."""

    def __init__(self, catalogue: Catalogue, config: ExposureConfig, k: int) -> None:
        self._newest = newest_first(catalogue)[: config.candidates]
        self._config = config
        self._k = k
        self._touches: Counter[str] = Counter()
        self.tally = ExposureTally(config.candidates)

    def touch(self, item_ids: Iterable[str]) -> None:
        self._touches.update(item_ids)

    def test(self, made: Recommendation, item_id: str) -> None:
        if len(made.items) == self._k:
            last = made.items[-1]
            exposed = last.item_id if last.source == "exposure" else None
            self.tally.add(exposed, is_hit=item_id == last.item_id)

    def promising(self) -> tuple[NewItem, ...]:
        return most_promising(self._newest, ExposureEvidence.of(self._touches, self.tally.describe()), self._config)


def _waves(users: Sequence[str]) -> list[list[int]]:
    """Return the places of a sequence of users in waves: the first of each user, then the second, and so on."""
    waves: list[list[int]] = []
    so_far: Counter[str] = Counter()
    for place, user_id in enumerate(users):
        if so_far[user_id] == len(waves):
            waves.append([])
        waves[so_far[user_id]].append(place)
        so_far[user_id] += 1
    return waves


def _result(never_waiting: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nobody; an event loop would cost more than a small batch."""
    try:
        never_waiting.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    never_waiting.close()
    raise AssertionError("the offline worker waits for nobody")
