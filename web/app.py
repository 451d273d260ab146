"""The ASGI application of one process: the API, and the page where it is installed."""

from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI

from streams.settings import Settings
from web.api.document import application
from web.api.front import Front, PageApp
from web.api.keys import KeyFile
from web.api.limits import ApiConfig
from web.api.metrics import ApiMetrics
from web.gateway.gateway import Gateway

__all__ = ["api_document", "build"]


def build(gateway: Gateway, config: ApiConfig, keys: KeyFile, metrics: ApiMetrics) -> Front:
    """Return the application; whoever serves it has entered the gateway."""
    metrics.collect(gateway.lookups.figures)
    needs_key = bool(keys.all())
    app = application(gateway, config, metrics, needs_key=needs_key)
    page = None if find_spec("nicegui") is None else _page(gateway)
    return Front(app, page, gateway, config, keys, metrics)


def api_document(settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document of an installation with keys; nothing is connected to."""
    document: dict[str, Any] = application(Gateway(settings), ApiConfig(), ApiMetrics(), needs_key=True).openapi()
    return document


def _page(gateway: Gateway) -> PageApp:
    from web.page.mounting import is_of_page, mount  # noqa: PLC0415 - a second of imports, where it is wanted

    app = FastAPI(openapi_url=None)
    mount(app, gateway)
    return PageApp(app, is_of_page)
