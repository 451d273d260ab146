"""What the cluster has promised the producers: records that stand, and transactions by how they ended.

The ledger keeps a transaction once for each attempt, with the addresses where its records were acknowledged. Reading
the topics back shows whether it is in them, whole or not at all. Nobody knows how an attempt ended whose last answer
was lost: either end is right, and its records were sent again in any case.
"""

import bisect
import json
import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from replay.chaos.compare import DifferenceRow
from replay.chaos.expected import SOURCES, Record, RecordAddress
from replay.chaos.people.outcome import Ends

__all__ = ["ENDS", "Attempt", "End", "Ledger", "fingerprint"]

End = Literal["committed", "aborted", "hung", "uncertain"]
ENDS: tuple[End, ...] = ("committed", "aborted", "hung", "uncertain")
MAX_EXAMPLES = 5  # of each row


def fingerprint(value: bytes | None) -> int:
    """Return a number that tells values apart; none for a tombstone."""
    return -1 if value is None else zlib.crc32(value)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction as one producer went through it.

    Parameters
    ----------
    number : of the transaction.
    end : ``uncertain`` where a commit was asked for and its answer never came.
    addresses : where its records were acknowledged, with their fingerprints; those that were not have none.
    film : that only this attempt describes, or None.
    """

    number: int
    end: End
    addresses: Mapping[RecordAddress, int]
    film: str | None = None


class Ledger:
    """Written by the producers' threads; asked when the stream is through.

    ``acknowledged`` are the records that count for certain, with their fingerprints; ``reached_at`` is, by request of a
    user, how far these reached when it was sent first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reached: dict[tuple[str, int], _CertainOffsets] = {}
        self._seen: Counter[int] = Counter()
        self._attempt_at: dict[RecordAddress, int] = {}
        self.acknowledged: dict[RecordAddress, int] = {}
        self.reached_at: dict[str, Ends] = {}
        self.attempts: list[Attempt] = []

    def stands(self, addresses: Mapping[RecordAddress, int]) -> None:
        """Note that records stand at these addresses."""
        with self._lock:
            self.acknowledged.update(addresses)
            for address in addresses:
                self._reached.setdefault((address.topic, address.partition), _CertainOffsets()).add(address.offset)

    def note_asked(self, value: bytes | None) -> None:
        """Note that a record of ``data-requests`` is about to be sent."""
        request = json.loads(value or b"{}").get("request_id")
        with self._lock:
            if request is not None and request not in self.reached_at:
                self.reached_at[request] = {
                    place: found.end for place, found in self._reached.items() if place[0] in SOURCES
                }

    def ended(self, attempt: Attempt) -> None:
        """Note that a transaction ended."""
        if attempt.end == "committed":
            self.stands(attempt.addresses)
        with self._lock:
            self.attempts.append(attempt)

    def count_applied(self, positions: Mapping[tuple[str, int], int]) -> int:
        """Return how many of the records that stand are at or before these offsets: markers and the aborted are not."""
        with self._lock:
            return sum(
                self._reached[partition].count(at) for partition, at in positions.items() if partition in self._reached
            )

    def check(self, records: Iterable[Record], lost: list[RecordAddress]) -> Iterator[Record]:
        """Pass records through, note of which transactions they are, and add to ``lost`` what was not seen."""
        self._attempt_at = {address: n for n, attempt in enumerate(self.attempts) for address in attempt.addresses}
        left = dict(self.acknowledged)
        for record in records:
            number = fingerprint(record.value)
            if left.get(record.address) == number:
                del left[record.address]
            n = self._attempt_at.get(record.address)
            if n is not None and self.attempts[n].addresses[record.address] == number:
                self._seen[n] += 1
            yield record
        lost.extend(left)

    def counts(self) -> dict[str, int]:
        """Return how many attempts ended in each way."""
        found = Counter(attempt.end for attempt in self.attempts)
        return {end: found[end] for end in ENDS}

    def ghosts(self) -> frozenset[str]:
        """Return the films of transactions of which nothing was read."""
        return frozenset(
            attempt.film
            for n, attempt in enumerate(self.attempts)
            if attempt.film is not None and attempt.end != "committed" and not self._seen[n]
        )

    def rows(self) -> list[DifferenceRow]:
        """Return, of each end, how many transactions came out otherwise; after ``check``."""
        return [
            self._row("committed", "transactions: committed, and not whole"),
            self._row("aborted", "transactions: aborted, and readable"),
            self._row("hung", "transactions: hung to the end, and readable"),
            self._row("uncertain", "transactions: answer lost, whole nor gone"),
        ]

    def _row(self, end: End, what: str) -> DifferenceRow:
        there = [(n, attempt) for n, attempt in enumerate(self.attempts) if attempt.end == end]
        wrong = [
            f"transaction {attempt.number}: {self._seen[n]} of {len(attempt.addresses)} records can be read"
            for n, attempt in there
            if self._seen[n] not in _right(end, len(attempt.addresses))
        ]
        return DifferenceRow(what, len(there), len(wrong), tuple(wrong[:MAX_EXAMPLES]))


def _right(end: End, n: int) -> tuple[int, ...]:
    """Return how many of the records of a transaction may be read, of ``n``."""
    return {"committed": (n,), "uncertain": (0, n)}.get(end, (0,))


class _CertainOffsets:
    """Offsets of one partition that count; nearly in order, as several producers write at once."""

    def __init__(self) -> None:
        self._offsets: list[int] = []

    def add(self, offset: int) -> None:
        if not self._offsets or offset > self._offsets[-1]:
            self._offsets.append(offset)
        else:
            bisect.insort(self._offsets, offset)

    @property
    def end(self) -> int:
        return self._offsets[-1] + 1 if self._offsets else 0

    def count(self, position: int) -> int:
        return bisect.bisect_right(self._offsets, position)
