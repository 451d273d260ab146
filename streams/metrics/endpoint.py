"""A process's figures over HTTP, for Prometheus to fetch: a registry of its own, and a thread that answers.

Nothing is registered globally. So several parts in one process, as in tests, do not meet.
"""

import socket
from importlib.metadata import version as installed_version
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from streams.errors import SettingsError
from streams.metrics.address import MetricsAddress
from streams.metrics.families import PROCESS_INFO, Family

__all__ = ["histogram", "process_registry", "serve_metrics"]


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


def serve_metrics(role: str, registry: CollectorRegistry, address: MetricsAddress | None) -> WSGIServer | None:
    """Answer on an address for as long as the process lives; do nothing without one.

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
    return server
