"""What the API measures of itself, for Prometheus: requests by road, status and time, events, and open streams."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["ApiMetrics"]

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class ApiMetrics:
    """The series of one process, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "reelstream_api_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "reelstream_api_request_seconds",
            "From a request to its whole answer.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.events = Counter(
            "reelstream_api_events", "Events that were sent in.", ("outcome",), registry=self.registry
        )
        self.streams = Gauge("reelstream_api_streams", "Streams of lists that are open.", registry=self.registry)
        for outcome in ("accepted", "refused"):
            self.events.labels(outcome)

    def text(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(self.registry)
