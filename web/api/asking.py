"""A fresh list over HTTP: wishes out of a query's parameters, and the stored list where the answer is late."""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request

from model.because import Because, in_words
from streams.records.codec import encode
from streams.records.ids import is_id
from streams.records.records import ListedItem, Recommendation
from streams.records.trace_context import TraceContext
from web.api.limits import KEY_NAME
from web.api.problems import ProblemError
from web.gateway.gateway import Gateway

__all__ = [
    "MAX_BUDGET_MS",
    "Text",
    "Texts",
    "Trace",
    "asker",
    "fallback_list",
    "fresh_list",
    "possible_ids",
    "printable",
    "printable_all",
    "require_user",
    "short_list",
]

MAX_BUDGET_MS = 10_000  # who waits longer than this has gone
Text = Annotated[str, Query(min_length=1, max_length=64)]
Texts = Annotated[list[Text], Query(max_length=32, default_factory=list)]


def _trace_of(request: Request) -> TraceContext | None:
    """Return the trace that a request says it belongs to."""
    given = {name: request.headers.get(name) for name in ("traceparent", "tracestate")}
    return TraceContext.of_headers({name: one.encode("latin-1") for name, one in given.items() if one is not None})


Trace = Annotated[TraceContext | None, Depends(_trace_of)]


def asker(request: Request) -> str:
    """Return who asks, as it is written beside a decision: the name of their key."""
    name = request.scope.get(KEY_NAME)
    return "api" if name is None else f"{name}@api"


def require_user(user_id: str) -> None:
    """Raise a problem of a user whom there cannot be."""
    if not is_id(user_id):
        raise ProblemError(404, f"the id of a user is required, got {user_id!r:.80}, which no event can name")


async def fresh_list(
    gateway: Gateway, user_id: str, wishes: Mapping[str, Any], budget_ms: int, trace: TraceContext | None = None
) -> dict[str, Any]:
    """Return a list that was made now; where the answer is late, the stored one, marked ``stale``.

    Raises
    ------
    ProblemError
        If the request is refused, with what is wrong with it.
    """
    require_user(user_id)
    found = await gateway.ask(user_id, _given(wishes), budget_ms / 1000, trace)
    if found is None:
        return await fallback_list(gateway, user_id, wishes.get("k") or 10) | {"stale": True}
    if found["mode"] == "refused":
        raise ProblemError(422, found["error"])
    return found


async def fallback_list(gateway: Gateway, user_id: str, k: int) -> dict[str, Any]:
    """Return the stored list, and for a user without one what trends."""
    body = await gateway.list_of(user_id)
    if body is not None:
        return short_list(orjson.loads(body), k)
    because, now_ms = Because("trending"), time.time_ns() // 1_000_000
    items = tuple(
        ListedItem(one["item_id"], one["rank"], one["score"], "trending", in_words(because), because=because)
        for one in await gateway.hot(k)
    )
    made = Recommendation("", user_id, now_ms, "cold_start", None, k, items, {}, 0, now_ms, now_ms, tier="trending")
    found: dict[str, Any] = orjson.loads(encode(made))
    return found | {"rec_id": None}  # it was not published, so no event can name it


def short_list(record: Mapping[str, Any], k: int) -> dict[str, Any]:
    """Return a list with its first k items."""
    return {**record, "items": record["items"][:k]}


def printable(text: str) -> str:
    """Return a text as a request may hold it: with a space for whatever no reader sees."""
    return "".join(mark if mark.isprintable() else " " for mark in text)


def printable_all(texts: Sequence[str] | None) -> list[str]:
    """Return texts as a request may hold them."""
    return [printable(text) for text in texts or ()]


def possible_ids(ids: Sequence[str] | None) -> list[str]:
    """Return those ids that an item can have; of the others there is nothing to list or to resemble."""
    return [one for one in ids or () if is_id(one)]


def _given(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is wished for, without what is not."""
    return {name: value for name, value in wishes.items() if value is not None and not _is_empty(value)}


def _is_empty(value: object) -> bool:
    return isinstance(value, Sequence | Mapping) and not value
