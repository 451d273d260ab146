"""Looking whether the cluster answers, and whether its topics are still ours, also while nothing is to be read.

Each process has a watch with a client of its own and a short time limit. The clients that read and write have long
limits, because they must outlast a broker that fails over, and they notice nothing while they have nothing to send.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from logging import getLogger
from typing import NoReturn

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from streams.availability import SAY_AGAIN_S, Availability
from streams.awake import Awake
from streams.errors import ClusterAway, TopicError
from streams.kafka import topics
from streams.kafka.clients import cluster_client
from streams.kafka.metadata import DescribedTopic, describe_topics
from streams.kafka.partitions import require_partitions
from streams.kafka.topic_ids import made_anew, replaced
from streams.records.positions import TopicIds
from streams.settings import Settings

__all__ = ["ClusterWatch", "ClusterWatchConfig"]

logger = getLogger(__name__)
AGAIN_S = 2.0  # a topic that is made anew is gone for a moment, and a broker that starts does not know all at once


@dataclass(frozen=True, slots=True)
class ClusterWatchConfig:
    """How often to look, in seconds.

    Parameters
    ----------
    every_s : between two looks; one costs the broker and us about 0.2 ms.
    limit_s : for an answer; a broker on the same network answers within milliseconds.
    away_s : without an answer before it is said: longer than the pause in which a broker restarts or fails over.
    again_s : after which it is said again.
    """

    every_s: float = 2.0
    limit_s: float = 3.0
    away_s: float = 4.5
    again_s: float = SAY_AGAIN_S


class ClusterWatch:
    """Says that Kafka is away and back, and ends its process where a topic is no longer what it started with.

    Parameters
    ----------
    settings : where the cluster is.
    role : of the process.
    config : how often to look.
    restart : topics, without the prefix, that end this process where they were made anew, as event topics always do.
    reread : topics that are read again from their first record instead, and what does that.
    are_counts_fixed : whether the partition counts must stay as the settings say.
    told : called after each look with the seconds for which Kafka has been away, None while it answers.
    """

    def __init__(
        self,
        settings: Settings,
        role: str,
        config: ClusterWatchConfig | None = None,
        *,
        restart: Collection[str] = (),
        reread: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
        are_counts_fixed: bool = True,
        told: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._config = config or ClusterWatchConfig()
        self._restart = {settings.prefix + name for name in restart}
        self._reread = {settings.prefix + name: call for name, call in (reread or {}).items()}
        self._are_counts_fixed = are_counts_fixed
        self._told = told
        self._names = [settings.prefix + topic.name for topic in topics.TOPICS]
        self._away = Availability("kafka", role, self._config.away_s, self._config.again_s)
        self._client: AIOKafkaClient | None = None
        self._answered_at = time.monotonic()
        self._awake = Awake(self._config.every_s + 2 * self._config.limit_s + AGAIN_S + self._config.away_s)
        self.ids: TopicIds = {}

    async def start(self) -> None:
        """Connect to nothing: a look does, and again after one without an answer."""

    async def stop(self) -> None:
        """Disconnect, whoever has looked; another look connects again."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                await client.close()

    async def look(self) -> None:
        """Look once.

        Raises
        ------
        ClusterAway
            If the cluster does not answer in time.
        TopicError
            If a topic is gone, has another partition count, or was made anew and this process cannot go on with it.
        """
        try:
            found = await self._described()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise ClusterAway(f"no answer from {self._settings.kafka}, got {error!r}") from error
        self._answered_at = time.monotonic()
        if self._are_counts_fixed:
            require_partitions(found, self._settings)
        ids = {name: topic.topic_id for name, topic in found.items() if topic.topic_id is not None}
        known, self.ids = self.ids, {**self.ids, **ids}
        for name in replaced(known, ids):
            await self._answer(name, known, ids)

    async def run(self) -> NoReturn:
        """Look again and again, until a topic is wrong twice in a row; a cluster that is away is asked again.

        Twice, because a broker that has just started may not know every topic yet.

        Raises
        ------
        TopicError
            As ``look`` does.
        """
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._look_twice()
                except ClusterAway as error:
                    awake_since = time.monotonic() - self._awake.look()
                    self._away.lost(error, since=max(self._answered_at, awake_since))
                else:
                    self._awake.look()
                    self._away.found()
                away_s = self._away.away_s
                self._told(None if away_s is None else round(away_s, 1))
                every_s, took_s = self._config.every_s, time.monotonic() - began
                await asyncio.sleep(max(every_s - took_s, every_s / 4))
        finally:
            await self.stop()

    async def _look_twice(self) -> None:
        try:
            await self.look()
        except ClusterAway:
            raise
        except TopicError:
            await asyncio.sleep(AGAIN_S)
            await self.look()

    async def _described(self) -> dict[str, DescribedTopic]:
        if self._client is None:
            client = cluster_client(self._settings, request_timeout_ms=int(1000 * self._config.limit_s))
            try:
                await client.bootstrap()
            except BaseException:
                await client.close()
                raise
            self._client = client
        return await describe_topics(self._client, self._names)

    async def _answer(self, name: str, known: TopicIds, found: TopicIds) -> None:
        """End the process, read again, or only say it, because there is another topic under a known name."""
        plain = name.removeprefix(self._settings.prefix)
        if plain in topics.EVENTS:
            self.ids = known  # so that the second look finds the same
            raise made_anew(name, self._settings, known, found)
        if name in self._restart:
            self.ids = known
            raise TopicError(
                f"topics at {self._settings.kafka}: {name} must stay the topic that it was at the start "
                f"({known[name]}), got one that was made anew ({found[name]}); start this process again, which then "
                "reads it from its first record"
            )
        reread = self._reread.get(name)
        if reread is None:
            logger.warning("topic.made_anew %s", name)
            return
        logger.warning("topic.made_anew %s: it is read from its first record", name)
        await reread()
