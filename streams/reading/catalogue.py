"""The catalogue as every process sees it: the compacted topic, read whole and then followed."""

import logging
from collections.abc import Callable, Iterable

from model.catalogue import Catalogue, Item
from streams.kafka import topics
from streams.reading.compacted import CompactedFeed
from streams.records.codec import BadRecord, decode_item
from streams.records.decoding import RawRecord
from streams.settings import Settings

__all__ = ["CatalogueFeed"]

logger = logging.getLogger(__name__)


class CatalogueFeed(CompactedFeed):
    """Keeps a catalogue current, its items named by their first ids (``model.renames``).

    Parameters
    ----------
    settings : where the topic is.
    changed : called with each new catalogue, on the event loop.
    """

    def __init__(self, settings: Settings, changed: Callable[[Catalogue], None]) -> None:
        super().__init__(settings, topics.CATALOG, "catalogue")
        self._changed = changed
        self._records = Catalogue()
        self._became: set[str] = set()  # ids that were told to have become others
        self.catalogue = Catalogue()

    def _begin(self) -> None:
        self._records = self.catalogue = Catalogue()

    def _take(self, records: Iterable[RawRecord]) -> None:
        changes: dict[str, Item | None] = {}
        for record in records:
            try:
                item = decode_item(record.key, record.value)
            except BadRecord as error:
                self._reject(record, error)
                continue
            if isinstance(item, Item):
                changes[item.item_id] = item
            else:
                changes[item] = None
        if changes:
            put = [item for item in changes.values() if item is not None]
            gone = [item_id for item_id, item in changes.items() if item is None]
            self._records = self._records.changed(put, gone)
            before, self.catalogue = self.catalogue.renames.refused, self._records.under_first_ids()
            for refused in self.catalogue.renames.refused:
                if refused not in before:
                    logger.warning("catalogue.rename_refused %s", refused)
            became = [one for one in self.catalogue.renames.today if one in self._records and one not in self._became]
            if became:
                self._became.update(became)
                logger.info(
                    "catalogue.became_another %d ids have records that count no more, such as %s, now %s",
                    len(became),
                    became[0],
                    self.catalogue.renames.today[became[0]],
                )
            self._tell()

    def _tell(self) -> None:
        self._changed(self.catalogue)
