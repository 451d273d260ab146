"""Our error for one of aiokafka: whether waiting may help, and what was required."""

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError

from streams.errors import ClusterAway, TopicError
from streams.kafka.kafka_errors import cluster_error


@pytest.mark.parametrize("error", [KafkaTimeoutError("none in 40 s"), KafkaConnectionError("closed")])
def test_a_cluster_that_does_not_answer_is_away(error):
    """A time-out and a lost connection may pass, and the line says what was required and what was got."""
    told = cluster_error(error, "worker: offsets are required")
    assert isinstance(told, ClusterAway)
    assert str(told) == f"worker: offsets are required, got {error!r}"


def test_a_cluster_that_refuses_is_not_away():
    """A topic that may not be read is not asked for again and again."""
    told = cluster_error(TopicAuthorizationFailedError("t"), "worker: offsets are required")
    assert type(told) is TopicError
