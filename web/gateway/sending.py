"""Events on their way to Kafka: each is checked by the rules of its topic, and answered once the broker has it.

What would become a dead letter is refused here and never sent. An event may leave out what can be told without it: its
time is then now, and its id a new one, so that only events with an id of their own may be sent again safely.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from model.kinds import RATE, WATCH, KindTable
from streams.kafka.kafka_errors import answer_required
from streams.kafka.topics import ACTIONS, RATES, WATCHES
from streams.records.codec import BadRecord, encode
from streams.records.decoding import RawRecord, decode_event
from streams.records.records import EventRecord, Origin
from streams.records.trace_context import TraceContext
from streams.settings import Settings

__all__ = ["MAX_WHOLE", "EventResult", "EventSender", "headers_of", "withdrawal_of"]

MAX_WHOLE = 2**53 - 1  # beyond it many JSON writers round, and an id would be another
_WHOLE = ("event_id", "user_id", "item_id", "rec_id", "withdraws", "ts")
_AT_ONCE = 50  # events checked before others have their turn: a millisecond
_TOPICS = {WATCH: WATCHES, RATE: RATES}


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event.

    Parameters
    ----------
    event_id : given, or made here; None where what was given is none.
    status : ``accepted`` once every replica in step has it, ``refused`` if it breaks its contract.
    cause, detail : of a refused one, as in a dead letter: what was required and what was got.
    """

    event_id: str | None
    status: Literal["accepted", "refused"]
    cause: str | None = None
    detail: str | None = None


class EventSender:
    """Sends events.

    Parameters
    ----------
    producer : started; stopped by who started it.
    settings : the prefix of the topics and the table of kinds.
    """

    def __init__(self, producer: AIOKafkaProducer, settings: Settings) -> None:
        self._producer = producer
        self._settings = settings

    async def send(self, batch: Sequence[object], trace: TraceContext | None = None) -> list[EventResult]:
        """Send those events that keep their contract, and return the result of each in order.

        Raises
        ------
        ClusterAway
            If Kafka does not acknowledge all of them. Some may have arrived: sending the batch again with the same ids
            is safe.
        """
        now_ms = time.time_ns() // 1_000_000
        results: list[EventResult] = []
        deliveries = []
        headers = headers_of(trace)
        with answer_required(f"events: an acknowledgement of Kafka at {self._settings.kafka} is required"):
            for at, given in enumerate(batch, 1):
                if at % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                try:
                    topic, event = _checked(given, now_ms, self._settings.kinds)
                except BadRecord as error:
                    results.append(EventResult(_id_of(given), "refused", error.cause, error.detail))
                    continue
                name = self._settings.prefix + topic
                sent = await self._producer.send(name, encode(event), event.user_id.encode(), headers=headers)
                deliveries.append(sent)
                results.append(EventResult(event.event_id, "accepted"))
            for delivery in deliveries:  # all are under way
                await delivery
        return results


def withdrawal_of(user_id: str, event_id: str, kind: str) -> dict[str, str]:
    """Return what takes an event back: under an id of its own, the same whenever the same event is taken back."""
    named = f"{user_id}\n{kind}\n{event_id}".encode()
    own = f"withdraws-{blake2b(named, digest_size=16).hexdigest()}"
    return {"event_id": own, "user_id": user_id, "withdraws": event_id, "kind": kind}


def headers_of(trace: TraceContext | None) -> list[tuple[str, bytes]] | None:
    """Return the headers of a record that carry a trace on, as aiokafka takes them."""
    return None if trace is None else list(trace.headers().items())


def _checked(given: object, now_ms: int, kinds: KindTable) -> tuple[str, EventRecord]:
    """Return an event and its topic; raise BadRecord if it breaks the contract."""
    if not isinstance(given, Mapping):
        raise BadRecord("not_an_object", f"an event must be a JSON object, got {str(given)[:80]!r}")
    topic = _topic_of(given, kinds)
    filled = {name: _whole(name, one) if name in _WHOLE else one for name, one in given.items() if one is not None}
    if "event_id" not in filled:
        filled["event_id"] = str(uuid4())
    filled.setdefault("ts", now_ms)
    record = RawRecord(Origin(topic, 0, 0, now_ms), None, encode(filled))
    return topic, decode_event(record, topic, kinds)


def _whole(name: str, value: object) -> object:
    """Return a value, a whole number as such where JSON wrote it as 3.0; raise BadRecord if it is too far from 0."""
    if not isinstance(value, int | float):
        return value
    if not -MAX_WHOLE <= value <= MAX_WHOLE:
        raise BadRecord("bad_field", f"{name} must be a whole number within {MAX_WHOLE} of 0, got {value!r}")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _topic_of(given: Mapping[str, Any], kinds: KindTable) -> str:
    kind = given.get("kind")
    is_withdrawal = given.get("withdraws") is not None
    named = [topic for name, topic in (("progress", WATCHES), ("rating", RATES)) if given.get(name) is not None]
    if is_withdrawal and (named or kind not in kinds.names):
        raise BadRecord(
            "bad_field",
            f"a withdrawal must tell the kind of its event, one of {', '.join(kinds.names)}, and neither progress nor "
            f"rating, got {str(kind)[:80]!r} with {len(named)} of them",
        )
    if isinstance(kind, str) and (kind not in _TOPICS or len(named) <= 1):
        return _TOPICS.get(kind, ACTIONS)
    if kind is None and len(named) == 1:
        return named[0]
    own = ", ".join(kinds.own)
    raise BadRecord(
        "bad_field" if kind is not None or named else "missing_field",
        f"kind must be watch, with progress, or rate, with rating, or one of {own}; it may be left out with one of "
        f"these two; got {str(kind)[:80]!r} with {len(named)} of them",
    )


def _id_of(given: object) -> str | None:
    found = given.get("event_id") if isinstance(given, Mapping) else None
    return found[:64] if isinstance(found, str) else None
