"""Which topics the positions in Redis belong to: the ids in the hash ``topics:ids``, written by whoever starts first.

Model versions, the scorekeeper's figures and archived files hold the ids that their own offsets belong to. The state is
made of the event topics. So an event topic that was made anew ends every process, and none starts again until a person
has chosen a cure. A catalogue, user profiles, or data requests, that were made anew need none: they are read from their
first record at every start.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from redis.asyncio import Redis

from streams.errors import StateError
from streams.kafka import topics
from streams.kafka.topic_ids import made_anew, read_topic_ids, replaced
from streams.records.positions import TopicIds
from streams.redis.adopting import AdoptedKeys, adopt_keys
from streams.redis.connection import answered, connect_to_read
from streams.redis.earlier_keys import require_no_earlier_keys
from streams.settings import Settings
from streams.state.keys import CATALOG_REJECTED, DATA_REQUESTS_REJECTED, HINTS_REJECTED, TOPIC_IDS

__all__ = ["adopt_earlier_keys", "keep_ids", "recognise_topics", "require_renamed"]

_REREAD = {  # and what Redis knows of their offsets
    topics.CATALOG: CATALOG_REJECTED,
    topics.USER_PROFILES: HINTS_REJECTED,
    topics.DATA_REQUESTS: DATA_REQUESTS_REJECTED,
}
_KEPT = (*topics.EVENTS, *_REREAD)  # of which Redis holds positions
_KEEP_S = 2.0  # as often as the cluster is looked at
logger = logging.getLogger(__name__)


def require_renamed(settings: Settings) -> None:
    """Raise StateError where Redis holds the state of this installation under keys without its prefix."""
    require_no_earlier_keys(settings, TOPIC_IDS, settings.prefix + topics.WATCHES)


async def adopt_earlier_keys(settings: Settings, *, is_tried: bool = False) -> AdoptedKeys:
    """Rename such keys, or only count them; see ``streams.redis.adopting``."""
    return await adopt_keys(settings, TOPIC_IDS, topics.WATCHES, is_tried=is_tried)


def recognise_topics(settings: Settings) -> None:
    """Compare the topics with the ids that belong to the positions in Redis, and write those that are not known yet.

    A catalogue, user profiles or data requests made anew are logged and accepted: what Redis knows of their offsets is
    forgotten.

    Raises
    ------
    TopicError
        If an event topic was made anew, or the cluster does not answer.
    StateError
        If Redis does not answer, or holds the state of this installation under keys without its prefix.
    """
    names = [settings.prefix + name for name in _KEPT]
    found = read_topic_ids(settings, names)
    require_renamed(settings)
    with (
        answered("topics: comparing their ids with the known ones"),
        connect_to_read(settings.redis, prefix=settings.prefix) as client,
    ):
        for name, topic_id in found.items():
            client.hsetnx(TOPIC_IDS, name, topic_id)
        stored: Any = client.hgetall(TOPIC_IDS)
        for name in replaced({name: stored[name] for name in names if name in stored}, found):
            rejected = _REREAD.get(name.removeprefix(settings.prefix))
            if rejected is None:
                raise made_anew(name, settings, stored, found)
            logger.warning("topic.made_anew %s: it is read from its first record", name)
            client.delete(rejected)
            client.hset(TOPIC_IDS, name, found[name])


async def keep_ids(client: Redis, settings: Settings, known: Callable[[], TopicIds]) -> NoReturn:
    """Write again and again the ids that Redis lacks; without them any topic would pass for the known one.

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
