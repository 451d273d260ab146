"""New items that lists may show: looked for again every few seconds."""

from agents.worker.refresh import Current, RefreshConfig
from model.catalogue import Catalogue
from model.ranking.exposure import ExposureConfig, most_promising, newest_first
from streams.state.store import State

__all__ = ["NewItemsFinder"]


class NewItemsFinder:
    """Follows which new items are the most promising.

    Parameters
    ----------
    state : Redis.
    config : how often.
    exposure : which items are new, and how they are judged.
    partitions : of the event topics.
    current : the recommender whose new items are replaced.
    """

    is_needed_to_serve = False

    def __init__(
        self, state: State, config: RefreshConfig, exposure: ExposureConfig, partitions: int, current: Current
    ) -> None:
        self._state = state
        self._config = exposure
        self._partitions = partitions
        self._current = current
        self._catalogue = Catalogue()
        self._newest: tuple[str, ...] = ()
        self.period_s = config.new_items_s

    async def refresh(self) -> None:
        """Look at the newest items of the catalogue."""
        catalogue = self._current.recommender.catalogue
        if catalogue is not self._catalogue:
            self._catalogue, self._newest = catalogue, newest_first(catalogue)[: self._config.candidates]
        if not self._newest:
            return
        evidence = await self._state.exposure(self._partitions, self._newest)
        new = most_promising(self._newest, evidence, self._config)
        self._current.recommender = self._current.recommender.with_new(new)
