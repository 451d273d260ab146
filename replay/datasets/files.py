"""The files of a data set, whether they lie in a folder, in a zip, or one level down in either.

Nothing is unpacked onto the disk: a member of a zip is a stream, so no path inside an archive can lead anywhere. So is
a file that was compressed by itself.
"""

import codecs
import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from streams.errors import DataError

__all__ = ["Files", "ReadStream"]

MAX_DEPTH = 2  # a file, or a file in one folder: what the zips of GroupLens hold
HEAD_BYTES = 1 << 16  # enough to see what a file is
CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError)


class _Unpacked(gzip.GzipFile):
    """A compressed file that closes what it is read from."""

    def __init__(self, packed: io.BufferedReader) -> None:
        super().__init__(fileobj=packed)
        self._packed = packed

    def close(self) -> None:
        super().close()
        self._packed.close()


class ReadStream(io.RawIOBase):
    """The bytes of one or more files, with their SHA-256; what cannot be read raises DataError with the file's name.

    A mark of UTF-8 in front of a file is left out, and lines of two files are never joined: where the last line of one
    has no end, it is given one. The SHA-256 is of the bytes as they are.

    Parameters
    ----------
    sources : how each file is named in messages, and how it is opened.
    """

    def __init__(self, sources: Sequence[tuple[str, Callable[[], io.BufferedIOBase]]]) -> None:
        super().__init__()
        self._sources = list(sources)
        self._place = ""
        self._file: io.BufferedIOBase | None = None
        self._digest = hashlib.sha256()
        self._held = b""  # to be given before the file is read on
        self._last = b"\n"  # byte that was given

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return as many bytes, or fewer at the end; all that are left for a size below zero."""
        parts: list[bytes] = []
        left = size
        while size < 0 or left > 0:
            data = self._read(left if size >= 0 else CHUNK_BYTES)
            if not data:
                break
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, and return how many bytes there were."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def hexdigest(self) -> str:
        """Return the SHA-256 of all bytes, those that were not asked for among them."""
        while self.read(CHUNK_BYTES):
            pass
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None
        super().close()

    def _read(self, size: int) -> bytes:
        while True:
            try:
                if self._file is None and not self._sources:
                    return b""
                data = self._next(size)
                if data:
                    self._last = data[-1:]
                    return data
            except UNREADABLE as error:
                raise DataError(
                    f"data: {self._place} must be readable, got {error!r}; fetch or copy it again"
                ) from error

    def _next(self, size: int) -> bytes:
        """Return some of the next bytes, none where a file begins or ends."""
        if self._held:
            data, self._held = self._held[:size], self._held[size:]
            return data
        if self._file is None:
            self._place, opened = self._sources.pop(0)
            self._file = opened()
            start = self._file.read(len(codecs.BOM_UTF8))
            self._digest.update(start)
            text = start.removeprefix(codecs.BOM_UTF8)
            self._held = text if self._last == b"\n" else b"\n" + text
            return b""
        data = self._file.read(size)
        self._digest.update(data)
        if not data:
            self._file.close()
            self._file = None
        return data


@dataclass(frozen=True, slots=True)
class Files:
    """The readable files under one path.

    Parameters
    ----------
    path : a folder or a zip file.
    names : relative paths with ``/``, shallow ones first, then by name.
    """

    path: Path
    names: tuple[str, ...]

    @classmethod
    def at(cls, path: Path) -> "Files":
        """List a folder or a zip; a single other file stands for its folder with that file alone."""
        if path.is_dir():
            found = [
                file.relative_to(path).as_posix() for file in (*path.glob("*"), *path.glob("*/*")) if file.is_file()
            ]
            return cls(path, _ordered(found))
        if not path.is_file():
            raise DataError(f"data: a folder or file is required at {path}, got nothing there")
        if not zipfile.is_zipfile(path):
            return cls(path.parent, (path.name,))
        with zipfile.ZipFile(path) as archive:
            return cls(path, _ordered([entry.filename for entry in archive.infolist() if not entry.is_dir()]))

    def beside(self, name: str, other: str) -> str | None:
        """Return the path of the file called ``other`` in the same folder as ``name``, if it is there."""
        sibling = f"{name.rpartition('/')[0]}/{other}".lstrip("/")
        return sibling if self._has(sibling) else None

    def read(self, name: str) -> bytes:
        """Return a file's bytes, unpacked where it is compressed; raise DataError if it cannot be read."""
        with self.open(name) as stream:
            return stream.read()

    def head(self, name: str) -> bytes:
        """Return a file's first bytes, unpacked; raise DataError if it cannot be read."""
        with self.open(name) as stream:
            return stream.read(HEAD_BYTES)

    def open(self, *names: str) -> "ReadStream":
        """Return a stream of the bytes of files, one after the other, unpacked where one is compressed."""
        return ReadStream([(self.place(name), partial(self._opened, name)) for name in names])

    def seekable(self, name: str) -> io.BufferedIOBase:
        """Return a file that can be read at any place: the file itself, or its unpacked bytes in memory."""
        if self.path.is_dir():
            file = (self.path / name).open("rb")
            if not file.peek(2).startswith(GZIP_MAGIC):
                return file
            file.close()
        return io.BytesIO(self.read(name))

    def _opened(self, name: str) -> io.BufferedIOBase:
        raw: Any = (self.path / name).open("rb") if self.path.is_dir() else zipfile.ZipFile(self.path).open(name)  # noqa: SIM115 - its member is read later
        buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)
        return _Unpacked(buffered) if buffered.peek(2)[:2] == GZIP_MAGIC else buffered

    def place(self, name: str) -> str:
        """Return how a message names a file."""
        return f"{self.path}/{name}" if self.path.is_dir() else f"{self.path}:{name}"

    def _has(self, name: str) -> bool:
        return name in self.names or (self.path.is_dir() and (self.path / name).is_file())


def _ordered(names: list[str]) -> tuple[str, ...]:
    plain = [name for name in names if not name.rpartition("/")[2].startswith("._")]
    kept = [name for name in plain if name.count("/") < MAX_DEPTH]
    return tuple(sorted(kept, key=lambda name: (name.count("/"), name)))
