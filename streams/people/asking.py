"""Asking for a user to be forgotten, or merged into another: one record on ``data-requests``.

A forgetting comes with an empty record that takes the hints back. Every process reads the request and does its own part
of it, now or when it is started next.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from streams.errors import RecordError
from streams.kafka import topics
from streams.kafka.clients import producer
from streams.kafka.kafka_errors import answer_required, cluster_required
from streams.kafka.topic_ids import read_topic_ids, replaced
from streams.reading.data_requests import DataRequestsFeed
from streams.records.codec import encode
from streams.records.data_requests import DataRequest
from streams.records.positions import TopicIds
from streams.settings import Settings

__all__ = ["PeopleRequests", "people_requests", "read_once"]

_SEND_MS = 10_000  # for an acknowledgement; who waits longer is told that Kafka is away
_ANSWER_MS = 6_000  # as for whatever starts: a person waits, and Kafka may be frozen
_POLL_MS = 100  # that a broker waits for a record, and keeps a look waiting that comes behind; 500 is Kafka's default
_LOOK_S = 0.05  # between two looks for an answer


class PeopleRequests:
    """Asks for what people want, one request or many of a process; each call reads only what is new on the topic.

    Nothing is connected to before the first call.

    Parameters
    ----------
    settings : where the topics are.
    sending : a producer that has started.
    """

    def __init__(self, settings: Settings, sending: AIOKafkaProducer) -> None:
        self._settings = settings
        self._sending = sending
        self._feed = DataRequestsFeed(settings, request_timeout_ms=_ANSWER_MS, fetch_max_wait_ms=_POLL_MS)
        self._ids: TopicIds | None = None  # of the topic as it was read; None where it was not
        self._turn = asyncio.Lock()  # from a look at what was asked until what follows from it is on the topic

    async def forget(self, user_id: str, within_s: float) -> tuple[DataRequest, int]:
        """Ask for a user to be forgotten, wait for the workers, and return the request, answered if they were in time.

        A request of this user that is still open is not made again; it is waited for. Guests who were merged into the
        user are forgotten too.

        Parameters
        ----------
        user_id : who.
        within_s : seconds to wait for the workers.

        Returns
        -------
        The request, and how many forgettings of all users were carried out by now.

        Raises
        ------
        TopicError
            If Kafka does not take the request, or cannot be read.
        """
        feed = self._feed
        async with self._turn:
            await self._read_new()
            users = (*feed.merges.guests_of(user_id), user_id)
            asked = {one: feed.open[one][1] if one in feed.open else self._forgetting(one) for one in users}
            made = [request for one, request in asked.items() if one not in feed.open]
            for request in made:
                await self._send(request)
            if made:
                await feed.catch_up()
        asked |= {one: request for one, (_, request) in feed.open.items() if one in asked}  # others may ask meanwhile
        deadline = time.monotonic() + within_s
        while not feed.open.keys().isdisjoint(users) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_S)
            await feed.catch_up()
        done = feed.forgotten.of(user_id)
        own = asked[user_id]
        return DataRequest(user_id, own.request_id, own.ts, forgotten=done), len(feed.forgotten.all())

    async def merge(self, guest: str, account: str) -> tuple[DataRequest, str]:
        """Ask for a guest's history to be an account's, unless that was asked before.

        Parameters
        ----------
        guest, account : who, and into whom.

        Returns
        -------
        The request, and the account that the history goes to: another one where ``account`` was merged itself.

        Raises
        ------
        RecordError
            If they are the same, the guest was merged into another account or waits to be forgotten, or the account is
            one of the guest's own guests.
        TopicError
            If Kafka does not take the request, or cannot be read.
        """
        feed = self._feed
        async with self._turn:
            await self._read_new()
            before = feed.merges.request_of(guest)
            if before is not None and before.into == account:
                return before, feed.merges.resolved(account)
            if before is not None:
                raise RecordError(
                    f"merge: a guest who was not merged is required, got {guest!r}, who was merged into {before.into!r}"
                )
            if guest == feed.merges.resolved(account):
                raise RecordError(
                    f"merge: an account that is none of the guest's own is required, got {account!r} for {guest!r}"
                )
            if guest in feed.open or account in feed.open:
                raise RecordError(
                    f"merge: two users who stay are required, got {guest!r} and {account!r}, of whom one is being "
                    "forgotten; ask again when that is done"
                )
            now_ms = time.time_ns() // 1_000_000
            request = DataRequest(guest, uuid4().hex, now_ms, "merge", feed.forgotten.of(guest), account)
            await self._send(request)
            await feed.catch_up()
            return request, feed.merges.resolved(account)

    async def stop(self) -> None:
        """Read no more; the producer goes on."""
        await self._feed.stop()

    async def _read_new(self) -> None:
        """Read what is new; all of a topic that was made anew, of whose requests none is known."""
        name = self._settings.prefix + topics.DATA_REQUESTS
        known = self._ids
        found = await asyncio.to_thread(read_topic_ids, self._settings, [name])
        if known is None:
            await self._feed.start()
        elif replaced(known, found):
            await self._feed.reread()
        else:
            await self._feed.catch_up()
        self._ids = {**(known or {}), **found}

    def _forgetting(self, user_id: str) -> DataRequest:
        now_ms = time.time_ns() // 1_000_000
        return DataRequest(user_id, uuid4().hex, now_ms, forgotten=self._feed.forgotten.of(user_id))

    async def _send(self, request: DataRequest) -> None:
        prefix, key = self._settings.prefix, request.user_id.encode()
        with answer_required(f"{request.action}: an acknowledgement of Kafka at {self._settings.kafka} is required"):
            if request.action == "forget":
                await self._sending.send_and_wait(prefix + topics.USER_PROFILES, None, key)
            await self._sending.send_and_wait(prefix + topics.DATA_REQUESTS, encode(request), key)


@asynccontextmanager
async def people_requests(settings: Settings) -> AsyncIterator[PeopleRequests]:
    """Give what a command asks with, and a producer of its own; raise TopicError where Kafka cannot be reached."""
    sending = producer(settings, request_timeout_ms=_SEND_MS)
    asking = PeopleRequests(settings, sending)
    try:
        with cluster_required("data requests", settings):
            await sending.start()
        yield asking
    finally:
        await asking.stop()
        await sending.stop()


def read_once(settings: Settings) -> DataRequestsFeed:
    """Return what was asked by now, for whoever has no event loop; raise TopicError where Kafka does not answer."""

    async def read() -> DataRequestsFeed:
        feed = DataRequestsFeed(settings, request_timeout_ms=_ANSWER_MS)
        try:
            await feed.start()
        finally:
            await feed.stop()
        return feed

    return asyncio.run(read())
