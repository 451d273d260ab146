"""Traces through a real worker: into the headers of its lists, and to a collector that speaks OTLP over HTTP."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()
WITHOUT_EXTRA = """
import sys
sys.modules["opentelemetry"] = None
from commands.parts.starting import tracing_of
tracing_of("worker")
"""


class Collector(ThreadingHTTPServer):
    """Takes what OpenTelemetry's exporters send, and keeps each span with the name of its service."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans = []

    @property
    def url(self):
        """Where to send to."""
        return f"http://127.0.0.1:{self.server_port}"


class Taking(BaseHTTPRequestHandler):
    """Answers one export."""

    def do_POST(self):
        """Keep the spans of an export."""
        body, server = self.rfile.read(int(self.headers["Content-Length"])), self.server
        assert isinstance(server, Collector)
        for found in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in found.resource.attributes}
            server.spans += [(named["service.name"], span) for scope in found.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def collector():
    """Run a collector."""
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def send(installation, topic, user, value, headers=()):
    """Send one record with headers."""
    sent = installation.producer.send(
        installation.settings.prefix + topic, key=user.encode(), value=value, headers=list(headers)
    )
    sent.get(30)


def watch(user):
    """Return a watch as it is sent."""
    return f'{{"event_id":"e-{user}","user_id":"{user}","item_id":"i1","ts":1700000000000,"progress":1}}'.encode()


def context_of(installation, user):
    """Return the trace, the span and the flags in the headers of a user's list, and the state beside them."""
    [record] = [one for one in installation.records("recommendations") if one.key == user.encode()]
    headers = dict(record.headers)
    version, *parts = headers["traceparent"].decode().split("-")
    assert version == "00"
    return (*parts, headers.get("tracestate"))


def test_a_trace_goes_from_event_to_list_and_to_the_collector(install, collector, until):
    """A list is in the trace of its event or request, or in a new one, and its span tells the steps of its batch."""
    installation = install()
    worker = installation.process("worker")
    worker.environment = {
        **worker.environment,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    request = b'{"request_id":"r1","user_id":"asks"}'
    with worker:
        worker.await_ready()
        send(installation, "watch-events", "traced", watch("traced"), [("traceparent", PARENT), ("tracestate", b"a=1")])
        send(installation, "watch-events", "plain", watch("plain"))
        send(installation, "recommendation-requests", "asks", request, [("traceparent", PARENT)])
        until(lambda: len(installation.records("recommendations")) == 3, 60, worker.said)
        trace, span, flags, state = context_of(installation, "traced")
        assert (trace, flags, state) == (TRACE, "01", b"a=1")
        assert span != SPAN
        begun, other, *_ = context_of(installation, "plain")
        asked = context_of(installation, "asks")
        assert begun != TRACE
        assert asked[0] == TRACE

        def lists():
            return {one.span_id.hex(): one for _, one in collector.spans if one.name == "list"}

        until(lambda: {span, other, asked[1]} <= lists().keys(), 30, lambda: f"three spans, got {lists().keys()}")
        assert {service for service, _ in collector.spans} == {"reelstream-worker"}
        assert lists()[span].parent_span_id.hex() == SPAN
        assert lists()[other].parent_span_id == b""
        told = {one.key: one.value for one in lists()[span].attributes}
        assert told["messaging.destination.name"].string_value == installation.settings.prefix + "watch-events"
        assert told["reelstream.mode"].string_value == "cold_start"
        assert not any("traced" in str(value) for value in told.values())  # nobody is told who the list is for
        steps = {one.name: one for _, one in collector.spans if one.parent_span_id.hex() == span}
        assert set(steps) == {"decode", "apply", "answer", "publish", "keep"}
        whole = lists()[span]
        for step in steps.values():
            assert whole.start_time_unix_nano <= step.start_time_unix_nano <= step.end_time_unix_nano
            assert step.end_time_unix_nano <= whole.end_time_unix_nano
        collector.shutdown()
        collector.server_close()
        send(installation, "watch-events", "later", watch("later"))
        until(lambda: len(installation.records("recommendations")) == 4, 60, worker.said)
        assert worker.terminate(12) == 0  # though nobody takes the last span


def test_without_the_extra_it_says_so():
    """Where a collector is named and OpenTelemetry is not installed, one line names the variable and the cure."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA],
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OTEL_EXPORTER_OTLP_ENDPOINT requires the extra `trace`" in done.stderr
    assert "pip install 'reelstream[trace]'" in done.stderr
