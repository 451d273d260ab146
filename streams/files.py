"""Files that appear whole or not at all, in a local folder or an object store."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

__all__ = ["put_whole", "write_secret"]


def put_whole(files: Any, path: str, content: bytes) -> None:
    """Write a file and the folders that it needs; readers see all of it or nothing, also after a power cut.

    Where it cannot be written, nothing of it stays: no part of it, and no folder that was made for it.

    Locally it is written beside its place, flushed to the disk and renamed; an object store gets one put, and shows
    a file when it is whole.

    Parameters
    ----------
    files : an fsspec file system.
    path : where, as that file system writes paths.

    Raises
    ------
    OSError
        If the store refuses or cannot be reached.
    """
    if isinstance(files, LocalFileSystem):
        _write_local(Path(path), content)
    else:
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        files.pipe_file(path, content)


def write_secret(path: Path, content: bytes) -> None:
    """Write a local file whole, that only its owner may read.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    _write_local(path, content, 0o600)


def _write_local(path: Path, content: bytes, mode: int = 0o666) -> None:
    missing = [folder for folder in path.parents if not folder.exists()]
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        for folder in missing:  # innermost first; one that others use meanwhile stays
            with suppress(OSError):
                folder.rmdir()
        raise
    for folder in (path.parent, *(made.parent for made in missing)):
        _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
