"""``/users``: their lists, stored, fresh and as they come; and their profiles."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from web.api.answers import JsonAnswer
from web.api.asking import (
    MAX_BUDGET_MS,
    Text,
    Texts,
    Trace,
    fallback_list,
    fresh_list,
    possible_ids,
    printable,
    printable_all,
    require_user,
)
from web.api.limits import ApiConfig
from web.api.metrics import ApiMetrics
from web.api.problems import ProblemError, problems
from web.api.schemas import UserList, UserProfile, Users
from web.gateway.gateway import Gateway

__all__ = ["UserId", "user_routes"]

UserId = Annotated[str, Path(min_length=1, max_length=64, description="The user's id.")]
_LIVELY_S = 15.0  # between two signs of life of a silent stream, which keeps proxies from closing it


def user_routes(gateway: Gateway, config: ApiConfig, metrics: ApiMetrics) -> APIRouter:
    """Return the roads about users."""
    routes = APIRouter(tags=["users"])

    @routes.get("/users", response_model=Users, responses=problems(401, 403, 422, 429, 503, 504))
    async def list_users(
        prefix: Annotated[str, Query(max_length=64)] = "", k: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> Response:
        """List users with a list whose ids begin so; of very many, some."""
        return JsonAnswer({"users": await gateway.users(prefix, k)})

    @routes.get("/users/{user_id}", response_model=UserProfile, responses=problems(401, 403, 404, 422, 429, 503, 504))
    async def show_user(user_id: UserId, k: Annotated[int, Query(ge=1, le=200)] = 20) -> Response:
        """Show counters, mode, favourite genres and the k latest events of a user."""
        found = await gateway.profile_of(user_id, k)
        if found["unknown"]:
            raise ProblemError(404, f"a user with events is required, got {user_id!r}, of whom none has been applied")
        return JsonAnswer(found)

    @routes.get(
        "/users/{user_id}/recommendations",
        response_model=UserList,
        responses=problems(401, 403, 404, 422, 429, 503, 504),
    )
    async def recommend(
        user_id: UserId,
        *,
        trace: Trace,
        genres: Texts,
        avoid: Texts,
        never: Texts,
        like: Annotated[list[Text], Query(max_length=50, default_factory=list, description="Items to resemble.")],
        exclude: Annotated[list[Text], Query(max_length=200, default_factory=list, description="Items not to list.")],
        fresh: Annotated[bool, Query(description="Whether a list is made now.")] = False,
        k: Annotated[int | None, Query(ge=1, le=200, description="Length of the list.")] = None,
        strict: Annotated[bool, Query(description="Whether items must have all of the genres.")] = False,
        from_year: Annotated[int | None, Query(ge=1800, le=2200)] = None,
        to_year: Annotated[int | None, Query(ge=1800, le=2200)] = None,
        query: Annotated[str | None, Query(min_length=1, max_length=200, description="In words.")] = None,
        allow_seen: Annotated[bool, Query(description="Whether touched items may be listed.")] = False,
        titles: Annotated[bool, Query(description="Whether items say their titles.")] = False,
        budget_ms: Annotated[int | None, Query(ge=1, le=MAX_BUDGET_MS, description="What it may take.")] = None,
    ) -> Response:
        """Return a user's list: the stored one, or a fresh one with `fresh` or any wish.

        A fresh list that does not come within its budget is answered with the stored one, marked `stale`. A user
        without a list gets what trends.
        """
        wishes: dict[str, Any] = {
            "genres": _genres(genres, avoid, never, strict=strict),
            "years": _years(from_year, to_year),
            "query": None if query is None else printable(query),
            "like": possible_ids(like),
            "exclude": possible_ids(exclude),
            "allow_seen": allow_seen or None,
        }
        if fresh or any(wishes.values()):
            found = await fresh_list(gateway, user_id, wishes | {"k": k}, budget_ms or config.budget_ms, trace)
        else:
            found = await fallback_list(gateway, user_id, k or 10)
        return JsonAnswer(await gateway.with_titles(found) if titles else found)

    @routes.get(
        "/users/{user_id}/recommendations/stream",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **problems(401, 403, 404, 422, 429, 503),
        },
    )
    async def follow(
        user_id: UserId,
        limit: Annotated[int, Query(ge=0, le=1000, description="Lists after which it ends; 0 for never.")] = 0,
        seconds: Annotated[int, Query(ge=0, le=86_400, description="After which it ends; 0 for never.")] = 0,
    ) -> Response:
        """Stream a user's lists as server-sent events: the stored one, then each new one as it is published."""
        require_user(user_id)
        await gateway.list_of(user_id)  # where Redis is away it is a problem still
        return StreamingResponse(
            _events(gateway, user_id, limit, seconds, metrics),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    return routes


def _genres(
    named: Sequence[str] | None, avoid: Sequence[str] | None, never: Sequence[str] | None, *, strict: bool
) -> dict[str, list[str]]:
    """Return the genres of a request, without those that nobody names."""
    asked = {"must" if strict else "want": named, "avoid": avoid, "never": never}
    return {name: printable_all(genres) for name, genres in asked.items() if genres}


def _years(first: int | None, last: int | None) -> list[int | None] | None:
    """Return the years of a request, the earlier one first."""
    if first is not None and last is not None and first > last:
        return [last, first]
    return None if first is None and last is None else [first, last]


async def _events(
    gateway: Gateway, user_id: str, limit: int, seconds: int, metrics: ApiMetrics
) -> AsyncIterator[bytes]:
    """Give the stored list and then each new one, with a sign of life where nothing happens."""
    sent = 0
    metrics.streams.inc()
    try:
        yield b": lists of this user follow\n\n"
        async with aclosing(gateway.lists_of(user_id)) as lists, asyncio.timeout(seconds or None):
            coming: asyncio.Future[bytes] = asyncio.ensure_future(anext(lists))
            try:
                while not limit or sent < limit:
                    done, _ = await asyncio.wait({coming}, timeout=_LIVELY_S)
                    if not done:
                        yield b": nothing new\n\n"
                        continue
                    yield _event(coming.result())
                    sent += 1
                    coming = asyncio.ensure_future(anext(lists))
            finally:
                coming.cancel()
                await asyncio.wait({coming})
    except TimeoutError:
        return
    finally:
        metrics.streams.dec()


def _event(body: bytes) -> bytes:
    rec_id = str(orjson.loads(body)["rec_id"]).encode()
    return b"event: list\nid: " + rec_id + b"\ndata: " + body + b"\n\n"
