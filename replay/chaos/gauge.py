"""How far a run is, measured all the time from Redis, and how its append-only file grew.

Redis goes away and goes back during a run, so the gauge keeps both the latest answer and the furthest one. From the
sizes of the append-only file it can cut that file back to what it was a moment before.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from replay.chaos.observed import positions
from streams.errors import StateError
from streams.redis.connection import connect_to_read

__all__ = ["FileSize", "Gauge", "cut_back", "last_file"]

EVERY_S = 0.1
MAX_SIZES = 300  # that are kept: half a minute


class FileSize(NamedTuple):
    """How long the last append-only file was at a moment, and the sum of the offsets applied by then at most."""

    at_s: float
    name: str
    n_bytes: int
    applied: int


class Gauge:
    """Looks ten times a second, in a thread; use as a context.

    ``furthest`` is how many records were applied at most; ``applied`` the offsets last seen, summed, with everything
    in between that is no record of ours: it tells whether something went back.

    Parameters
    ----------
    redis : URL.
    partitions : of each event topic.
    files : folder of the append-only files.
    count : returns how many records are at or before the offsets of these topics and partitions.
    """

    def __init__(
        self, redis: str, partitions: int, files: Path, count: Callable[[Mapping[tuple[str, int], int]], int]
    ) -> None:
        self._client = connect_to_read(redis)
        self._partitions = partitions
        self._files = files
        self._count = count
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauge", daemon=True)
        self.sizes: deque[FileSize] = deque(maxlen=MAX_SIZES)
        self.applied = 0
        self.furthest = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(15.0)
        self._client.close()

    def positions(self) -> dict[tuple[str, int], int]:
        """Return the last applied offset of each topic and partition; raise StateError if Redis does not answer."""
        return positions(self._client, self._partitions)

    def cut_back(self, ended_s: float, age_s: float, applied: int) -> int:
        """Cut the append-only file of the server that ended at a moment; see ``cut_back`` of this module."""
        return cut_back(self._files, tuple(self.sizes), ended_s, age_s, applied)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            looked_s, file, n_bytes = time.monotonic(), last_file(self._files), 0
            with suppress(FileNotFoundError):  # Valkey replaces its files now and then
                n_bytes = file.stat().st_size if file is not None else 0
            with suppress(StateError):
                found = self.positions()
                self.applied = sum(offset + 1 for offset in found.values())
                self.furthest = max(self.furthest, self._count(found))
            if file is not None:
                self.sizes.append(FileSize(looked_s, file.name, n_bytes, self.applied))


def last_file(folder: Path) -> Path | None:
    """Return the append-only file that is written to, as the manifest says, or None before there is one."""
    try:
        lines = (folder / "appendonly.aof.manifest").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    names = [line.split()[1] for line in lines if line.endswith("type i")]
    path = folder / names[-1] if names else None
    return path if path is not None and path.exists() else None


def cut_back(folder: Path, sizes: Iterable[FileSize], ended_s: float, age_s: float, applied: int) -> int:
    """Cut the append-only file of a server that does not run back to what it was ``age_s`` before it ended.

    Where nothing was applied in that time it is cut further back, so that something is lost: to before ``applied``
    records. A file that is younger than that is cut back to its first known length. Whatever the length, Valkey drops
    the command that was cut in two when it reads the file (aof-load-truncated).

    Returns
    -------
    Bytes that were cut off.
    """
    file = last_file(folder)
    known = [size for size in sizes if file is not None and size.name == file.name]
    if file is None or not known:
        return 0
    older = [size for size in known if size.at_s <= ended_s - age_s]
    less = [size for size in older if size.applied < applied]
    kept = (less or older or known[:1])[-1].n_bytes
    lost = file.stat().st_size - kept
    os.truncate(file, kept)
    return lost
