"""Where a process serves its figures; apart from what serves them, so that a command line reads it at once."""

from dataclasses import dataclass

__all__ = ["MetricsAddress"]


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """A host name or address of this machine, and a port."""

    host: str
    port: int
