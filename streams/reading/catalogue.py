"""The catalogue as every process sees it: the compacted topic, read whole and then followed."""

from collections.abc import Callable, Iterable

from model.catalogue import Catalogue, Item
from streams.kafka import topics
from streams.reading.compacted import CompactedFeed
from streams.records.codec import BadRecord, decode_item
from streams.records.decoding import RawRecord
from streams.settings import Settings

__all__ = ["CatalogueFeed"]


class CatalogueFeed(CompactedFeed):
    """Keeps a catalogue current.

    Parameters
    ----------
    settings : where the topic is.
    changed : called with each new catalogue, on the event loop.
    """

    def __init__(self, settings: Settings, changed: Callable[[Catalogue], None]) -> None:
        super().__init__(settings, topics.CATALOG, "catalogue")
        self._changed = changed
        self.catalogue = Catalogue()

    def _begin(self) -> None:
        self.catalogue = Catalogue()

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
            self.catalogue = self.catalogue.changed(put, gone)
            self._tell()

    def _tell(self) -> None:
        self._changed(self.catalogue)
