"""Whether a Kafka cluster can be reached, and one line of text where it cannot, whichever client was asked."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiokafka.errors
import kafka.errors

from streams.errors import ClusterAway, NoCluster, TopicError
from streams.settings import Settings

__all__ = ["answer_required", "cluster_error", "cluster_required"]


def cluster_error(error: aiokafka.errors.KafkaError, required: str) -> TopicError:
    """Return our error for one of aiokafka: ``ClusterAway`` where the same call may pass in a moment.

    aiokafka does not count its own time-out among the errors that are worth another attempt.

    Parameters
    ----------
    required : where, and what should have been there.
    """
    may_pass = error.retriable or isinstance(error, aiokafka.errors.KafkaTimeoutError)
    kind = ClusterAway if may_pass else TopicError
    return kind(f"{required}, got {error!r}")


@contextmanager
def answer_required(required: str) -> Iterator[None]:
    """Ask in this block with a client of aiokafka that is connected.

    Parameters
    ----------
    required : as above.

    Raises
    ------
    TopicError
        If the client fails; ``ClusterAway`` where waiting may help.
    """
    try:
        yield
    except aiokafka.errors.KafkaError as error:
        raise cluster_error(error, required) from error


@contextmanager
def cluster_required(who: str, settings: Settings) -> Iterator[None]:
    """Connect in this block.

    Parameters
    ----------
    who : the part that connects, the first word of the message.

    Raises
    ------
    NoCluster
        If the block fails with an error of aiokafka, kafka-python or the network, or a setting that they refuse.
    """
    try:
        yield
    except (aiokafka.errors.KafkaError, kafka.errors.KafkaError, OSError, ValueError) as error:
        raise NoCluster(f"{who}: a Kafka cluster is required at {settings.kafka}, got {error!r}") from error
