"""The files of a data set, whether they lie in a folder, in a zip, or one level down in either.

Nothing is unpacked: a member of a zip is read into memory, so no path inside an archive can lead anywhere. So is a file
that was compressed by itself.
"""

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from streams.errors import DataError

__all__ = ["Files"]

MAX_DEPTH = 2  # a file, or a file in one folder: what the zips of GroupLens hold


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
        """Return a file's bytes, unpacked where it ends in ``.gz``; raise DataError if it cannot be read."""
        try:
            data = self._bytes(name)
            return gzip.decompress(data) if name.endswith(".gz") else data
        except (
            OSError,
            EOFError,
            zlib.error,
            zipfile.BadZipFile,
            KeyError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DataError(
                f"data: {self.place(name)} must be readable, got {error!r}; fetch or copy it again"
            ) from error

    def _bytes(self, name: str) -> bytes:
        if self.path.is_dir():
            return (self.path / name).read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    def place(self, name: str) -> str:
        """Return how a message names a file."""
        return f"{self.path}/{name}" if self.path.is_dir() else f"{self.path}:{name}"

    def _has(self, name: str) -> bool:
        return name in self.names or (self.path.is_dir() and (self.path / name).is_file())


def _ordered(names: list[str]) -> tuple[str, ...]:
    plain = [name for name in names if not name.rpartition("/")[2].startswith("._")]
    kept = [name for name in plain if name.count("/") < MAX_DEPTH]
    return tuple(sorted(kept, key=lambda name: (name.count("/"), name)))
