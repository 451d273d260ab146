"""Our error for one of aiokafka: whether waiting may help, and what was required."""

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError

from streams.errors import ClusterAway, TopicError
from streams.kafka.kafka_errors import answer_required, cluster_error


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


@pytest.mark.parametrize(("error", "told"), [(KafkaTimeoutError("t"), ClusterAway), (ValueError("v"), ValueError)])
def test_what_is_asked_fails_with_our_error(error, told):
    """An error of the client is ours outside of the block, with its cause; any other one stays as it is."""
    with pytest.raises(told) as found, answer_required("worker: offsets are required"):
        raise error
    assert error in (found.value, found.value.__cause__)
