"""What is noted about a stack in its data folder: who holds it, which processes serve, and where.

The lock tells whether a folder is in use; the note tells by whom. A note without a living owner is left over from
a crash, and the servers in it are ended before new ones start. This module starts nothing.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.errors import StackError
from streams.stack.process import Identity, identify

__all__ = ["Addresses", "StackNote", "StackPart", "clear_strays", "hold", "read_note", "take_turns", "write_note"]

STRAY_ENDS_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where clients reach the servers: Kafka as ``host:port[,host:port...]``, Redis as a URL."""

    kafka: str
    redis: str


@dataclass(frozen=True, slots=True)
class StackPart:
    """A server process of a stack and its log."""

    name: str
    identity: Identity
    log: Path


@dataclass(frozen=True, slots=True)
class StackNote:
    """A stack as noted; ``is_ready`` once every part has answered."""

    owner: Identity
    addresses: Addresses
    parts: tuple[StackPart, ...]
    is_ready: bool


def write_note(data: Path, addresses: Addresses, parts: Sequence[StackPart], *, is_ready: bool) -> None:
    """Note a stack that this process owns; a reader sees the old note or the new one, never a piece."""
    owner = identify(os.getpid())
    assert owner is not None, "this process runs"
    text = json.dumps(asdict(StackNote(owner, addresses, tuple(parts), is_ready)), default=str, indent=1)
    draft = data / "stack.json.new"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(_note(data))


def read_note(data: Path) -> StackNote | None:
    """Return what is noted, or None; it may be left over, so ask ``owner`` whether it is running."""
    try:
        noted = json.loads(_note(data).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    parts = [StackPart(part["name"], Identity(**part["identity"]), Path(part["log"])) for part in noted["parts"]]
    return StackNote(Identity(**noted["owner"]), Addresses(**noted["addresses"]), tuple(parts), noted["is_ready"])


def _note(data: Path) -> Path:
    return data / "stack.json"


@contextlib.contextmanager
def hold(data: Path) -> Iterator[None]:
    """Hold the data folder for this process, creating it first; raise StackError if another holds it.

    The operating system lets go of it when the process ends, in whatever way.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            note = read_note(data)
            holder = f"process {note.owner.pid}" if note else "a process that is just starting"
            raise StackError(f"the data folder of a stack must be free, got {str(data)!r} held by {holder}") from error
        clear_strays(data)
        try:
            yield
        finally:
            _note(data).unlink(missing_ok=True)


@contextlib.contextmanager
def take_turns(data: Path) -> Iterator[None]:
    """Let one process at a time decide whether a stack must be started, creating the folder first."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "turn").open("w", encoding="ascii") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def clear_strays(data: Path) -> None:
    """End servers that outlived their owner, and drop the note about them.

    On Linux they are already on their way out; elsewhere this is what ends them.
    """
    note = read_note(data)
    if note is None or note.owner.is_running():
        return
    for part in note.parts:
        part.identity.end(STRAY_ENDS_WITHIN_S)
    _note(data).unlink(missing_ok=True)
