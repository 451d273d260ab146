"""Reading a recorded log by name or by path; the one door for everything that replays or scores.

A name is a release that ``fetch`` knows and keeps in the data folder; a path is the reader's own copy.
"""

from pathlib import Path

from model.kinds import DEFAULT_KINDS, KindTable
from replay.datasets.dataset import Dataset, Provenance
from replay.datasets.fetch import RELEASES, fetch
from replay.datasets.files import Files
from replay.datasets.options import LogOptions
from replay.datasets.reading import read_path

__all__ = ["Dataset", "Provenance", "is_release", "read_dataset", "require_dataset"]


def is_release(name: str) -> bool:
    """Tell whether a release is called so."""
    return name in RELEASES


def require_dataset(name_or_path: str) -> None:
    """Raise DataError where the name is no release and nothing lies at the path; nothing is read or fetched."""
    if not is_release(name_or_path):
        Files.at(Path(name_or_path))


def read_dataset(
    name_or_path: str | Path,
    *,
    seed: int = 0,
    options: LogOptions | None = None,
    kinds: KindTable = DEFAULT_KINDS,
) -> Dataset:
    """Read a log of interactions and its catalogue.

    Parameters
    ----------
    name_or_path : a release's name such as ``ml-100k``, fetched first where it is not there yet; or the path of
        a folder, a zip or a file in any layout of ``replay.datasets.layouts``. A folder of the working
        directory that is called like a release is meant by ``./ml-100k``.
    seed : of the order among events of the same timestamp; the same log and seed give the same order.

    Raises
    ------
    DataError
        If the log cannot be fetched or found, or breaks its format; the message names file, line, what was
        required and what was got.
    """
    name = str(name_or_path)
    if isinstance(name_or_path, str) and is_release(name):
        return read_path(fetch(name), name=name, seed=seed, options=options, kinds=kinds)
    return read_path(Path(name_or_path), seed=seed, options=options, kinds=kinds)
