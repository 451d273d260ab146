"""What people have asked of their data, as every process sees it: the compacted topic ``data-requests``."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from streams.kafka import topics
from streams.reading.compacted import CompactedFeed
from streams.records.codec import BadRecord
from streams.records.data_requests import DataRequest, Forgetting, Forgotten, decode_data_request
from streams.records.decoding import RawRecord
from streams.records.merges import Merges
from streams.settings import Settings

__all__ = ["DataRequestsFeed"]


class DataRequestsFeed(CompactedFeed):
    """Knows whose forgetting is open, who was forgotten up to where, and who was merged into whom.

    Parameters
    ----------
    settings : where the topic is.
    options : of the consumer.

    Attributes
    ----------
    forgotten : what was carried out.
    merges : who was merged into whom, the same object for good.
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(settings, topics.DATA_REQUESTS, "data requests", **options)
        self._open: dict[str, tuple[int, DataRequest]] = {}
        self._untold: dict[str, tuple[int, DataRequest]] = {}
        self.forgotten = Forgotten()
        self.merges = Merges()

    @property
    def open(self) -> Mapping[str, tuple[int, DataRequest]]:
        """The partition and the request of each user whose forgetting no worker has carried out yet."""
        return self._open

    @property
    def untold(self) -> Mapping[str, tuple[int, DataRequest]]:
        """The partition of each user whose latest record tells less than is known, and the record that tells it all.

        The topic keeps a user's latest record alone, so whoever owns the partition says it anew.
        """
        return self._untold

    def note(self, partition: int, request: DataRequest) -> None:
        """Take over what a user asked for.

        Forgettings that the record does not tell of still hold; of two answers to one, up to the higher offsets. One
        that is open stays open when a merge is asked
        for, or when an answer to one before it, or that one again, comes after it. The answer to a forgetting asks for
        nothing new, so a merge that was asked for before it stays.
        """
        user_id = request.user_id
        told = {one.request_id: one for one in self.forgotten.of(user_id)}
        for one in request.forgotten:
            told[one.request_id] = one.joined(told[one.request_id]) if one.request_id in told else one
        lacks = told != {one.request_id: one for one in request.forgotten}
        opened, merge = self._open.get(user_id), self.merges.asked_of(user_id)
        asked_before = {one.request_id for one in self.forgotten.of(user_id)} | (
            {opened[1].request_id} if opened else set()
        )
        if request.action == "forget" and merge is not None and request.request_id in asked_before:
            request, lacks = merge, True
        request = replace(request, forgotten=tuple(sorted(told.values(), key=Forgetting.age)))
        self.forgotten.put(user_id, request.forgotten)
        self.merges.put(partition, user_id, request if request.action == "merge" else None)
        if request.is_open:
            self._open[user_id] = partition, request
        elif opened is not None and opened[1].request_id in told:
            del self._open[user_id]
        if opened is not None and not request.is_open and user_id in self._open and request.action == "forget":
            self._untold[user_id] = opened[0], replace(opened[1], forgotten=request.forgotten)
        elif lacks and not request.is_open:
            self._untold[user_id] = partition, request
        else:
            self._untold.pop(user_id, None)

    def answered(self, user_id: str, below: Mapping[str, tuple[int, ...]]) -> DataRequest:
        """Return the user's latest record with the open forgetting as carried out."""
        partition, request = self._open[user_id]
        latest = self.merges.asked_of(user_id) or request
        done = request.answered(partition, below).forgotten[-1]
        return replace(latest, forgotten=(*self.forgotten.of(user_id), done))

    def _begin(self) -> None:
        self._open, self._untold = {}, {}
        self.forgotten = Forgotten()
        self.merges.clear()

    def _take(self, records: Iterable[RawRecord]) -> None:
        for record in records:
            try:
                found = decode_data_request(record.key, record.value)
            except BadRecord as error:
                self._reject(record, error)
                continue
            if isinstance(found, DataRequest):
                self.note(record.origin.partition, found)
            else:
                self._open.pop(found, None)
                self._untold.pop(found, None)
                self.forgotten.put(found, ())
                self.merges.put(record.origin.partition, found, None)
