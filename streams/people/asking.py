"""Asking for a user to be forgotten, or merged into another: one record on ``data-requests``.

A forgetting comes with an empty record that takes the hints back. Every process reads the request and does its own part
of it, now or when it is started next.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from aiokafka.errors import KafkaError

from streams.errors import RecordError
from streams.kafka import topics
from streams.kafka.clients import producer
from streams.kafka.kafka_errors import cluster_error
from streams.reading.data_requests import DataRequestsFeed
from streams.records.codec import encode
from streams.records.data_requests import DataRequest
from streams.settings import Settings

__all__ = ["ask_to_forget", "ask_to_merge", "read_once", "read_requests"]

_SEND_MS = 10_000  # for an acknowledgement; who waits longer is told that Kafka is away
_ANSWER_MS = 6_000  # as for whatever starts: a person waits, and Kafka may be frozen


async def ask_to_forget(settings: Settings, user_id: str, within_s: float) -> tuple[DataRequest, int]:
    """Ask for a user to be forgotten, wait for the workers, and return the request, answered if they did it in time.

    A request of this user that is still open is not made again; it is waited for. Guests who were merged into the user
    are forgotten too.

    Parameters
    ----------
    settings : where the topics are.
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
    async with read_requests(settings) as feed:
        users = (*feed.merges.guests_of(user_id), user_id)
        made = [_forgetting(feed, one) for one in users if one not in feed.open]
        if made:
            for request in made:
                await _send(settings, request)
            await feed.catch_up()
        asked = feed.open[user_id][1] if user_id in feed.open else made[-1]
        deadline = time.monotonic() + within_s
        while not feed.open.keys().isdisjoint(users) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            await feed.catch_up()
        done = feed.forgotten.of(user_id)
        return DataRequest(user_id, asked.request_id, asked.ts, forgotten=done), len(feed.forgotten.all())


def _forgetting(feed: DataRequestsFeed, user_id: str) -> DataRequest:
    return DataRequest(user_id, uuid4().hex, time.time_ns() // 1_000_000, forgotten=feed.forgotten.of(user_id))


async def ask_to_merge(settings: Settings, guest: str, account: str) -> tuple[DataRequest, str]:
    """Ask for a guest's history to be an account's, unless that was asked before.

    Parameters
    ----------
    settings : where the topics are.
    guest, account : who, and into whom.

    Returns
    -------
    The request, and the account that the history goes to: another one where ``account`` was merged itself.

    Raises
    ------
    RecordError
        If they are the same, the guest was merged into another account or waits to be forgotten, or the account is one
        of the guest's own guests.
    TopicError
        If Kafka does not take the request, or cannot be read.
    """
    async with read_requests(settings) as feed:
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
        await _send(settings, request)
        return request, feed.merges.resolved(account)


def read_once(settings: Settings) -> DataRequestsFeed:
    """Return what was asked by now, for whoever has no event loop; raise TopicError where Kafka does not answer."""

    async def read() -> DataRequestsFeed:
        async with read_requests(settings) as feed:
            return feed

    return asyncio.run(read())


@asynccontextmanager
async def read_requests(settings: Settings) -> AsyncIterator[DataRequestsFeed]:
    """Give what was asked and answered so far."""
    feed = DataRequestsFeed(settings, request_timeout_ms=_ANSWER_MS)
    try:
        await feed.start()
        yield feed
    finally:
        await feed.stop()


async def _send(settings: Settings, request: DataRequest) -> None:
    sending = producer(settings, request_timeout_ms=_SEND_MS)
    key = request.user_id.encode()
    try:
        await sending.start()
        if request.action == "forget":
            await sending.send_and_wait(settings.prefix + topics.USER_PROFILES, None, key)
        await sending.send_and_wait(settings.prefix + topics.DATA_REQUESTS, encode(request), key)
    except KafkaError as error:
        raise cluster_error(
            error, f"{request.action}: an acknowledgement of Kafka at {settings.kafka} is required"
        ) from error
    finally:
        await sending.stop()
