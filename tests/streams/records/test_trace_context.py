"""Which headers are a W3C trace context, and which are as good as none."""

import pytest

from streams.records.trace_context import TraceContext

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()


def test_a_context_is_read_and_carried_on():
    """Trace, span, flags and the state of others are read, and the headers that carry it are those that came."""
    headers = [("other", b"x"), ("traceparent", PARENT), ("tracestate", b"shop=1,other=2")]
    found = TraceContext.of_headers(headers)
    assert (found.trace_id, found.span_id, found.flags) == (int(TRACE, 16), int(SPAN, 16), 1)
    assert found.headers() == {"traceparent": PARENT, "tracestate": b"shop=1,other=2"}


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"not a parent",
        PARENT.upper(),
        PARENT[:-1],
        PARENT + b"-more",  # which only a later version may have
        PARENT.replace(TRACE.encode(), b"0" * 32),
        PARENT.replace(SPAN.encode(), b"0" * 16),
        b"ff" + PARENT[2:],
        None,
    ],
)
def test_what_breaks_the_standard_is_none(parent):
    """A wrong form, an id of zeros, and the version that is forbidden are as good as no context."""
    assert TraceContext.of_headers([("traceparent", parent), ("tracestate", b"shop=1")]) is None


def test_a_later_version_is_read():
    """A version that is not known yet is read as far as it is like this one."""
    assert TraceContext.of_headers({"traceparent": b"01" + PARENT[2:] + b"-more"}).trace_id == int(TRACE, 16)


@pytest.mark.parametrize("headers", [None, (), [("tracestate", b"shop=1")]])
def test_no_headers_are_no_context(headers):
    """A record without headers, or with a state alone, has none."""
    assert TraceContext.of_headers(headers) is None


def test_a_long_state_is_dropped():
    """A state of more than 512 bytes need not be carried on, and the trace goes on without it."""
    for size, carried in ((512, True), (513, False)):
        found = TraceContext.of_headers({"traceparent": PARENT, "tracestate": b"x" * size})
        assert ("tracestate" in found.headers()) is carried
