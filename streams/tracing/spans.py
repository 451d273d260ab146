"""Spans for OpenTelemetry: one for each list, with the steps of its batch below it.

They are exported where OpenTelemetry's own variables say: ``OTEL_EXPORTER_OTLP_ENDPOINT`` turns it on, and
``OTEL_TRACES_SAMPLER`` says how many traces are begun here; one that came with a record is followed as its sender has
decided.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from threading import Thread
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import TraceState

from streams.records.trace_context import TraceContext
from streams.tracing.carrying import StepTimes, TraceCarrier, TracedList

__all__ = ["ListSpans"]

CLOSE_S = 2.0  # a collector that is there takes what is left at once


class ListSpans(TraceCarrier):
    """Tells of lists.

    Parameters
    ----------
    role : of the process; ``OTEL_SERVICE_NAME`` wins over it.
    version : of the project.
    """

    def __init__(self, role: str, version: str) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME") or f"reelstream-{role}"
        resource = Resource.create({"service.name": name, "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("reelstream", version)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, parents: Sequence[TraceContext | None], times: StepTimes) -> Sequence[TracedList]:
        """Begin a span for each list, in the trace of its record or in a new one; its headers name that span."""
        return [self._begin(parent, times.began) for parent in parents]

    def end(self, lists: Sequence[TracedList], told: Iterable[Mapping[str, Any]], times: StepTimes) -> None:
        """End them, with the steps of their batch below each."""
        for one, attributes in zip(lists, told, strict=True):
            span = one.span
            if not span.is_recording():
                continue
            span.set_attributes({name: value for name, value in attributes.items() if value is not None})
            within = set_span_in_context(span)
            for name, began, ended in times.steps:
                self._tracer.start_span(name, within, start_time=began).end(ended)
            span.end()

    def close(self) -> None:
        """Send what waits to be sent; where nobody takes it, leave it after two seconds."""
        sending = Thread(target=self._provider.shutdown, daemon=True)  # it would go on trying, and hold up the end
        sending.start()
        sending.join(CLOSE_S)

    def _begin(self, parent: TraceContext | None, began: int) -> TracedList:
        within = None if parent is None else set_span_in_context(NonRecordingSpan(_span_context(parent)))
        span = self._tracer.start_span("list", within, SpanKind.CONSUMER, start_time=began)
        carried: dict[str, str] = {}
        self._propagator.inject(carried, set_span_in_context(span))
        context = TraceContext.of_headers({name: value.encode() for name, value in carried.items()})
        return TracedList(context, span)


def _span_context(parent: TraceContext) -> SpanContext:
    state = TraceState.from_header([parent.state.decode("ascii", "replace")]) if parent.state else None
    return SpanContext(
        parent.trace_id, parent.span_id, is_remote=True, trace_flags=TraceFlags(parent.flags), trace_state=state
    )
