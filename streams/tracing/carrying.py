"""Trace contexts on their way from the record that led to a list to the list, where nobody has asked for spans."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time_ns
from typing import Any

from streams.records.trace_context import TraceContext

__all__ = ["StepTimes", "TraceCarrier", "TracedList"]


@dataclass(frozen=True, slots=True)
class TracedList:
    """A list on its way.

    Parameters
    ----------
    context : what its headers say; None for nothing.
    span : what is told of it, where somebody asked.
    """

    context: TraceContext | None
    span: Any = None

    @property
    def headers(self) -> Mapping[str, bytes] | None:
        """The headers of its record."""
        return None if self.context is None else self.context.headers()


@dataclass(slots=True)
class StepTimes:
    """When the steps of a batch began and ended, in ns of the wall clock."""

    began: int = field(default_factory=time_ns)
    steps: list[tuple[str, int, int]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note one step."""
        began = time_ns()
        yield
        self.steps.append((name, began, time_ns()))


class TraceCarrier:
    """Carries contexts on as they are."""

    def begin(self, parents: Sequence[TraceContext | None], times: StepTimes) -> Sequence[TracedList]:  # noqa: ARG002 - for spans
        """Return a list for each record that leads to one, before it is published."""
        return [TracedList(parent) for parent in parents]

    def end(self, lists: Sequence[TracedList], told: Iterable[Mapping[str, Any]], times: StepTimes) -> None:
        """Note that the brokers have the lists.

        Parameters
        ----------
        lists : as ``begin`` has returned them.
        told : what is said of each.
        times : of their batch.
        """

    def close(self) -> None:
        """Send what waits to be sent; takes a few seconds at most."""
