"""Telling a topic that was deleted and made anew from the one that positions belong to, by the id that Kafka gave it.

Its offsets begin anew, so every position that is kept somewhere would be taken for one of the new topic: its first
records would be skipped in silence. The positions in Redis belong to the ids in the hash ``topics:ids``, written by
whoever starts first. Model versions, the scorekeeper's figures and archived files hold the ids of their own.

What ends and what is mended: the state is made of the event topics, so one of these ends every process, and no start
is allowed until a person has chosen a cure. The catalogue is read from its first record at every start anyway.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from redis.asyncio import Redis

from streams.errors import StateError, TopicError
from streams.kafka import topics
from streams.kafka.clients import blocking_admin
from streams.kafka.kafka_errors import cluster_required
from streams.redis.connection import answered, connect_to_read
from streams.settings import Settings
from streams.state.keys import CATALOG_REJECTED, TOPIC_IDS

__all__ = ["TopicIds", "keep_ids", "made_anew", "recognise_topics", "replaced"]

TopicIds = Mapping[str, str]  # by full name, of those that a broker tells
_KEPT = (*topics.EVENTS, topics.CATALOG)  # of which Redis holds positions
_ASK_MS = 6_000  # as for the look at the topics themselves
_KEEP_S = 2.0  # as often as the cluster is looked at
logger = logging.getLogger(__name__)


def replaced(known: TopicIds, found: TopicIds) -> tuple[str, ...]:
    """Return the topics of which another id was found than the one that is known."""
    return tuple(name for name, topic_id in known.items() if found.get(name, topic_id) != topic_id)


def made_anew(name: str, settings: Settings, known: TopicIds, found: TopicIds) -> TopicError:
    """Return the error about an event topic that is not the one that the state was made of."""
    return TopicError(
        f"topics at {settings.kafka}: {name} must stay the topic that the state in Redis was made of "
        f"({known[name]}), got one that was made anew ({found[name]}), whose offsets would be taken for old ones; "
        "end everything, then `reelstream rebuild` the state from what the topics hold now, or start with an empty "
        "Redis, or choose another REELSTREAM_PREFIX"
    )


def recognise_topics(settings: Settings) -> None:
    """Compare the topics with the ids that belong to the positions in Redis, and write those that are not known yet.

    A catalogue that was made anew is said and taken: what Redis knows of its offsets is forgotten.

    Raises
    ------
    TopicError
        If an event topic was made anew, or the cluster does not answer.
    StateError
        If Redis does not answer.
    """
    names = [settings.prefix + name for name in _KEPT]
    found = _ids(settings, names)
    with answered("topics: comparing their ids with the known ones"), connect_to_read(settings.redis) as client:
        for name, topic_id in found.items():
            client.hsetnx(TOPIC_IDS, name, topic_id)
        stored: Any = client.hgetall(TOPIC_IDS)
        for name in replaced({name: stored[name] for name in names if name in stored}, found):
            if name != settings.prefix + topics.CATALOG:
                raise made_anew(name, settings, stored, found)
            logger.warning("topic.made_anew %s: it is read from its first record", name)
            client.delete(CATALOG_REJECTED)
            client.hset(TOPIC_IDS, name, found[name])


async def keep_ids(client: Redis, settings: Settings, known: Callable[[], TopicIds]) -> NoReturn:
    """Write again and again the ids that Redis lacks: one that was emptied would take any topic for the known one.

    Parameters
    ----------
    client : of the state; while it is away others wait for it, and say so.
    known : returns the ids that this process has started with.
    """
    while True:
        ids = known()
        with suppress(StateError), answered("topics: keeping their ids"):
            for name in (settings.prefix + name for name in _KEPT):
                if name in ids:
                    await client.hsetnx(TOPIC_IDS, name, ids[name])
        await asyncio.sleep(_KEEP_S)


def _ids(settings: Settings, names: list[str]) -> dict[str, str]:
    with cluster_required("topics", settings):
        client = blocking_admin(settings, "topics", bootstrap_timeout_ms=_ASK_MS)
        try:
            described = client.describe_topics(names)
        finally:
            client.close()
    return {topic["name"]: str(topic["topic_id"]) for topic in described if topic.get("topic_id")}
