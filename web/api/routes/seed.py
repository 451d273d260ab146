"""Two roads with the parameters that older apps send; each asks for a fresh list with titles.

``genre_alpha``, ``pop_alpha`` and ``embed_alpha`` are how much the genres, the popularity and the likeness to the words
count; here they are the weights ``query_genres``, ``popularity`` and ``query`` of a request.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from model.wishes.combining import MAX_WEIGHT
from web.api.answers import JsonAnswer
from web.api.asking import Trace, fresh_list, printable
from web.api.limits import ApiConfig
from web.api.problems import problems
from web.api.schemas import UserList
from web.gateway.gateway import Gateway

__all__ = ["seed_routes"]

UserParameter = Annotated[str, Query(min_length=1, max_length=64)]
Length = Annotated[int, Query(ge=1, le=200)]
Alpha = Annotated[float | None, Query(ge=0, le=10)]


def seed_routes(gateway: Gateway, config: ApiConfig) -> APIRouter:
    """Return the two roads."""
    routes = APIRouter(tags=["lists by parameters"])

    @routes.get("/recommendations", response_model=UserList, responses=problems(401, 403, 404, 422, 429, 503, 504))
    async def recommendations(
        user_id: UserParameter,
        trace: Trace,
        genre: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
        top_k: Length = 10,
        strict: Annotated[bool, Query(description="Whether all items must have the genre.")] = False,  # noqa: FBT002
    ) -> Response:
        """Return a fresh list, of one genre if given."""
        wishes = {"k": top_k, "genre": None if genre is None else printable(genre), "strict": strict or None}
        found = await fresh_list(gateway, user_id, wishes, config.budget_ms, trace)
        return JsonAnswer(await gateway.with_titles(found))

    @routes.get(
        "/intent_recommendations", response_model=UserList, responses=problems(401, 403, 404, 422, 429, 503, 504)
    )
    async def intent_recommendations(
        q: Annotated[str, Query(min_length=1, max_length=200, description="What is asked for, in words.")],
        user_id: UserParameter,
        trace: Trace,
        top_k: Length = 10,
        strict: Annotated[bool, Query(description="Whether the genres that are asked for come first.")] = False,  # noqa: FBT002
        genre_alpha: Alpha = None,
        pop_alpha: Alpha = None,
        embed_alpha: Alpha = None,
    ) -> Response:
        """Return a fresh list for what is asked for in words."""
        weights = {
            "query_genres": MAX_WEIGHT if strict else genre_alpha,
            "popularity": pop_alpha,
            "query": embed_alpha,
        }
        wishes: dict[str, Any] = {
            "k": top_k,
            "query": printable(q),
            "weights": {name: weight for name, weight in weights.items() if weight is not None},
        }
        found = await fresh_list(gateway, user_id, wishes, config.budget_ms, trace)
        return JsonAnswer(await gateway.with_titles(found))

    return routes
