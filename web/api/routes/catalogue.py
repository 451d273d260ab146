"""Items: what trends, what is similar, what somebody looks for, and the genres that there are."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from model.similar import SIMILAR_KINDS
from web.api.answers import JsonAnswer
from web.api.problems import ProblemError, problems
from web.api.schemas import Genres, ItemAnswer, Items, SimilarAnswer, Trending
from web.gateway.gateway import Gateway

__all__ = ["catalogue_routes"]

ItemId = Annotated[str, Path(min_length=1, max_length=64, description="The item's id.")]


def catalogue_routes(gateway: Gateway) -> APIRouter:
    """Return the roads about items."""
    routes = APIRouter(tags=["items"])

    @routes.get("/hot", response_model=Trending, responses=problems(401, 403, 422, 429, 503, 504))
    async def hot(
        genre: Annotated[str | None, Query(max_length=64, description="Spelled as in the catalogue.")] = None,
        k: Annotated[int, Query(ge=1, le=500)] = 10,
    ) -> Response:
        """Show what trends, over everything or in one genre."""
        return JsonAnswer({"genre": genre, "items": await gateway.hot(k, genre)})

    @routes.get("/genres", response_model=Genres, responses=problems(401, 403, 429, 503, 504))
    async def genres() -> Response:
        """List the genres of the catalogue."""
        return JsonAnswer({"genres": await gateway.genres()})

    @routes.get("/search", response_model=Items, responses=problems(401, 403, 422, 429, 503, 504))
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=200, description="A title, or a part of one.")],
        k: Annotated[int, Query(ge=1, le=100)] = 10,
    ) -> Response:
        """Find items by title: whole, begun, or misspelt."""
        return JsonAnswer({"items": await gateway.search(q, k)})

    @routes.get("/items/{item_id}", response_model=ItemAnswer, responses=problems(401, 403, 404, 422, 429, 503, 504))
    async def item(item_id: ItemId) -> Response:
        """Show what the catalogue says of an item."""
        found = await gateway.item(item_id)
        if found is None:
            raise _unknown(item_id)
        return JsonAnswer(found)

    @routes.get(
        "/items/{item_id}/similar",
        response_model=SimilarAnswer,
        responses=problems(401, 403, 404, 422, 429, 503, 504),
    )
    async def similar(
        item_id: ItemId,
        by: Annotated[Literal["content", "behaviour", "both", "all"], Query()] = "all",
        k: Annotated[int, Query(ge=1, le=20)] = 10,
    ) -> Response:
        """List what is similar to an item: by what it is, by what the same users touch, and by both."""
        found = await gateway.similar(item_id, SIMILAR_KINDS if by == "all" else (by,), k)
        if found is None:
            raise _unknown(item_id)
        return JsonAnswer(found)

    return routes


def _unknown(item_id: str) -> ProblemError:
    return ProblemError(404, f"an item of the catalogue is required, got {item_id!r:.80}; look for it with /search?q=")
