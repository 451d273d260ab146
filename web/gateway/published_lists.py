"""Every list that is published from now on, for those who asked for one or follow a user.

Who asked for a list gets all of the user's; who follows a user gets those that no request led to.

One consumer reads the topic for the whole process, from its ends and in no group. Of all that comes by, only the lists
of users whom somebody waits for are looked at.
"""

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import orjson
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

    @property
    def is_reading(self) -> bool:
        """Whether lists are read now."""
        return self._consumer is not None and self._reading is not None and not self._reading.done()

    async def following(self, user_id: str, stored: Callable[[], Awaitable[bytes | None]]) -> AsyncGenerator[bytes]:
        """Give the user's stored list, if there is one, and each that is published, for as long as somebody iterates.

        Parameters
        ----------
        user_id : who is followed.
        stored : returns the list as it is stored; asked once what is published from now on is kept, so that no list
            falls between the two. Those published before the stored one, and it itself, are not given again.
        """
        with self.of(user_id) as lists:
            told = await stored()
            last, since = None, -math.inf
            if told is not None:
                first = orjson.loads(told)
                last, since = _name_of(first), first["published_ts"]
                yield told
            while True:
                body = await lists.get()
                record = orjson.loads(body)
                if "request_id" in record["trigger"] or record["mode"] == "refused":
                    continue
                if _name_of(record) != last and record["published_ts"] >= since:
                    last = _name_of(record)
                    yield body

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
            except Exception as error:
                unforeseen = not isinstance(error, KafkaError)
                logger.warning(
                    "lists.interrupted the topic %s is read anew: %r", self._topic, error, exc_info=unforeseen
                )
                failed, self._consumer = self._consumer, None
                if failed is not None:
                    with suppress(Exception):  # it is given up anyhow
                        await failed.stop()
                await asyncio.sleep(_AGAIN_S)

    def _hand_out(self, record: Any) -> None:
        if record.value is None:
            return
        user_id = (record.key or b"").decode(errors="replace")
        for lists in self._waiting.get(user_id, ()):
            if lists.full():
                lists.get_nowait()
            lists.put_nowait(record.value)


def _name_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return what tells a list from all others: one that was degraded may be made again under its id."""
    return record["rec_id"], record["mode"]
