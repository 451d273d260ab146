"""What lists and events say, one record at a time, in the order of their Kafka timestamps."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.report import ScorekeeperReport
from model.catalogue import Catalogue
from model.metrics.drift import DriftGuard
from model.metrics.live import ExperimentUser, PublishedList, RecordStatus, Scoreboard
from model.renames import Renames
from streams.errors import StateError
from streams.kafka import topics
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.time_order import TimeOrder
from streams.records.data_requests import Forgetting
from streams.records.decoding import RawRecord, decode_batch
from streams.records.duplicates import RememberedEvents
from streams.records.positions import Offsets, TopicPartition
from streams.records.published import shown_list
from streams.records.records import Withdrawal, identity_of
from streams.settings import Settings
from streams.state.keys import QUALITY
from streams.state.quality import LiveQuality

__all__ = ["COUNTED", "Counting"]

COUNTED = (*topics.EVENTS, topics.RECOMMENDATIONS)  # topics, without the prefix
REMEMBERED_EVENTS = 100_000  # a duplicate that comes later than so many events is tested once more
MAX_WAITING = 4000  # records of one partition that wait for earlier ones of others, about 8 MB of lists
logger = logging.getLogger(__name__)


class Counting:
    """Counts each record once.

    Parameters
    ----------
    settings : names and number of the partitions.
    config : what is counted.
    report : told how many records there were.
    asked : knows who was forgotten, and whose a guest's events are.
    catalogue : returns what may be listed, by first ids; items of lists and events are counted under these. While it is
        empty, everything may be listed.

    Attributes
    ----------
    board, guard : what was counted, and what speaks against which version.
    forgotten : the ids that stand for users who were forgotten; each is done once, so that who comes back stays.
    began, offsets : the records of a partition from ``began`` up to its offset are counted; those before are learnt
    from.
    """

    def __init__(
        self,
        settings: Settings,
        config: ScorekeeperConfig,
        report: ScorekeeperReport,
        asked: DataRequestsFeed,
        catalogue: Callable[[], Catalogue] = Catalogue,
    ) -> None:
        self._asked = asked
        self._catalogue = catalogue
        self._known: tuple[tuple[str, Forgetting], ...] = ()
        self.forgotten: frozenset[str] = frozenset()
        self._prefix = settings.prefix
        self._kinds = settings.kinds
        self._lists = settings.prefix + topics.RECOMMENDATIONS
        self._report = report
        partitions = [(settings.prefix + name, number) for name in COUNTED for number in range(settings.partitions)]
        self._order = TimeOrder(partitions, self._lists, 1000 * config.late_s)
        self.board = Scoreboard(replace(config.board, repeats=settings.keep_repeats), self._may_list)
        self._told = RememberedEvents(REMEMBERED_EVENTS)  # where a repeat is not known by its item
        self.guard = DriftGuard(config.drift, config.board.k)
        self._holds_recent = False  # whether the latest tests were restored, and are not made again of the records
        self.began: dict[str, dict[int, int]] = {}
        self.offsets: dict[str, dict[int, int]] = {}

    def begin(self, ends: Offsets) -> None:
        """Count what comes from here on."""
        self.began = {topic: dict(partitions) for topic, partitions in ends.items()}
        self.offsets = {topic: dict(partitions) for topic, partitions in ends.items()}

    def restore(self, stored: LiveQuality, drawn: Mapping[ExperimentUser, tuple[int, int]]) -> None:
        """Take what was counted before; raise StateError if it is not what a scorekeeper stored."""
        try:
            if not self.board.restore(stored.figures, drawn):
                logger.warning("scorekeeper.users_lost: the experiment that ran is counted anew")
            if stored.recent is not None:
                self.board.window.restore(stored.recent.get("window", {}))
                self.guard.restore(stored.recent.get("drift", {}))
                self._holds_recent = True
        except ValueError as error:
            raise StateError(f"scorekeeper: {error}; delete the key {QUALITY} to count anew") from error
        self.began = {topic: dict(partitions) for topic, partitions in stored.began.items()}
        self.forgotten = frozenset(stored.forgotten)

    def recent(self) -> dict[str, Any]:
        """Return the latest tests as JSON values: those of the window, and those that the guard judges by."""
        return {"window": self.board.window.describe(), "drift": self.guard.describe()}

    def forget_users(self) -> bool:
        """Forget whoever was forgotten since; return whether the users of an experiment must be stored anew."""
        known = self._asked.forgotten.all()
        if known == self._known:
            return False
        new = {user_id: one.nobody for user_id, one in known if one.nobody not in self.forgotten}
        self._known, self.forgotten = known, self.forgotten | {one.nobody for _, one in known}
        self._told.forget(new)
        return self.board.forget_users(new)

    @property
    def n_forgotten(self) -> int:
        """How many forgettings are carried out."""
        return len(self._known)

    def full(self) -> Collection[TopicPartition]:
        """Return the partitions of which enough records wait."""
        return self._order.full(MAX_WAITING)

    @property
    def waiting(self) -> int:
        """How many records wait for earlier ones."""
        return len(self._order)

    def add(self, records: Sequence[RawRecord], now_ms: int) -> None:
        """Take records that were read; they wait until it is certain which is the next."""
        self._order.add(records, now_ms)

    def count(self, unread: Collection[TopicPartition], now_ms: int) -> None:
        """Count what is certain to be next in time.

        Parameters
        ----------
        unread : partitions that hold more than was read.
        """
        for record in self._order.ready(unread, now_ms):
            self.tell(record)
        self._report.waiting = len(self._order)

    def tell(self, record: RawRecord) -> None:
        """Tell the scoreboard of a record; bad ones are the worker's to report."""
        origin = record.origin
        offsets = self.offsets[origin.topic]
        is_new = origin.offset >= offsets[origin.partition]
        if is_new:
            offsets[origin.partition] = origin.offset + 1
            self._report.records += 1
        if origin.topic == self._lists:
            shown = shown_list(record)
            if shown is not None:
                self.board.add_list(_under_first_ids(shown, self._catalogue().renames))
            self._report.bad += is_new and shown is None
            return
        self._tell_event(record, is_new=is_new)

    def _tell_event(self, record: RawRecord, *, is_new: bool) -> None:
        origin = record.origin
        decoded = decode_batch([record], self._prefix, self._kinds)
        self._report.bad += is_new and bool(decoded.rejected)
        is_before = origin.offset < self.began.get(origin.topic, {}).get(origin.partition, 0)
        status: RecordStatus = "new" if is_new else "before" if is_before or self._holds_recent else "counted"
        for _, event in decoded.events:
            if isinstance(event, Withdrawal):  # a list that was right stays right
                continue
            if self._asked.forgotten.find(event.user_id, origin, self._prefix) is not None:
                continue
            if self.board.config.repeats and self._told.is_repeat(identity_of(origin, event)):
                continue
            kind, listed = self._kinds.of_kind(event.kind), self._asked.merges.resolved(event.user_id)
            item_id = self._catalogue().renames.first_id(event.item_id)
            if not kind.is_positive:
                if kind.effect is None:
                    self.board.add_disliked(listed, item_id)
                continue
            credit = self.board.add_event(listed, item_id, origin.timestamp, event.rec_id, status)
            if credit is not None and (is_new or not is_before):
                self.guard.observe(credit, is_held=self._holds_recent and not is_new)

    def _may_list(self, item_id: str, at_ms: int) -> bool:
        catalogue = self._catalogue()
        item = catalogue.find(item_id)
        return not catalogue.items if item is None else item.is_listed(at_ms)


def _under_first_ids(shown: PublishedList, renames: Renames) -> PublishedList:
    if not renames.today:
        return shown
    exposed = None if shown.exposed is None else renames.first_id(shown.exposed)
    return replace(shown, items=tuple(map(renames.first_id, shown.items)), exposed=exposed)
