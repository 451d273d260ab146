"""A process's figures over HTTP, for Prometheus to fetch, and whether it lives: a registry, and a thread that answers.

Nothing is registered globally. So several parts in one process, as in tests, do not meet.
"""

import socket
from collections.abc import Iterable
from importlib.metadata import version as installed_version
from wsgiref.simple_server import WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, Gauge, Histogram, make_wsgi_app, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from streams.errors import SettingsError
from streams.metrics.address import MetricsAddress
from streams.metrics.families import PROCESS_INFO, Family
from streams.metrics.loop_life import LoopLife

__all__ = ["LIVE_PATH", "histogram", "process_registry", "serve_metrics"]

LIVE_PATH = "/health/live"  # as of the API


def process_registry(role: str) -> CollectorRegistry:
    """Return a registry of one process, which tells its role, memory, time and garbage collection."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    info = Gauge(PROCESS_INFO.name, PROCESS_INFO.help, PROCESS_INFO.labels, registry=registry)
    info.labels(role, installed_version("reelstream")).set(1)
    return registry


def histogram(family: Family, registry: CollectorRegistry) -> Histogram:
    """Return a histogram of a family."""
    return Histogram(family.name, family.help, family.labels, registry=registry, buckets=family.buckets)


def serve_metrics(
    role: str, registry: CollectorRegistry, address: MetricsAddress | None, life: LoopLife
) -> WSGIServer | None:
    """Answer on an address for as long as the process lives; do nothing without one.

    Under ``/health/live`` it says whether the event loop takes its turns, with the status 200 or 503; everywhere else
    it tells the figures.

    Raises
    ------
    SettingsError
        If the address cannot be listened on.
    """
    if address is None:
        return None
    try:
        server, _ = start_http_server(address.port, address.host, registry)
    except (OSError, socket.gaierror) as error:
        raise SettingsError(
            f"{role}: an address that is free is required for metrics, got {address.host}:{address.port} ({error}); "
            "choose another --metrics-port or --metrics-host"
        ) from error
    server.set_app(_with_health(make_wsgi_app(registry), life))
    return server


def _with_health(figures: WSGIApplication, life: LoopLife) -> WSGIApplication:
    def answered(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environment["PATH_INFO"] != LIVE_PATH:
            return figures(environment, start)
        is_there = life.is_there()
        start("200 OK" if is_there else "503 Service Unavailable", [("Content-Type", "text/plain")])
        told = "alive" if is_there else f"the event loop must take its turn within {life.within_s:g} s, got none"
        return [f"{told}\n".encode()]

    return answered
