"""What each topic carries: one row a message, with its schema, its key and an example.

The contracts have a version of their own, as programs that use them ask for it and not for that of this program. What a
new one may change is in docs/reference/contracts.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

from model.catalogue import Item
from model.hints import UserHints
from model.ranking.cold_start import Source
from streams.contracts import examples, incoming
from streams.contracts.descriptions import parameters_of
from streams.contracts.json_types import Schema, nullable, schema_of_incoming, schema_of_outgoing
from streams.kafka import topics
from streams.records.codec import CAUSES
from streams.records.data_requests import DataRequest
from streams.records.records import Action, ModeChange, ModelVersion, Rating, Recommendation, Request, Watch, Withdrawal

__all__ = ["CONTRACT_VERSION", "Direction", "TopicMessage", "topic_messages"]

CONTRACT_VERSION = "1.5.0"  # since 1.4.0: merges; 1.3.0: the life of items; 1.2.0: withdrawals; 1.1.0: data-requests
Direction = Literal["receive", "send"]  # as this program sees it
_TRIGGER: Schema = {
    "type": "object",
    "properties": {
        "topic": {"type": "string", "description": "of an event, with its prefix"},
        "partition": {"type": "integer"},
        "offset": {"type": "integer"},
        "event_id": {"type": "string"},
        "timestamp": {"type": "integer", "description": "Kafka's of the event's record, milliseconds"},
        "request_id": {"type": "string", "description": "of a request; then nothing else is there"},
    },
    "minProperties": 1,
}
_METRICS: Schema = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}
_DIGITS: Schema = {"type": "string", "pattern": "^[0-9]+$"}
_LETTER_HEADERS: Schema = {
    "title": "DeadLetter",
    "description": (
        "The headers of a dead letter, whose key and value are the bytes of the refused record; or of a note that "
        "one was sent back."
    ),
    "type": "object",
    "properties": {
        "topic": {"description": "where the record stood, with the prefix.", "type": "string"},
        "partition": {"description": "the same.", **_DIGITS},
        "offset": {"description": "the same.", **_DIGITS},
        "cause": {"description": "why it was refused, in one word.", "type": "string", "enum": list(CAUSES)},
        "reason": {"description": "what was required and what was found, in one line.", "type": "string"},
        "cut_from_bytes": {"description": "the size of a value of which the letter has only the start.", **_DIGITS},
        "key_cut_from_bytes": {"description": "the same of a key.", **_DIGITS},
        "replayed_topic": {"description": "of a note: where the record stood that was sent back.", "type": "string"},
        "replayed_partition": {"description": "the same.", **_DIGITS},
        "replayed_offset": {"description": "the same.", **_DIGITS},
    },
    "anyOf": [
        {"required": ["topic", "partition", "offset", "cause", "reason"]},
        {"required": ["replayed_topic", "replayed_partition", "replayed_offset"]},
    ],
}


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """What a topic carries.

    Parameters
    ----------
    topic : its name without prefix.
    direction : whether this program receives or sends it.
    schema : of its value; of its headers where ``is_in_headers``.
    example : a value, or headers, that the schema allows.
    removal : what a record without a value says, empty where that is refused.
    is_in_headers : whether the contract is about headers, and the value may be any bytes.
    """

    topic: str
    direction: Direction
    schema: Schema
    example: Mapping[str, Any]
    removal: str = ""
    is_in_headers: bool = False

    @property
    def name(self) -> str:
        """Return the name of the record type."""
        return str(self.schema["title"])


@cache
def topic_messages() -> tuple[TopicMessage, ...]:
    """Return the message of each topic, in the order of the topics."""
    event = incoming.EVENT
    sources = {"type": "string", "enum": [*get_args(Source), "exploration"]}
    recommendation = schema_of_outgoing(Recommendation, {"trigger": _TRIGGER})
    recommendation["properties"]["items"]["items"]["properties"]["source"] |= sources
    return (
        _of_events(topics.WATCHES, Watch, {**event, "progress": incoming.PROGRESS}, examples.WATCH),
        _of_events(topics.RATES, Rating, {**event, "rating": incoming.STARS}, examples.RATING),
        _of_events(topics.ACTIONS, Action, {**event, "kind": incoming.KIND}, examples.ACTION),
        _received(topics.CATALOG, Item, incoming.ITEM, examples.ITEM, "The item of the key leaves the catalogue."),
        _received(
            topics.USER_PROFILES, UserHints, incoming.HINTS, examples.HINTS, "The hints about the user are taken back."
        ),
        _of_data_requests(),
        _received(topics.REQUESTS, Request, incoming.REQUEST, examples.REQUEST),
        TopicMessage(topics.RECOMMENDATIONS, "send", recommendation, examples.RECOMMENDATION),
        TopicMessage(
            topics.MODE_CHANGES, "send", schema_of_outgoing(ModeChange, {"trigger": _TRIGGER}), examples.MODE_CHANGE
        ),
        TopicMessage(
            topics.MODEL_VERSIONS,
            "send",
            schema_of_outgoing(ModelVersion, {"metrics": _METRICS}),
            examples.MODEL_VERSION,
        ),
        TopicMessage(topics.DEAD_LETTERS, "send", _LETTER_HEADERS, examples.DEAD_LETTER_HEADERS, is_in_headers=True),
    )


def _of_events(topic: str, cls: type, limits: Mapping[str, Schema], example: Mapping[str, Any]) -> TopicMessage:
    """Return the message of an event topic: an event, or a withdrawal of one, which needs less."""
    schema = schema_of_incoming(cls, limits)
    words = parameters_of(Withdrawal)
    required = [name for name in schema["required"] if name in words]
    of_event = [name for name in schema["required"] if name not in words]
    schema["properties"]["withdraws"] = {"description": words["withdraws"], **nullable(incoming.WITHDRAWS)}
    taken_back = {"properties": {"withdraws": {"not": {"type": "null"}}}, "required": ["withdraws"]}
    schema |= {"required": required, "if": taken_back, "else": {"required": of_event}}
    return TopicMessage(topic, "receive", schema, example)


def _of_data_requests() -> TopicMessage:
    """Return the message of data-requests: of a merge it must be said into whom."""
    removal = "What the user asked for is no longer kept."
    message = _received(topics.DATA_REQUESTS, DataRequest, incoming.DATA_REQUEST, examples.DATA_REQUEST, removal)
    is_merge = {"properties": {"action": {"const": "merge"}}, "required": ["action"]}
    into = {"properties": {"into": {"not": {"type": "null"}}}, "required": ["into"]}
    return replace(message, schema={**message.schema, "if": is_merge, "then": into})


def _received(
    topic: str, cls: type, limits: Mapping[str, Schema], example: Mapping[str, Any], removal: str = ""
) -> TopicMessage:
    return TopicMessage(topic, "receive", schema_of_incoming(cls, limits), example, removal)
