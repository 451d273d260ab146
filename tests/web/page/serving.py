"""Serves the live page alone: ``python -m tests.web.page.serving PORT``."""

import sys
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from streams.settings import Settings
from web.gateway.gateway import Gateway
from web.page.mounting import mount

__all__ = ["application"]


def application(settings):
    """Return an app with nothing but the page."""
    gateway = Gateway(settings)

    @asynccontextmanager
    async def entered(_):
        async with gateway:
            yield

    app = FastAPI(lifespan=entered)
    mount(app, gateway)
    return app


if __name__ == "__main__":
    uvicorn.run(application(Settings.from_environment()), port=int(sys.argv[1]), log_level="warning")
