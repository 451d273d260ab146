"""``/events``: what users did, one event or a batch, and an event taken back, answered once Kafka has it."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from model.kinds import KindTable
from streams.records.ids import is_id
from web.api.answers import JsonAnswer
from web.api.asking import Trace, require_user
from web.api.limits import OWE, ApiConfig
from web.api.metrics import ApiMetrics
from web.api.problems import ProblemError, problems
from web.api.routes.users import UserId
from web.api.schemas import EventResults, WithdrawalAnswer
from web.gateway.gateway import Gateway
from web.gateway.sending import MAX_WHOLE, EventResult

__all__ = ["event_routes"]

ALL_ACCEPTED, ALL_SENT, SOME_REFUSED, ALL_REFUSED = 200, 202, 207, 422
_WHOLE = {"minimum": -MAX_WHOLE, "maximum": MAX_WHOLE}
_ID: dict[str, Any] = {
    "type": ["string", "integer"],  # an integer is taken for its digits
    "format": "reelstream-id",
    "minLength": 1,
    "maxLength": 64,
    **_WHOLE,
}
_ID_OR_NONE = {**_ID, "type": ["string", "integer", "null"]}


def event_routes(gateway: Gateway, config: ApiConfig, metrics: ApiMetrics) -> APIRouter:
    """Return the roads of events."""
    routes = APIRouter(tags=["events"])
    kinds = ["watch", "rate", *gateway.settings.kinds.own]
    accepted, refused = metrics.events.labels("accepted"), metrics.events.labels("refused")

    @routes.post(
        "/events",
        response_model=EventResults,
        responses={
            SOME_REFUSED: {"model": EventResults, "description": "Some events were refused."},
            **problems(400, 401, 403, 413, 415, 422, 429, 503, 504),
        },
        openapi_extra={"requestBody": _body(config.batch, gateway.settings.kinds)},
    )
    async def send_events(request: Request, trace: Trace) -> Response:
        """Send events; the answer comes once Kafka has acknowledged all that were accepted.

        An event that was sent before under the same `event_id` counts once. Without `event_id` and `ts` it has a new
        id, and the time of its arrival. A record with `withdraws` takes the event of that id back, whose `kind` it
        tells.
        """
        batch = _batch_of(await request.body(), config.batch)
        if OWE in request.scope:
            request.scope[OWE](len(batch) - 1)
        results = await gateway.send_events(batch, trace)
        bad = sum(one.status == "refused" for one in results)
        accepted.inc(len(results) - bad)
        refused.inc(bad)
        told = {"accepted": len(results) - bad, "refused": bad, "results": [_told(one) for one in results]}
        if bad and bad == len(results):
            first = results[0]
            raise ProblemError(ALL_REFUSED, f"{first.cause}: {first.detail}", more=told)
        return JsonAnswer(told, SOME_REFUSED if bad else ALL_ACCEPTED)

    @routes.delete(
        "/users/{user_id}/events/{event_id}",
        status_code=ALL_SENT,
        response_model=WithdrawalAnswer,
        responses=problems(401, 403, 404, 422, 429, 503, 504),
    )
    async def take_event_back(
        user_id: UserId,
        event_id: Annotated[str, Path(min_length=1, max_length=64, description="The event's id.")],
        kind: Annotated[str, Query(description="The event's kind.", json_schema_extra={"enum": kinds})],
        trace: Trace,
    ) -> Response:
        """Take an event back, as if it had never been; the answer comes once Kafka has acknowledged the withdrawal.

        It may come before its event, and again. Whether there is such an event nobody looks; `kind` must be its own.
        """
        require_user(user_id)
        if not is_id(event_id):
            raise ProblemError(404, f"the id of an event is required, got {event_id!r:.80}, which no event can have")
        result = await gateway.take_back(user_id, event_id, kind, trace)
        if result.status == "refused":
            refused.inc()
            raise ProblemError(422, f"{result.cause}: {result.detail}")
        accepted.inc()
        told = {"event_id": result.event_id, "user_id": user_id, "withdraws": event_id, "kind": kind}
        return JsonAnswer(told, ALL_SENT)

    return routes


def _batch_of(body: bytes, most: int) -> list[Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProblemError(400, f"a body of JSON is required: {error}") from None
    batch = found if isinstance(found, list) else [found]
    if not batch:
        raise ProblemError(ALL_REFUSED, "at least one event is required, got an empty list")
    if len(batch) > most:
        raise ProblemError(413, f"at most {most:,} events at once are required, got {len(batch):,}")
    return batch


def _told(one: EventResult) -> dict[str, Any]:
    told = {"event_id": one.event_id, "status": one.status}
    return told if one.cause is None else {**told, "cause": one.cause, "detail": one.detail}


def _body(most: int, kinds: KindTable) -> dict[str, Any]:
    """Return what may be sent, as OpenAPI describes it."""
    shared: dict[str, dict[str, Any]] = {
        "user_id": _ID,
        "item_id": _ID,
        "event_id": {**_ID_OR_NONE, "description": "Yours, and the same whenever you send the event again."},
        "ts": {
            "type": ["integer", "null"],
            "format": "unix-ms",
            **_WHOLE,
            "description": "When it happened.",
        },
        "rec_id": {**_ID_OR_NONE, "description": "Of the list that led to the event."},
        "withdraws": {"type": "null"},
    }
    own: dict[str, dict[str, Any]] = {
        "Watch": {
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "kind": {"enum": ["watch", None]},
            "rating": {"type": "null"},
        },
        "Rating": {
            "rating": {"type": "number", "minimum": 0.5, "maximum": 5},
            "kind": {"enum": ["rate", None]},
            "progress": {"type": "null"},
        },
        "Action": {"kind": {"enum": list(kinds.own)}},
    }
    required = {"Watch": ["progress"], "Rating": ["rating"], "Action": ["kind"]}
    forms = [
        {
            "title": title,
            "type": "object",
            "properties": {**shared, **fields},
            "required": ["user_id", "item_id", *required[title]],
        }
        for title, fields in own.items()
    ]
    named = {  # an id of its own may be given and need not be: sent again it changes nothing anyway
        "withdraws": {**_ID, "description": "The `event_id` of the event that is taken back."},
        "kind": {"enum": ["watch", "rate", *kinds.own], "description": "Of that event."},
        "progress": {"type": "null"},
        "rating": {"type": "null"},
        "user_id": _ID,
        "ts": shared["ts"],
    }
    forms.append(
        {
            "title": "Withdrawal",
            "type": "object",
            "properties": named,
            "required": ["user_id", "withdraws", "kind"],
        }
    )
    batch = {"type": "array", "minItems": 1, "maxItems": most, "items": {"oneOf": forms}}
    return {"required": True, "content": {"application/json": {"schema": {"oneOf": [*forms, batch]}}}}
