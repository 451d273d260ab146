"""Whether a Kafka cluster can be reached, and one line of text where it cannot, whichever client was asked."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import aiokafka.errors
import kafka.errors

from streams.clients import admin
from streams.errors import TopicError
from streams.settings import Settings

__all__ = ["cluster_required", "is_answering", "is_away"]

_ANSWER_S = 5.0  # a cluster that needs longer for its list of topics serves nobody


def is_away(error: aiokafka.errors.KafkaError) -> bool:
    """Tell whether the same call may pass in a moment; aiokafka does not count its own time-out among these."""
    return bool(error.retriable) or isinstance(error, aiokafka.errors.KafkaTimeoutError)


@contextmanager
def cluster_required(who: str, settings: Settings) -> Iterator[None]:
    """Connect in this block.

    Parameters
    ----------
    who : the part that connects, the first word of the message.

    Raises
    ------
    TopicError
        If the block fails with an error of aiokafka, kafka-python or the network, or a setting that they refuse.
    """
    try:
        yield
    except (aiokafka.errors.KafkaError, kafka.errors.KafkaError, OSError, ValueError) as error:
        raise TopicError(
            f"{who}: a Kafka cluster is required at {settings.kafka}, got {error!r}; "
            "set REELSTREAM_KAFKA or start one with `reelstream stack up`"
        ) from error


async def is_answering(settings: Settings, within_s: float = _ANSWER_S) -> bool:
    """Return whether some broker of the cluster tells which topics there are."""
    client = admin(settings)
    try:
        async with asyncio.timeout(within_s):
            await client.start()
            await client.list_topics()
    except (aiokafka.errors.KafkaError, OSError):  # TimeoutError is an OSError
        return False
    else:
        return True
    finally:
        await client.close()
