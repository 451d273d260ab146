"""Where the scorekeeper stands in the topics: it goes on from there, reads, and tells the group how far it is."""

import logging
import time

from aiokafka.errors import KafkaError

from agents.retry import Retry
from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.counting import Counting
from agents.scorekeeper.report import ScorekeeperReport
from streams.kafka.cluster_watch import ClusterWatch
from streams.kafka.topic_ids import replaced
from streams.reading.reader import EventReader
from streams.records.positions import Offsets, TopicPartition
from streams.state.quality import LiveQuality

__all__ = ["Intake"]

READ = 2000  # records taken at once; counting them holds the event loop for about 30 ms
logger = logging.getLogger(__name__)


class Intake:
    """Reads what is to be counted.

    Parameters
    ----------
    config : how much is read again.
    partitions : of each topic.
    reader : reads events and lists, connected by whoever made it.
    counting : counts what was read.
    cluster : knows the topics' ids.
    retry : waits for Kafka.
    report : told what was lost.
    """

    def __init__(
        self,
        config: ScorekeeperConfig,
        partitions: int,
        reader: EventReader,
        counting: Counting,
        cluster: ClusterWatch,
        retry: Retry,
        report: ScorekeeperReport,
    ) -> None:
        self._back = config.refill // partitions
        self._reader = reader
        self._counting = counting
        self._cluster = cluster
        self._retry = retry
        self._report = report
        self.lags: dict[TopicPartition, int] = {}  # how many records were not read, as of the last read
        self._told: Offsets = {}  # offsets that the group was told

    async def begin(self) -> None:
        """Count what comes from now on, as nothing was counted yet."""
        _, ends = await self._retry.until_available(self._reader.bounds)
        self._counting.begin(ends)
        await self._seek()

    async def go_on_from(self, stored: LiveQuality) -> None:
        """Go on behind what stored figures include, of what the topics still hold."""
        first, ends = await self._retry.until_available(self._reader.bounds)
        self._counting.offsets = {
            topic: {at: self._goes_on(stored, (topic, at), low, ends[topic][at]) for at, low in partitions.items()}
            for topic, partitions in first.items()
        }
        await self._seek()

    async def _seek(self) -> None:
        """Stand before what is to be counted: lists, users and popularity are learnt from the records before."""
        await self._retry.until_available(self._reader.seek, self._counting.offsets, back=self._back)

    def _goes_on(self, stored: LiveQuality, topic_partition: TopicPartition, low: int, end: int) -> int:
        """Return the first offset of a partition that the stored figures lack, of those that it still holds."""
        topic, at = topic_partition
        if topic in replaced(stored.topics, self._cluster.ids):
            logger.warning("scorekeeper.topic_made_anew %s[%d] is counted from its first record", topic, at)
            self._counting.began.setdefault(topic, {})[at] = low
            return low
        wanted = stored.offsets.get(topic, {}).get(at, low)
        if wanted > end:
            logger.warning("scorekeeper.topic_shorter %s[%d] ends before %d", topic, at, wanted)
        self._reader.note_lost(topic_partition, wanted, low)
        return max(low, min(wanted, end))

    async def read(self) -> None:
        """Take what has come, and count what is certain to be next in time."""
        records = await self._reader.read(READ, 0.25, without=self._counting.full())
        now_ms = time.time_ns() // 1_000_000
        self._counting.add(records, now_ms)
        self._counting.count(await self._reader.unread(), now_ms)
        self._report.lost = self._reader.lost
        self.lags = self._reader.lag_by_partition()
        self._report.lag = sum(self.lags.values())

    async def tell_lag(self) -> None:
        """Tell the group how far the counting is: past trailing markers of transactions, where no record waits."""
        done = {topic: dict(partitions) for topic, partitions in self._counting.offsets.items()}
        if not self._counting.waiting:
            for topic, partitions in self._reader.passed().items():
                for at, offset in partitions.items():
                    done[topic][at] = max(offset, done[topic][at])
        if done == self._told:
            return
        try:
            await self._reader.commit(done)
        except KafkaError as error:  # the position is in Redis; the next commit tells the lag as well
            logger.info("scorekeeper.not_committed %r", error)
        else:
            self._told = done
