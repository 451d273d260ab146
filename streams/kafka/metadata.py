"""What a cluster says of topics: partition counts and ids; aiokafka 0.14 asks in a form too old for ids.

A topic gets its id when it is made, so one that was deleted and made anew under its name has another. Brokers tell
ids from Kafka 2.8 on.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

__all__ = ["DescribedTopic", "describe_topics"]


@dataclass(frozen=True, slots=True)
class DescribedTopic:
    """One topic as the cluster knows it.

    Parameters
    ----------
    partitions : how many; 0 where there is no such topic.
    topic_id : None where there is no such topic, or no broker that tells ids.
    """

    partitions: int
    topic_id: str | None


async def describe_topics(client: AIOKafkaClient, names: Sequence[str]) -> dict[str, DescribedTopic]:
    """Ask one broker, and where it does not answer all others at once.

    Raises
    ------
    KafkaError, OSError, TimeoutError
        If none answers within the client's time limit for requests.
    """
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    if not nodes:
        raise KafkaConnectionError("no broker is known")
    random.shuffle(nodes)
    request = _DescribeTopics(names)
    try:
        return _described(await client.send(nodes[0], request))
    except (KafkaError, OSError, TimeoutError):
        others = await asyncio.gather(*(client.send(node, request) for node in nodes[1:]), return_exceptions=True)
        answer = next((one for one in others if not isinstance(one, BaseException)), None)
        if answer is None:
            raise
        return _described(answer)


def _described(answer: Any) -> dict[str, DescribedTopic]:
    return {
        topic["topic"]: DescribedTopic(len(topic["partitions"]), topic.get("topic_id"))
        for topic in answer.to_object()["topics"]
    }


class _TopicId:
    """A UUID of 16 bytes as its usual text; the one of zeros is none."""

    @staticmethod
    def encode(value: str | None) -> bytes:
        return UUID(int=0).bytes if value is None else UUID(value).bytes

    @staticmethod
    def decode(data: BytesIO) -> str | None:
        found = UUID(bytes=data.read(16))
        return str(found) if found.int else None


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    """The answer in version 10 of Kafka's protocol, without the permissions that nobody asks for."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _TopicId),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]  # same
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _TopicId), ("topic", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _DescribeTopics(Request[MetadataRequest_v5 | _MetadataRequest]):  # type: ignore[misc]  # same
    """The question; an older broker gets the form that it knows, and tells no ids."""

    API_KEY = 3

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[Any]) -> Any:
        if request_struct_class is _MetadataRequest:
            return _MetadataRequest([(None, name, {}) for name in self._names], False, False, False, {})
        return request_struct_class(list(self._names), False)
