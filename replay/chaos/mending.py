"""Which worker is mending now, read from the workers' logs as they grow."""

import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["MendingWatch"]

BEGAN = re.compile(rb"worker\.mending (\S+\[\d+\])")
ENDED = re.compile(rb"worker\.mended (\S+\[\d+\])")


class MendingWatch:
    """Follows the logs of workers from now on.

    Parameters
    ----------
    logs : by the worker's slot; a log that is not there yet is empty.
    """

    def __init__(self, logs: Mapping[int, Path]) -> None:
        self._logs = dict(logs)
        self._read = {slot: log.stat().st_size if log.exists() else 0 for slot, log in self._logs.items()}
        self._mending: dict[int, set[str]] = {slot: set() for slot in self._logs}

    def look(self) -> dict[int, frozenset[str]]:
        """Return the topic partitions that each worker began to mend and has not ended, where there are any."""
        for slot, log in self._logs.items():
            for line in self._new_lines(slot, log):
                if found := BEGAN.search(line):
                    self._mending[slot].add(found[1].decode())
                elif found := ENDED.search(line):
                    self._mending[slot].discard(found[1].decode())
        return {slot: frozenset(places) for slot, places in self._mending.items() if places}

    def _new_lines(self, slot: int, log: Path) -> list[bytes]:
        """Return the whole lines that came since the last look."""
        if not log.exists():
            return []
        with log.open("rb") as file:
            file.seek(self._read[slot])
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return []
        self._read[slot] += len(whole) + 1
        return whole.split(b"\n")
