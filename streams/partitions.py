"""Look at the partition counts while running: a topic that grows or disappears ends the process with its cure.

Workers, trainer and scorekeeper share out, merge and read exactly the partitions that they were started with, so more
of them would fill with events that nobody reads. Starting again with the new count is all it takes: positions are kept
for each partition by itself, so a user whose key now falls elsewhere goes on with the same state. At the start
``streams.topics.verify_topics`` looks at the same thing.
"""

import asyncio
import logging
from typing import NoReturn

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.clients import admin
from streams.errors import TopicError
from streams.settings import Settings
from streams.topics import MODEL_VERSIONS, TOPICS

__all__ = ["LOOK_S", "check_partitions", "watch_partitions"]

LOOK_S = 10.0
AGAIN_S = 2.0
logger = logging.getLogger(__name__)


async def check_partitions(client: AIOKafkaAdminClient, settings: Settings) -> None:
    """Compare the topics with the settings, once.

    Raises
    ------
    TopicError
        If a topic is gone or has another partition count than the settings say.
    KafkaError, OSError
        If the cluster does not answer; it may be away for a while.
    """
    required = {settings.prefix + topic.name: topic.partitions(settings) for topic in TOPICS}
    found = {topic["topic"]: len(topic["partitions"]) for topic in await client.describe_topics()}
    wrong = {name: found.get(name, 0) for name, n in required.items() if found.get(name, 0) != n}
    if not wrong:
        return
    name, got = next(iter(wrong.items()))
    if got == 0:
        raise TopicError(
            f"partitions of {name} at {settings.kafka}: the topic must stay, got none; create it again with "
            "`reelstream topics create`, then start all workers, the trainer and the scorekeeper again "
            "with an empty Redis, as its offsets begin anew"
        )
    if name == settings.prefix + MODEL_VERSIONS:
        raise TopicError(
            f"partitions of {name} at {settings.kafka}: one is required, got {got}; delete the topic and create it "
            "again with `reelstream topics create`: versions rest in the registry, it only announces them"
        )
    raise TopicError(
        f"partitions of {', '.join(wrong)} at {settings.kafka}: {required[name]} are required while running, got {got}"
        f"; restart all workers, the trainer and the scorekeeper with REELSTREAM_PARTITIONS={got} once every topic has "
        "as many: state stays right because positions are kept per partition"
    )


async def watch_partitions(settings: Settings, every_s: float = LOOK_S) -> NoReturn:
    """Look again and again until something is wrong twice in a row; a cluster that is away is asked again later.

    Twice, because a broker that has just started may not know every topic yet.

    Raises
    ------
    TopicError
        As ``check_partitions`` does.
    """
    while True:
        client = admin(settings)
        try:
            await client.start()
            while True:
                try:
                    await check_partitions(client, settings)
                except TopicError:
                    await asyncio.sleep(min(AGAIN_S, every_s))
                    await check_partitions(client, settings)
                await asyncio.sleep(every_s)
        except (KafkaError, OSError) as error:
            logger.info("partitions.not_seen %r", error)
        finally:
            await client.close()
        await asyncio.sleep(every_s)
