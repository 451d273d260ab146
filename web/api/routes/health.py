"""How the process is: whether it answers, whether what it needs does, and its figures."""

from fastapi import APIRouter, Response

from web.api.answers import JsonAnswer
from web.api.metrics import ApiMetrics
from web.api.problems import problems
from web.api.schemas import Liveness, Readiness
from web.gateway.gateway import Gateway

__all__ = ["health_routes"]

_READY_S = 3.0  # as long as a look-up in Redis may take


def health_routes(gateway: Gateway, metrics: ApiMetrics) -> APIRouter:
    """Return the roads for orchestrators and Prometheus; ``/health`` needs no key."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health/live", response_model=Liveness)
    async def live() -> Response:
        """Say that the process answers."""
        return JsonAnswer({"status": "alive"})

    @routes.get("/health/ready", response_model=Readiness, responses=problems(503, 504))
    async def ready() -> Response:
        """Say whether Redis and Kafka answer, and how fast."""
        return JsonAnswer({"status": "ready", **await gateway.require_servers(_READY_S)})

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            **problems(401, 403, 429),
        },
    )
    async def figures() -> Response:
        """Return what the process measures of itself."""
        return Response(metrics.text(), media_type=metrics.content_type)

    return routes
