"""The arms of an experiment in one worker: who is answered by which recommender.

Which experiment runs is looked up in Redis now and then. An arm that names a model version gets it loaded beside the
one that serves, before the first of its lists; everything else (catalogue, trending) the arms share.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from model.experiment import Arm, Experiment
from model.history import Profile
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.wishes.wishes import Wishes
from streams.errors import RegistryError, StateAway, StateError
from streams.serving.lists import NO_EXPERIMENT, Answer, ExperimentContext, Serving, Trigger
from streams.state.store import State

__all__ = ["Arms"]

logger = logging.getLogger(__name__)


class Arms:
    """Follows the experiment and answers each user by the arm that the user is on.

    Parameters
    ----------
    state : Redis.
    load : loads a version for ranking, off the event loop.
    retry_s : seconds before a version that could not be loaded is tried again.
    """

    def __init__(self, state: State, load: Callable[[str], Awaitable[Ranker]], retry_s: float) -> None:
        self._state = state
        self._load = load
        self._retry_s = retry_s
        self._retry_at: dict[str, float] = {}  # of versions that could not be loaded
        self._pinned: dict[str, Ranker] = {}
        self._base: Recommender | None = None  # what the recommenders of the arms were made from
        self._made: dict[str, Recommender] = {}
        self._misread: str | None = None
        self.experiment: Experiment | None = None

    async def look(self, serving: Callable[[], Recommender]) -> None:
        """Follow the experiment; what its arms need is loaded before it takes effect, and let go when it ends.

        Parameters
        ----------
        serving : the recommender that serves now, whose version need not be loaded again.
        """
        found = await self._read()
        wanted = frozenset() if found is None else found.versions
        self._retry_at = {version: at for version, at in self._retry_at.items() if version in wanted}
        pinned: dict[str, Ranker] = {}
        for version in sorted(wanted):
            ranker = await self._ranker(version, serving)
            if ranker is not None:
                pinned[version] = ranker
        if found != self.experiment:
            logger.info("experiment.now %s", None if found is None else found.name)
            self._made = {}  # another one: a batch that is being answered still reads the old one
        if found != self.experiment or pinned != self._pinned:
            self.experiment, self._pinned, self._base = found, pinned, None

    @property
    def n_pinned(self) -> int:
        """How many versions are loaded for the experiment."""
        return len(self._pinned)

    async def answer(
        self,
        serving: Serving,
        base: Recommender,
        wanted: Sequence[tuple[Profile, Trigger]],
        *,
        wishes: Sequence[Wishes] | None = None,
        is_behind: bool = False,
    ) -> tuple[Answer, ...]:
        """Make one list per profile, in the order given, each by the recommender of its user's arm.

        Parameters
        ----------
        serving : makes the lists.
        base : the recommender that serves now.
        wanted, wishes, is_behind : as for ``Serving.answer``.
        """
        answers: dict[int, Answer] = {}
        for places, recommender, under in self._parts(base, wanted):
            mine = [wanted[place] for place in places]
            asked = None if wishes is None else [wishes[place] for place in places]
            made = await serving.answer(recommender, mine, wishes=asked, under=under, is_behind=is_behind)
            answers.update(zip(places, made, strict=True))
        return tuple(answers[place] for place in range(len(wanted)))

    async def _read(self) -> Experiment | None:
        """Return the experiment that runs; one that cannot be understood is none, and is told once."""
        try:
            found = await self._state.experiment()
        except StateAway:
            raise
        except StateError as error:
            if str(error) != self._misread:
                logger.error("experiment.misread %s", error)  # noqa: TRY400 - one line says it all
            self._misread = str(error)
            return None
        self._misread = None
        return found

    async def _ranker(self, version: str, serving: Callable[[], Recommender]) -> Ranker | None:
        """Return a version's ranker, the very one that serves where it does; None where it cannot be loaded."""
        current = serving()
        if current.version == version:
            return current.ranker
        if version in self._pinned:
            return self._pinned[version]
        if time.monotonic() < self._retry_at.get(version, 0.0):
            return None
        try:
            ranker = await self._load(version)
        except (RegistryError, ValueError, FloatingPointError) as error:
            self._retry_at[version] = time.monotonic() + self._retry_s
            logger.error("experiment.refused %s; %s serves in its place", error, serving().version)  # noqa: TRY400 - same
            return None
        logger.info("experiment.loaded %s", version)
        return ranker

    def _parts(
        self, base: Recommender, wanted: Sequence[tuple[Profile, Trigger]]
    ) -> Iterator[tuple[Sequence[int], Recommender, ExperimentContext]]:
        """Give, for each arm with users among these, their indices, its recommender, and what their lists say of it."""
        if self.experiment is None:
            yield range(len(wanted)), base, NO_EXPERIMENT
            return
        if base is not self._base:
            self._base = base
            self._made = {arm.name: self._recommender(arm, base) for arm in self.experiment.arms}
        made, experiment = self._made, self.experiment  # an experiment that ends meanwhile ends with the next batch
        sides = [experiment.arm_of(profile.user_id) for profile, _ in wanted]
        for arm in experiment.arms:
            places = [place for place, side in enumerate(sides) if side is arm]
            if places:
                yield places, made[arm.name], ExperimentContext(experiment.name, arm.name, arm.explore)

    def _recommender(self, arm: Arm, base: Recommender) -> Recommender:
        """Return what an arm is served by now; made from what it was before, which keeps what is known of its model."""
        ranker, version = base.ranker, base.version
        if arm.version is not None and arm.version in self._pinned:
            ranker, version = self._pinned[arm.version], arm.version
        modes = base.modes
        if arm.personalize_at is not None:
            modes = ModeConfig.fixed(arm.personalize_at)
        made = self._made.get(arm.name, base).with_surroundings_of(base).with_model(ranker, version).with_modes(modes)
        return made.without_model() if ranker is None and base.lacks_model else made
