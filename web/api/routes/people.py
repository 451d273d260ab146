"""``/users``: what people ask of their data: to be forgotten, and a guest to become an account."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from streams.errors import RecordError
from streams.records.ids import is_id
from web.api.answers import JsonAnswer
from web.api.asking import require_user
from web.api.problems import ProblemError, problems
from web.api.routes.users import UserId
from web.api.schemas import ForgettingAnswer, MergeWish, MergingAnswer
from web.gateway.gateway import Gateway

__all__ = ["people_routes"]

Wait = Annotated[int, Query(ge=0, le=10_000, description="How long to wait until it is carried out.")]


def people_routes(gateway: Gateway) -> APIRouter:
    """Return the roads of what people ask."""
    routes = APIRouter(tags=["users"])

    @routes.delete("/users/{user_id}", **_told(ForgettingAnswer, 401, 403, 404, 422, 429, 503, 504))
    async def forget_user(user_id: UserId, wait_ms: Wait = 2000) -> Response:
        """Forget a user everywhere: 200 where nothing is left, 202 where a process has still to erase its part.

        The request is in Kafka in both cases; asking again says how far it is. What Kafka holds on its own, and until
        when, is under `kafka`. Events that come later count again.
        """
        require_user(user_id)
        return _answer(await gateway.forget(user_id, wait_ms / 1000))

    @routes.post(
        "/users/{user_id}/merge", **_told(MergingAnswer, 400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 504)
    )
    async def merge_user(user_id: UserId, wish: MergeWish, wait_ms: Wait = 2000) -> Response:
        """Let a guest's history be an account's, also what the guest does later: 200 where it is, 202 where not yet.

        The request is in Kafka in both cases; asking again says how far it is. 409 says that the two are one, that the
        guest is another account's, that the account is a guest of this one, or that one of both is being forgotten.
        """
        require_user(user_id)
        if not is_id(wish.into):
            raise ProblemError(422, f"into: the id of a user is required, got {wish.into!r:.80}")
        if wish.into == user_id:
            raise ProblemError(409, f"into: another user than the guest is required, got {user_id!r:.80} for both")
        try:
            return _answer(await gateway.merge(user_id, wish.into, wait_ms / 1000))
        except RecordError as error:
            raise ProblemError(409, str(error)) from error

    return routes


def _told(answer: type[BaseModel], *statuses: int) -> dict[str, Any]:
    """Return what the document says of answers that may come before all is done, as FastAPI takes it."""
    later = {"model": answer, "description": "Asked for, and not carried out everywhere yet."}
    return {"response_model": answer, "responses": {202: later, **problems(*statuses)}}


def _answer(found: Mapping[str, Any]) -> Response:
    return JsonAnswer(found, 200 if found["done"] else 202)
