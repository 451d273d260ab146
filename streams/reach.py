"""One line of text where a Kafka cluster cannot be reached, whichever client was asked."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiokafka.errors
import kafka.errors

from streams.errors import TopicError
from streams.settings import Settings

__all__ = ["cluster_required", "is_away"]


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
