"""A worker's way from events to lists, offline: the same serving, the same recommender, an offline state.

A worker merges trending and takes up a version by the clock. Here both happen after so many events, so that a replay
gives the same lists every time.
"""

from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from model.catalogue import Catalogue
from model.history import Profile
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from replay.prequential.state import OfflineState
from streams.records.records import Event, Origin, Recommendation
from streams.serving.lists import Scores, Serving, ServingConfig, Trigger
from streams.state.calls import StateConfig

__all__ = ["OfflineWorker", "OfflineWorkerConfig"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OfflineWorkerConfig:
    """How lists are made; each part is what a worker reads.

    Parameters
    ----------
    serving, modes, state : of the worker; no budget holds in a replay.
    trending : items of each trending list that are kept in memory.
    """

    serving: ServingConfig = field(default_factory=ServingConfig)
    modes: ModeConfig = field(default_factory=ModeConfig)
    state: StateConfig = field(default_factory=StateConfig)
    trending: int = 500


class _UnlimitedBudget:
    """Scores at once and for as long as it takes; an error ends the replay."""

    async def within_budget(self, score: Callable[[], Scores], fallback: Callable[[], Scores]) -> Scores:  # noqa: ARG002 - a Scorer's signature
        """Return ``score()``."""
        return score()


class OfflineWorker:
    """Makes the lists of one log as a worker does.

    Parameters
    ----------
    catalogue : of the log.
    config : how lists are made.
    repeats : whether users may get items that they touched before.
    """

    def __init__(
        self, catalogue: Catalogue, config: OfflineWorkerConfig | None = None, *, repeats: bool = False
    ) -> None:
        self._config = config or OfflineWorkerConfig()
        self.state = OfflineState(self._config.state)
        self._serving = Serving(self._config.serving, _UnlimitedBudget(), self.state, lambda: 0)
        index, modes = ContentIndex(catalogue), self._config.modes
        self.recommender = Recommender(catalogue, index, Trending(), ColdStart(), modes, repeats=repeats)

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

    def take(self, batches: Sequence[Sequence[tuple[Origin, Event]]]) -> tuple[Recommendation, ...]:
        """Apply batches, one after the other, and return the list of each user that each touched, as a worker does.

        All are scored together, each from the profile of its moment.
        """
        wanted = []
        for batch in batches:
            self.state.apply(event for _, event in batch)
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
            self.state.apply([event])
        return self._lists(wanted)

    def _moment(self, user_id: str) -> Profile:
        """Return a user as of now, and note the mode that the list for it will have."""
        profile = self.state.profile(user_id)
        mode, _ = self.recommender.decide(profile)
        self.state.keep_mode(user_id, mode)
        return profile

    def _lists(self, wanted: Sequence[tuple[Profile, Trigger]]) -> tuple[Recommendation, ...]:
        answers = _result(self._serving.answer(self.recommender, wanted))
        return tuple(answer.recommendation for answer in answers)


def _result(never_waiting: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nobody; an event loop would cost more than a small batch."""
    try:
        never_waiting.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    never_waiting.close()
    raise AssertionError("the offline worker waits for nobody")
