"""All topics as one AsyncAPI 3 document: who may send what where, and what comes back.

Addresses are without the prefix of an installation, and no server is named: both differ from place to place.
"""

from typing import Any

from streams.contracts.json_types import Schema
from streams.contracts.messages import CONTRACT_VERSION, TopicMessage, topic_messages
from streams.kafka.topics import RECOMMENDATIONS, REQUESTS, TOPICS, Topic

__all__ = ["asyncapi_document"]

Part = dict[str, Any]
_BINDING_VERSION = "0.5.0"  # of AsyncAPI's words about Kafka
_ABOUT = (
    "What goes into Reelstream and what comes out, on Kafka. Values are JSON in UTF-8, at most 64 KiB where they come "
    "in. Keys are ids in UTF-8, partitioned by murmur2. An installation may set a prefix before every address "
    "(REELSTREAM_PREFIX). Ignore fields and words that you do not know: a minor version may add some."
)


def asyncapi_document() -> Part:
    """Return the document, ready to be written as JSON."""
    messages = topic_messages()
    shapes = {topic.name: topic for topic in TOPICS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Reelstream",
            "version": CONTRACT_VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {one.topic: _channel(one, shapes[one.topic]) for one in messages},
        "operations": {f"{one.direction}-{one.topic}": _operation(one) for one in messages},
        "components": {
            "messages": {name: part for one in messages for name, part in _messages(one, shapes[one.topic]).items()},
            "schemas": {one.name: one.schema for one in messages},
        },
    }


def _channel(message: TopicMessage, shape: Topic) -> Part:
    configuration: Part = {"cleanup.policy": ["compact"]}
    if not shape.compacted:
        configuration = {"cleanup.policy": ["delete"], "retention.ms": shape.retention_ms}
    binding: Part = {"topicConfiguration": configuration, "bindingVersion": _BINDING_VERSION}
    if shape.single:
        binding["partitions"] = 1
    return {
        "address": message.topic,
        "description": message.schema["description"],
        "messages": {name: _reference("messages", name) for name in _messages(message, shape)},
        "bindings": {"kafka": binding},
    }


def _operation(message: TopicMessage) -> Part:
    operation: Part = {"action": message.direction, "channel": {"$ref": f"#/channels/{message.topic}"}}
    if message.topic == REQUESTS:
        operation["reply"] = {"channel": {"$ref": f"#/channels/{RECOMMENDATIONS}"}}
    return operation


def _messages(message: TopicMessage, shape: Topic) -> dict[str, Part]:
    key = {"kafka": {"key": {"type": "string", "description": shape.key}, "bindingVersion": _BINDING_VERSION}}
    where = "headers" if message.is_in_headers else "payload"
    one: Part = {
        "name": message.name,
        "summary": message.schema["description"],
        where: _reference("schemas", message.name),
        "bindings": key,
        "examples": [{where: message.example}],
    }
    if message.is_in_headers:
        one["contentType"] = "application/octet-stream"
    if message.topic == REQUESTS:
        one["correlationId"] = {"location": "$message.payload#/request_id"}
    if not message.removal:
        return {message.name: one}
    removal: Part = {"name": f"{message.name}Removal", "summary": message.removal, "bindings": key, "payload": _NOTHING}
    return {message.name: one, removal["name"]: removal}


_NOTHING: Schema = {"type": "null", "description": "no value at all, which Kafka keeps as a mark of deletion"}


def _reference(kind: str, name: str) -> Part:
    return {"$ref": f"#/components/{kind}/{name}"}
