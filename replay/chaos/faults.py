"""Which faults happen, when, and what was done: the plan is a value that follows from a seed.

A fault is due at a share of the records, not at a time, so that it falls into the processing on any machine. Who it
hits is decided when it happens, by the fault's own number.
"""

import random
from dataclasses import dataclass

__all__ = ["KINDS", "Fault", "FaultRecord", "plan"]

KINDS = (
    "worker killed",
    "valkey killed",
    "worker added",
    "broker killed",
    "rebalance while mending",
    "valkey paused",
    "worker removed",
    "trainer killed",
    "worker paused",
)
FIRST_SHARE, LAST_SHARE = 0.05, 0.95  # of the records: faults happen between the two


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come: due when ``share`` of the records are applied; ``seed`` decides the rest."""

    kind: str
    share: float
    seed: int


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One fault that happened.

    Parameters
    ----------
    kind : of ``KINDS``.
    at_s : when, seconds since the first record was sent.
    applied : records applied by then.
    what : which process it hit, and how.
    back : positions that went back by it, and by how many records in all; where Valkey was killed.
    mending : partitions that a worker was just mending when the rebalance was forced.
    """

    kind: str
    at_s: float
    applied: int
    what: str
    back: tuple[int, int] = (0, 0)
    mending: int = 0


def plan(faults: int, seed: int) -> tuple[Fault, ...]:
    """Return the faults in the order in which they are due.

    Each kind comes once before any comes twice, so nine faults are one of each kind; fewer are the first of
    ``KINDS``. The time is cut into as many equal parts, and each fault is due somewhere in its own, so some come in
    quick succession.
    """
    random_ = random.Random(seed)
    kinds: list[str] = []
    while len(kinds) < faults:
        kinds += random_.sample(KINDS, len(KINDS)) if kinds else KINDS
    kinds = kinds[:faults]
    random_.shuffle(kinds)
    each = (LAST_SHARE - FIRST_SHARE) / max(1, faults)
    shares = [FIRST_SHARE + each * random_.uniform(n, n + 1) for n in range(faults)]
    return tuple(Fault(kind, share, random_.randrange(2**32)) for kind, share in zip(kinds, shares, strict=True))
