"""Events on their way into the learner: each read once, and known by where it stood until a version contains it."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from aiokafka.errors import KafkaError

from agents.retry import Retry
from agents.trainer.config import TrainerConfig
from agents.trainer.intake import EventIntake
from agents.trainer.pending import Pending
from agents.trainer.report import TrainerReport
from model.history import Interaction
from model.network.snapshot import Snapshot
from model.renames import NO_RENAMES, Renames
from model.training.learner import Learner
from model.training.standing import Standing
from streams.kafka import topics
from streams.kafka.topic_ids import replaced
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.reader import EventReader
from streams.records.data_requests import Forgotten
from streams.records.decoding import RawRecord, decode_batch
from streams.records.positions import Offsets, TopicIds, TopicPartition
from streams.records.records import EventRecord, Origin
from streams.registry.versions import Version
from streams.settings import Settings
from streams.state.store import ModelStanding

__all__ = ["TrainingEvents"]

READ = 5000  # records taken at once
logger = logging.getLogger(__name__)


class TrainingEvents:
    """The learner, and where its events were read.

    Parameters
    ----------
    settings : names and number of the partitions.
    config : what is kept.
    reader : reads the event topics, connected by whoever made it.
    retry : waits for Kafka.
    report : told what was read.
    asked : knows whose events are forgotten, and whose guests' events are learnt as whose.
    renames : returns the ids that items had.
    """

    def __init__(
        self,
        settings: Settings,
        config: TrainerConfig,
        reader: EventReader,
        retry: Retry,
        report: TrainerReport,
        asked: DataRequestsFeed,
        renames: Callable[[], Renames] = lambda: NO_RENAMES,
    ) -> None:
        self._settings, self._config, self._asked = settings, config, asked
        self._reader, self._retry, self._report = reader, retry, report
        self._pending = Pending()
        self._new_intake = partial(EventIntake, config.remembered_events, settings.kinds, renames)
        self._new_learner = partial(Learner, config.learner, config.rounds, None, settings.kinds, asked.merges.accounts)
        self._intake = self._new_intake()
        self._offsets: Offsets = {}  # before which the version that serves contains everything
        self._judged: Offsets = {}  # before which rounds of an earlier trainer have judged by everything
        self.learner = self._new_learner()
        self.lags: dict[TopicPartition, int] = {}  # how many records were not read, as of the last read

    def forget(self) -> None:
        """Forget everything."""
        self.learner = self._new_learner()
        self._intake = self._new_intake()
        self._pending.clear()
        self._offsets, self._judged = {}, {}

    def forget_users(self, names: Mapping[str, str]) -> None:
        """Forget what some users did, given with who stands for each from now on."""
        self.learner.forget_users(names)
        self._intake.forget(names)

    async def begin(self) -> None:
        """Begin with the first event there is, as nothing was learnt yet."""
        await self._retry.until_available(self._reader.seek, {})

    async def go_on_from(self, version: Version, snapshot: Snapshot, topic_ids: TopicIds) -> None:
        """Go on after the events that a version contains, with those before as the old ones.

        Ratings from before these are read too: without them the middle of a user's own would be that of the scale.

        Parameters
        ----------
        topic_ids : of the topics as they are now.
        """
        self.learner.champion = snapshot
        self._offsets = offsets = await self._reachable(version, topic_ids)
        back = self._config.refill // (2 * self._settings.partitions)  # as most events are of two topics
        further = self._config.tallied // self._settings.partitions
        await self._retry.until_available(self._reader.seek, offsets, back=back + further)
        while await self._reader.is_before(offsets):
            found = self._without_earlier(await self._reader.read(READ, 0.5, below=offsets), offsets, back)
            self.learner.preload(self._learnt(found))

    def measure_by(self, anchor: Snapshot | None, found: ModelStanding) -> None:
        """Go on with what earlier rounds say of the version that serves.

        Parameters
        ----------
        anchor : the content of the version that it is measured by; None for itself.
        found : what they say; of topics that were made anew nothing was judged.
        """
        self.learner.standing = found.standing if (anchor is None) == (found.anchor is None) else Standing()
        self.learner.anchor = anchor
        self._judged = {topic: offsets for topic, offsets in found.judged.items() if topic in self._offsets}

    async def read(self) -> None:
        """Observe what has come; bad records are the worker's to report."""
        records = await self._reader.read(READ, 0.25)
        for origin, event in _decoded(self._settings, self._asked.forgotten, records):
            before = self.learner.observed
            self.learner.observe(self._intake.learnt(self.learner, [(origin, event)]))
            self._pending.add(self.learner.observed, origin)
            is_judged = origin.offset < self._judged.get(origin.topic, {}).get(origin.partition, 0)
            if is_judged and self.learner.observed > before:
                self.learner.note_judged()
        self._report.events += len(records)
        self._report.lost = self._reader.lost
        self.lags = self._reader.lag_by_partition()
        self._report.lag = sum(self.lags.values())

    def _without_earlier(self, records: Iterable[RawRecord], offsets: Offsets, back: int) -> list[RawRecord]:
        """Return the records that are learnt, once earlier ratings have been counted for their users' own middles."""
        ratings = self._settings.prefix + topics.RATES
        learnt, earlier = [], []
        for record in records:
            origin = record.origin
            if origin.offset >= offsets[origin.topic][origin.partition] - back:
                learnt.append(record)
            elif origin.topic == ratings:
                earlier.append(record)
        self._intake.count_earlier(_decoded(self._settings, self._asked.forgotten, earlier))
        return learnt

    def _learnt(self, records: Iterable[RawRecord]) -> Iterator[tuple[str, Interaction]]:
        return self._intake.learnt(self.learner, _decoded(self._settings, self._asked.forgotten, records))

    async def lag(self) -> int:
        """Return how many events are there to be read now."""
        return await self._retry.until_available(self._reader.lag)

    def contained(self, number: int) -> Offsets:
        """Return the offsets before which a version that has learnt up to this event contains everything."""
        return self._pending.moved(number, self._offsets)

    def note_stored(self, number: int) -> None:
        """Forget where events stood, up to this one: a stored version contains them."""
        self._pending.forget(number)

    async def note_serving(self, offsets: Offsets) -> None:
        """Note that the version that contains everything before these offsets serves, and tell the group."""
        try:
            await self._reader.commit(offsets)
        except KafkaError as error:  # the version says where to go on; the next commit tells the lag as well
            logger.warning("trainer.not_committed %r", error)
        self._offsets = offsets

    async def _reachable(self, version: Version, topic_ids: TopicIds) -> Offsets:
        """Return a version's offsets without those of topics that were made anew: by their ids, or as they end before.

        Versions of earlier releases, and brokers before 2.8, tell no ids.
        """
        _, ends = await self._retry.until_available(self._reader.bounds)
        found: dict[str, dict[int, int]] = {}
        anew = replaced(version.details.get("topics", {}), topic_ids)
        for topic, partitions in version.offsets.items():
            if topic in anew:
                logger.warning("trainer.topic_made_anew %s: all of it is new to %s", topic, version.version_id)
                continue
            for at, offset in partitions.items():
                if offset <= ends.get(topic, {}).get(at, offset):
                    found.setdefault(topic, {})[at] = offset
                else:
                    logger.warning("trainer.topic_shorter %s:%s ends before %s, all of it is new", topic, at, offset)
        return found


def _decoded(
    settings: Settings, forgotten: Forgotten, records: Iterable[RawRecord]
) -> Sequence[tuple[Origin, EventRecord]]:
    """Return the events of records, without those that are forgotten."""
    events = decode_batch(records, settings.prefix, settings.kinds).events
    if not len(forgotten):
        return events
    return [one for one in events if forgotten.find(one[1].user_id, one[0], settings.prefix) is None]
