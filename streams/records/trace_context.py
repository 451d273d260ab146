"""The W3C trace context in the headers of a record: which trace it belongs to.

Whoever sends an event or a request may put ``traceparent`` (and ``tracestate``) on it, and finds them on its list.
Headers that break the standard are as good as none, and never make a dead letter.

References
----------
https://www.w3.org/TR/trace-context/
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["TraceContext"]

_PARENT, _STATE = "traceparent", "tracestate"
_FORM = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*)?")
MAX_BYTES = 512  # of the state that must be carried on, by the standard; more than that may be dropped


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: the value of ``traceparent``, and of ``tracestate`` if there is one."""

    parent: bytes
    state: bytes | None = None

    @classmethod
    def of_headers(
        cls, headers: Iterable[tuple[str, bytes | None]] | Mapping[str, bytes | None] | None
    ) -> "TraceContext | None":
        """Return the context in the headers of a record, or None where there is none that keeps the standard."""
        if not headers:
            return None
        found = dict(headers)
        parent, state = found.get(_PARENT), found.get(_STATE)
        form = None if parent is None else _FORM.fullmatch(parent)
        if parent is None or form is None or (form[1] == b"00" and form[5]):  # this version has nothing behind
            return None
        return cls(parent, state if state and len(state) <= MAX_BYTES else None)

    @property
    def trace_id(self) -> int:
        """The trace."""
        return int(self.parent[3:35], 16)

    @property
    def span_id(self) -> int:
        """The span in it that led to the record."""
        return int(self.parent[36:52], 16)

    @property
    def flags(self) -> int:
        """The flags; the lowest bit says that the trace is sampled."""
        return int(self.parent[53:55], 16)

    def headers(self) -> dict[str, bytes]:
        """Return the headers that carry it."""
        return {_PARENT: self.parent} | ({} if self.state is None else {_STATE: self.state})
