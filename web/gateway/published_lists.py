"""Every list that is published from now on, for those who asked for one or follow a user.

One consumer reads the topic for the whole process, from its ends and in no group. Of all that comes by, only the lists
of users whom somebody waits for are looked at.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka.clients import consumer
from streams.kafka.topics import RECOMMENDATIONS
from streams.settings import Settings

__all__ = ["PublishedLists"]

_KEPT = 64  # lists that somebody has not taken yet; then the oldest gives way, as a newer one is worth more
_AGAIN_S = 1.0  # after Kafka has failed a consumer, which goes on by itself from most failures
logger = logging.getLogger(__name__)
Lists = asyncio.Queue[bytes]


class PublishedLists:
    """Reads the topic ``recommendations``.

    Parameters
    ----------
    settings : addresses; the topic must exist.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.prefix + RECOMMENDATIONS
        self._waiting: defaultdict[str, set[Lists]] = defaultdict(set)
        self._consumer: AIOKafkaConsumer | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Stand at the end of every partition and read from then on.

        Raises
        ------
        KafkaError
            If Kafka cannot be reached.
        """
        self._consumer = await self._connected()
        self._reading = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        if self._consumer is not None:
            await self._consumer.stop()

    @contextmanager
    def of(self, user_id: str) -> Iterator[Lists]:
        """Give a queue of the user's lists, as bytes, for the length of a ``with`` block."""
        lists: Lists = asyncio.Queue(_KEPT)
        self._waiting[user_id].add(lists)
        try:
            yield lists
        finally:
            self._waiting[user_id].discard(lists)
            if not self._waiting[user_id]:
                del self._waiting[user_id]

    async def following(self, user_id: str) -> AsyncGenerator[bytes]:
        """Give each list of the user that is published, for as long as somebody iterates."""
        with self.of(user_id) as lists:
            while True:
                yield await lists.get()

    async def _connected(self) -> AIOKafkaConsumer:
        reading = consumer(self._settings, group_id=None, client_id="reelstream-api", auto_offset_reset="latest")
        await reading.start()
        try:
            partitions = [TopicPartition(self._topic, at) for at in range(self._settings.partitions)]
            reading.assign(partitions)
            await reading.seek_to_end(*partitions)
            for partition in partitions:  # until it knows where it stands, a list could come before
                await reading.position(partition)
        except BaseException:
            await reading.stop()
            raise
        return reading

    async def _read(self) -> None:
        while True:
            try:
                if self._consumer is None:
                    self._consumer = await self._connected()
                async for record in self._consumer:
                    self._hand_out(record)
            except KafkaError as error:
                logger.warning("lists.interrupted the topic %s is read anew: %r", self._topic, error)
                if self._consumer is not None:
                    await self._consumer.stop()
                self._consumer = None
                await asyncio.sleep(_AGAIN_S)

    def _hand_out(self, record: Any) -> None:
        user_id = (record.key or b"").decode(errors="replace")
        for lists in self._waiting.get(user_id, ()):
            if lists.full():
                lists.get_nowait()
            lists.put_nowait(record.value)
