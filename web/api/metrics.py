"""What the API measures of itself, for Prometheus: requests by road, status and time, events, streams and caches."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from streams.metrics.collector import Figures, ReportCollector
from streams.metrics.endpoint import histogram, process_registry
from streams.metrics.families import API_EVENTS, API_REQUESTS, API_SECONDS, API_STREAMS

__all__ = ["ApiMetrics"]


class ApiMetrics:
    """The series of one process, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = process_registry("api")
        self.requests = Counter(API_REQUESTS.name, API_REQUESTS.help, API_REQUESTS.labels, registry=self.registry)
        self.seconds = histogram(API_SECONDS, self.registry)
        self.events = Counter(API_EVENTS.name, API_EVENTS.help, API_EVENTS.labels, registry=self.registry)
        self.streams = Gauge(API_STREAMS.name, API_STREAMS.help, registry=self.registry)
        for outcome in ("accepted", "refused"):
            self.events.labels(outcome)

    def collect(self, read: Callable[[], Figures]) -> None:
        """Let figures of others be read with these."""
        self.registry.register(ReportCollector(read))

    def text(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(self.registry)
