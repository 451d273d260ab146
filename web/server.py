"""Serving the application on one address until a signal comes; what is being answered then is answered first."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
import uvloop

from streams.errors import SettingsError
from streams.metrics.address import MetricsAddress
from streams.metrics.endpoint import serve_metrics
from streams.metrics.loop_life import LoopLife
from streams.redis.heartbeat import Heartbeat
from streams.settings import Settings
from web.api.front import Front
from web.api.keys import KEYS_VARIABLE, KeyFile
from web.api.limits import ApiConfig, is_local
from web.api.metrics import ApiMetrics
from web.app import build
from web.gateway.gateway import Gateway

__all__ = ["serve"]

_GRACE_S = 5  # for answers that are under way; streams of lists end with it
_KEEP_ALIVE_S = 65  # longer than the minute that proxies keep an idle connection
_WAITING = 2048  # connections that the system accepts for us
logger = logging.getLogger(__name__)


def serve(settings: Settings, config: ApiConfig, keys: KeyFile, metrics_at: MetricsAddress | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Parameters
    ----------
    settings : addresses; the topics must exist.
    config : where to listen, and what is taken.
    keys : who may ask.
    metrics_at : where Prometheus is answered too, without a key; None for nowhere.

    Raises
    ------
    SettingsError
        If the address is taken, or others could reach it and there is no key.
    StreamError
        If Redis or Kafka cannot be reached.
    """
    _require_keys(config, keys)
    with _listening(config) as listening, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        metrics, life = ApiMetrics(), LoopLife()
        serve_metrics("api", metrics.registry, metrics_at, life)
        serving = _serve(settings, lambda gateway: build(gateway, config, keys, metrics), listening)
        runner.run(life.during(serving))


class _Server(uvicorn.Server):
    """Says that it is ready, and leaves the process to whoever runs it once it has ended."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets:
            host, port = sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            logger.info("api.ready http://%s:%d", shown, port)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        here = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            here.add_signal_handler(sign, self.handle_exit, sign, None)
        yield


async def _serve(settings: Settings, made: Callable[[Gateway], Front], listening: socket.socket) -> None:
    async with Gateway(settings) as gateway:
        host, port = listening.getsockname()[:2]
        report = {"host": host, "port": port}
        alive = asyncio.create_task(Heartbeat("api", settings.redis, settings.prefix).run(lambda: report))
        try:
            await _Server(_configured(made(gateway))).serve([listening])
        finally:
            alive.cancel()
            with suppress(asyncio.CancelledError):
                await alive


def _configured(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        proxy_headers=False,
    )


def _require_keys(config: ApiConfig, keys: KeyFile) -> None:
    if not is_local(config.host) and not keys.all():
        raise SettingsError(
            f"api: a key is required to listen on {config.host}, where others can reach it, got none in {keys.path} "
            f"({KEYS_VARIABLE}); make one with `reelstream keys add NAME`, or listen on 127.0.0.1"
        )


@contextmanager
def _listening(config: ApiConfig) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        with socket.create_server((config.host, config.port), family=family, backlog=_WAITING) as listening:
            yield listening
    except OSError as error:
        raise SettingsError(
            f"api: a free address is required, got {config.host}:{config.port}: {error}; choose another --port"
        ) from error
