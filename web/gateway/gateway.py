"""The one door for whoever serves people: what is stored, what is sent, and what comes back.

Answers are plain values as the commands print them with ``--json``; stored lists are bytes. A user without anything is
no error. Where Redis is away every question raises ``StateAway``, where Kafka is, ``ClusterAway``: asking again may
help, and events may be sent again under the same ids.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from redis import Redis

from model.similar import SIMILAR_KINDS
from streams.errors import ClusterAway, TopicError
from streams.kafka.clients import producer
from streams.kafka.kafka_errors import cluster_error
from streams.kafka.topics import REQUESTS
from streams.metrics.caches import CacheLookups
from streams.people.asking import PeopleRequests
from streams.people.report import forget_user, merge_guest
from streams.records.codec import decode_request, encode
from streams.records.trace_context import TraceContext
from streams.redis.connection import connect
from streams.redis.heartbeat import find_alive
from streams.reports.experiments import experiment_of
from streams.reports.history import history_of
from streams.reports.items import described_similar
from streams.reports.lookups import (
    described_genres,
    described_item,
    described_profile,
    described_trending,
    list_with_titles,
)
from streams.reports.quality import quality_of
from streams.reports.versions import version_of, versions_of
from streams.settings import Settings
from streams.state.lookups import Lookups
from streams.state.quality import find_series
from web.gateway.letter_desk import LetterDesk
from web.gateway.published_lists import PublishedLists
from web.gateway.reading import Reading
from web.gateway.sending import EventResult, EventSender, headers_of, withdrawal_of
from web.gateway.stored_lists import StoredLists
from web.gateway.titles import Titles

__all__ = ["ROLES", "Gateway"]

ROLES = ("worker", "trainer", "scorekeeper", "archiver", "api")
_ATTEMPTS = 1  # of a call whose connection broke: somebody waits, and may ask again
_SEND_MS = 10_000  # for an acknowledgement; who waits longer is told that Kafka is away
T = TypeVar("T")


class Gateway:
    """Reads Redis, and writes and reads Kafka, for one process; used as an asynchronous context.

    Parameters
    ----------
    settings : addresses; the topics must exist.

    Attributes
    ----------
    lookups : how often what is kept in memory was there: ``catalogue``, dead ``letters`` and ``versions``.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lookups = CacheLookups(["catalogue", "letters", "versions"])
        self.letters = LetterDesk(settings, self.lookups)
        self._reading = Reading(settings.redis, settings.prefix)
        self._titles = Titles(self._reading, self.lookups)
        self._published = PublishedLists(settings)
        self._ending = AsyncExitStack()
        self._producer: AIOKafkaProducer
        self._events: EventSender
        self._people: PeopleRequests
        self._stored: StoredLists
        self._client: Any
        self._previews: Any = None

    async def __aenter__(self) -> Self:
        """Connect; raise StreamError where that is not possible: Redis and Kafka must answer now."""
        async with AsyncExitStack() as begun:
            begun.callback(self._reading.close)
            begun.callback(self.letters.close)
            await self._reading.start()
            begun.push_async_callback(self._titles.stop)
            at = self.settings
            client = await self._reading.off_the_loop(
                lambda: connect(at.redis, _ATTEMPTS, prefix=at.prefix, must_answer=True)
            )
            begun.push_async_callback(client.aclose)
            self._stored = StoredLists(client)
            self._client = client
            try:
                self._producer = producer(self.settings, client_id="reelstream-api", request_timeout_ms=_SEND_MS)
                begun.push_async_callback(self._producer.stop)
                await self._producer.start()
                begun.push_async_callback(self._published.stop)
                await self._published.start()
            except KafkaError as error:
                raise self._away("connecting", error) from error
            self._events = EventSender(self._producer, self.settings)
            self._people = PeopleRequests(self.settings, self._producer)
            begun.push_async_callback(self._people.stop)
            self._ending = begun.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect; what was handed over is sent."""
        await self._ending.aclose()

    async def list_of(self, user_id: str) -> bytes | None:
        """Return the list that was published last for a user, the JSON as it is stored; None where there is none."""
        return await self._stored.of(user_id)

    async def with_titles(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a list whose items say their titles, years and genres."""
        return await self._reading.of(lambda lookups: list_with_titles(lookups, record))

    async def profile_of(self, user_id: str, n: int = 20) -> dict[str, Any]:
        """Return counters, mode, favourite genres and the n latest events; ``unknown`` without any event."""
        return await self._reading.of(lambda lookups: described_profile(lookups, user_id, n))

    async def hot(self, n: int = 10, genre: str | None = None) -> list[dict[str, Any]]:
        """Return what trends, over everything or in one genre."""
        return await self._reading.of(lambda lookups: described_trending(lookups, n, genre))

    async def genres(self) -> list[dict[str, Any]]:
        """Return every genre, how many items have it, and whether it trends."""
        counts = await self._titles.genres()
        return described_genres(counts, await self._reading.of(Lookups.genres))

    async def item(self, item_id: str) -> dict[str, Any] | None:
        """Return what the catalogue says of an item, or None."""
        found = (await self._reading.of(lambda lookups: lookups.items([item_id]))).get(item_id)
        return None if found is None else described_item(found)

    async def similar(self, item_id: str, kinds: Sequence[str] = SIMILAR_KINDS, n: int = 10) -> dict[str, Any] | None:
        """Return what is similar to an item, by content, by behaviour and by both; None for an unknown item."""

        def look(lookups: Lookups) -> dict[str, Any] | None:
            found = lookups.items([item_id]).get(item_id)
            return None if found is None else described_similar(lookups, found, kinds, n)

        return await self._reading.of(look)

    async def search(self, text: str, n: int = 10) -> list[dict[str, Any]]:
        """Return up to n items for what somebody typed so far, slips of the pen allowed."""
        found = await self._titles.search(text, n)

        def shown(lookups: Lookups) -> list[dict[str, Any]]:
            known = lookups.items(item["item_id"] for item in found)
            return [item for item in found if lookups.may_show(known.get(item["item_id"]))]

        return await self._reading.of(shown)

    async def users(self, prefix: str = "", n: int = 50) -> list[str]:
        """Return up to n users with a list whose ids begin so, by id."""
        return list(await self._reading.of(lambda lookups: lookups.users(prefix, n)))

    async def send_events(self, batch: Sequence[object], trace: TraceContext | None = None) -> list[EventResult]:
        """Send events and return, once the broker has them, what became of each.

        An event is an object with ``user_id``, ``item_id`` and ``progress``, ``rating`` or ``kind``; ``event_id``,
        ``ts`` and ``rec_id`` may be left out. Their records carry the trace on.
        """
        return await self._events.send(batch, trace)

    async def take_back(self, user_id: str, event_id: str, kind: str, trace: TraceContext | None = None) -> EventResult:
        """Take an event of a user back, and return, once the broker has it, what became of the withdrawal.

        The same again is the same withdrawal.
        """
        [result] = await self.send_events([withdrawal_of(user_id, event_id, kind)], trace)
        return result

    async def ask(
        self, user_id: str, wishes: Mapping[str, Any], budget_s: float, trace: TraceContext | None = None
    ) -> dict[str, Any] | None:
        """Ask for a list and return the answer; None where none came in time.

        Parameters
        ----------
        user_id : for whom.
        wishes : further fields of a request (docs/reference/records.md).
        budget_s : seconds that it may take altogether.
        trace : that the request and its list belong to.

        Raises
        ------
        BadRecord
            If the wishes break the contract.
        ClusterAway
            If Kafka does not take the request.
        """
        request = {"request_id": f"ask-{uuid4().hex}", "user_id": user_id, **wishes}
        body = encode(request)
        decode_request(body)
        try:
            async with asyncio.timeout(budget_s):
                with self._published.of(user_id) as lists:
                    topic = self.settings.prefix + REQUESTS
                    await self._producer.send_and_wait(topic, body, user_id.encode(), headers=headers_of(trace))
                    while True:
                        found: dict[str, Any] = orjson.loads(await lists.get())
                        if found["trigger"].get("request_id") == request["request_id"]:
                            return found
        except KafkaError as error:
            raise self._away("asking for a list", error) from error
        except TimeoutError:
            return None

    async def forget(self, user_id: str, within_s: float) -> dict[str, Any]:
        """Ask for a user to be forgotten, and say what is erased and left then; the archive is not searched."""
        return await forget_user(self.settings, self._people, user_id, None, within_s)

    async def merge(self, guest: str, account: str, within_s: float) -> dict[str, Any]:
        """Ask for a guest's history to be an account's, and say whether it is by then."""
        return await merge_guest(self.settings, self._people, guest, account, within_s)

    def lists_of(self, user_id: str) -> AsyncGenerator[bytes]:
        """Give a user's stored list and each that is published after it, as JSON, without answers to requests."""
        return self._published.following(user_id, lambda: self._stored.of(user_id))

    def new_lists(self, user_id: str) -> AsyncGenerator[bytes]:
        """Give each list of a user that is published from now on, as JSON, without answers to requests."""

        async def none() -> None:
            return None

        return self._published.following(user_id, none)

    async def preview(self, user_id: str, version_id: str) -> dict[str, Any]:
        """Return the list that a stored version would make for a user now, with titles; nothing is published."""
        if self._previews is None:

            def prepare() -> Any:
                from web.gateway.previews import Previews  # noqa: PLC0415 - ranking, which few need here

                return Previews

            previews = await self._reading.off_the_loop(prepare)
            self._previews = self._previews or previews(self.settings, self._client, self.lookups)
        return await self.with_titles(await self._previews.of(user_id, version_id, await self._titles.items()))

    async def models(self) -> dict[str, Any]:
        """Return every model version, newest first, the one that serves, and its anchor."""
        return await self._reading.by(lambda client: versions_of(client, self.settings.registry))

    async def history(self, n: int = 20, *, moves_only: bool = False) -> list[dict[str, Any]]:
        """Return the latest n decisions about versions, newest first; all, or those that changed what serves."""
        return await self._reading.by(lambda client: history_of(client, n, moves_only=moves_only))

    async def model(self, version_id: str) -> dict[str, Any]:
        """Return one version whose files are whole; raise RegistryError if there is none."""
        return await self._reading.by(lambda client: version_of(client, self.settings.registry, version_id))

    async def promote(self, version_id: str, *, by: str, cause: str | None = None) -> dict[str, Any]:
        """Serve a stored version; raises as ``streams.reports.promoting.promote_version``.

        Parameters
        ----------
        version_id : which one.
        by : who wants it.
        cause : why, in their words.
        """
        return await self._decide("promote_version", version_id, by, cause)

    async def roll_back(self, version_id: str | None = None, *, by: str, cause: str | None = None) -> dict[str, Any]:
        """Serve an older version again, by default the parent of the one that serves; else as ``promote``."""
        return await self._decide("roll_back", version_id, by, cause)

    async def experiment(self) -> dict[str, Any]:
        """Return the experiment that runs with its figures; ``{"experiment": None}`` without one."""
        return await self._reading.by(experiment_of)

    async def quality(self) -> dict[str, Any]:
        """Return how often lists were right, with intervals, as the scorekeeper has counted."""
        return await self._reading.by(quality_of)

    async def quality_series(self, n: int = 360) -> list[dict[str, Any]]:
        """Return the latest n points of the hit rate and popularity's, newest first."""
        points = await self._reading.by(lambda client: find_series(client, n))
        return [orjson.loads(orjson.dumps(point)) for point in points]

    async def alive(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return, by role and ``host:pid``, the latest report of every process that shows signs of life."""
        return await self._reading.by(lambda client: {role: find_alive(client, role) for role in ROLES})

    async def read(self, ask: Callable[[Redis], T]) -> T:
        """Return what a function of a synchronous client returns, run in a thread; StateAway where Redis is away."""
        return await self._reading.by(ask)

    async def require_servers(self, within_s: float) -> dict[str, float]:
        """Return in how many milliseconds Redis and Kafka answer.

        Raises
        ------
        StateAway, ClusterAway
            If either does not.
        """
        began = time.monotonic()
        await self._reading.by(lambda client: client.ping())
        redis_ms = 1000 * (time.monotonic() - began)
        began = time.monotonic()
        try:
            async with asyncio.timeout(within_s):
                await self._producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError) as error:
            raise self._away("health", error) from error
        if not self._published.is_reading:
            raise ClusterAway(f"health: the lists that Kafka at {self.settings.kafka} publishes are required, got none")
        return {"redis_ms": redis_ms, "kafka_ms": 1000 * (time.monotonic() - began)}

    async def _decide(self, how: str, version_id: str | None, by: str, cause: str | None) -> dict[str, Any]:
        def decide() -> dict[str, Any]:
            from streams.reports import promoting  # noqa: PLC0415 - ranking, which few need here

            served = asyncio.run(getattr(promoting, how)(self.settings, version_id, by, cause))
            return {"previous": served.previous, "current": served.current, "uri": served.uri}

        return await self._reading.off_the_loop(decide)

    def _away(self, where: str, error: KafkaError | TimeoutError) -> TopicError:
        required = f"{where}: an answer of Kafka at {self.settings.kafka} is required"
        if isinstance(error, KafkaError):
            return cluster_error(error, required)
        return ClusterAway(f"{required}, got none in time")
