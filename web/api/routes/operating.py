"""Versions, the experiment that runs, and how often lists are right; choosing the version that serves."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response

from web.api.answers import JsonAnswer
from web.api.asking import asker
from web.api.problems import problems
from web.api.schemas import (
    Decision,
    ExperimentAnswer,
    PromoteWish,
    QualityAnswer,
    RollbackWish,
    VersionAnswer,
    Versions,
)
from web.gateway.gateway import Gateway

__all__ = ["operating_routes"]

VersionId = Annotated[str, Path(min_length=1, max_length=64, description="The version's id.")]


def operating_routes(gateway: Gateway) -> APIRouter:
    """Return the roads for operators."""
    routes = APIRouter(tags=["operating"])

    @routes.get("/models", response_model=Versions, responses=problems(401, 403, 404, 429, 503, 504))
    async def models() -> Response:
        """List the versions of the model, newest first."""
        return JsonAnswer(await gateway.models())

    @routes.get(
        "/models/{version_id}", response_model=VersionAnswer, responses=problems(401, 403, 404, 422, 429, 503, 504)
    )
    async def model(version_id: VersionId) -> Response:
        """Show one version, and check its files."""
        return JsonAnswer(await gateway.model(version_id))

    @routes.post(
        "/models/{version_id}/promote",
        response_model=Decision,
        responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 504),
    )
    async def promote(
        version_id: VersionId, request: Request, wish: Annotated[PromoteWish | None, Body()] = None
    ) -> Response:
        """Serve a stored version, whatever the gate said of it; workers follow by themselves."""
        given = wish or PromoteWish()
        return JsonAnswer(await gateway.promote(version_id, by=asker(request), cause=given.because))

    @routes.post(
        "/models/rollback",
        response_model=Decision,
        responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 504),
    )
    async def rollback(request: Request, wish: Annotated[RollbackWish | None, Body()] = None) -> Response:
        """Serve an older version again, by default the parent of the one that serves."""
        given = wish or RollbackWish()
        return JsonAnswer(await gateway.roll_back(given.version, by=asker(request), cause=given.because))

    @routes.get("/experiments", response_model=ExperimentAnswer, responses=problems(401, 403, 429, 503, 504))
    async def experiments() -> Response:
        """Show the experiment that runs, how both arms do, and whether they can be told from chance."""
        return JsonAnswer(await gateway.experiment())

    @routes.get("/quality", response_model=QualityAnswer, responses=problems(401, 403, 429, 503, 504))
    async def quality() -> Response:
        """Show how often published lists were right, with intervals."""
        return JsonAnswer(await gateway.quality())

    return routes
