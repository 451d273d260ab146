"""All roads as one application, and the OpenAPI document that describes it."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from web.api.limits import ApiConfig
from web.api.metrics import ApiMetrics
from web.api.problems import Problem, add_handlers
from web.api.routes.catalogue import catalogue_routes
from web.api.routes.events import event_routes
from web.api.routes.health import health_routes
from web.api.routes.operating import operating_routes
from web.api.routes.people import people_routes
from web.api.routes.seed import seed_routes
from web.api.routes.users import user_routes
from web.gateway.gateway import Gateway

__all__ = ["application"]

_NO_KEY = ("/health/live", "/health/ready")
_ABOUT = (
    "Events in, recommendation lists out, over HTTP.\n\n"
    "Where keys are defined each request has one as a bearer token: `read` for every GET, `write` for events, "
    "`operate` for choosing versions. Errors are problem details (RFC 9457)."
)


def application(gateway: Gateway, config: ApiConfig, metrics: ApiMetrics, *, needs_key: bool) -> FastAPI:
    """Return the application that answers everything but stored lists.

    Parameters
    ----------
    gateway : entered before the first request.
    needs_key : whether keys are defined, for the document.
    """
    app = FastAPI(
        title="Reelstream",
        version=version("reelstream"),
        description=_ABOUT,
        docs_url=None,  # these pages come from elsewhere's servers
        redoc_url=None,
        redirect_slashes=False,
    )
    subjects = (
        user_routes(gateway, config, metrics),
        people_routes(gateway),
        event_routes(gateway, config, metrics),
        catalogue_routes(gateway),
        seed_routes(gateway, config),
        operating_routes(gateway),
        health_routes(gateway, metrics),
    )
    add_handlers(app, [road for one in subjects for road in one.routes if isinstance(road, APIRoute)])
    for one in subjects:
        app.include_router(one)
    made = app.openapi

    def described() -> dict[str, Any]:
        document = made()
        _mend(document, needs_key=needs_key)
        return document

    app.openapi = described  # type: ignore[method-assign]  # as FastAPI documents it
    return app


def _mend(document: dict[str, Any], *, needs_key: bool) -> None:
    """Say what FastAPI cannot know: the form of problems, and who needs a key."""
    schemas = document["components"]["schemas"]
    _, problem = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    schemas.update(problem["$defs"])
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    if not needs_key:
        return
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, roads in document["paths"].items():
        for road in roads.values():
            road["security"] = [] if path in _NO_KEY else [{"key": []}]
