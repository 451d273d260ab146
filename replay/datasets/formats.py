"""Finding the format of what lies at a path by its file names, and reading it whole.

A path is a folder, a zip, or a single ratings file; the files may lie one level down.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from model.catalogue import Item
from model.hints import UserHints
from replay.datasets import movielens, recbole
from replay.datasets.csvlog import log_ratings
from replay.datasets.dataset import Dataset, Provenance, assemble
from replay.datasets.files import Files
from replay.datasets.tags import with_tags
from streams.errors import DataError

__all__ = ["read_path"]


@dataclass(frozen=True, slots=True)
class _Format:
    """A pair of files and how they are read; a name that starts with a dot is an ending.

    A table has ratings alone and describes no items; it is looked for where no other format is found.
    """

    name: str
    ratings_file: str
    ratings: Callable[[bytes, str], pd.DataFrame]
    items_file: str | None = None
    items: Callable[[bytes, str], list[Item]] | None = None
    users_file: str | None = None
    users: Callable[[bytes, str], list[UserHints]] | None = None
    tags_file: str | None = None

    def read_items(self, files: Files, ratings_name: str) -> list[Item]:
        """Return what the item file beside this ratings file describes; nothing if there is none."""
        if self.items is None or self.items_file is None:
            return []
        last = ratings_name.rpartition("/")[2]
        name = last.removesuffix(self.ratings_file) + self.items_file if self._is_ending() else self.items_file
        found = files.beside(ratings_name, name)
        items = self.items(files.read(found), files.place(found)) if found else []
        tags = None if self.tags_file is None else files.beside(ratings_name, self.tags_file)
        return items if tags is None else with_tags(items, files.read(tags), files.place(tags))

    def read_hints(self, files: Files, ratings_name: str) -> list[UserHints]:
        """Return what the user file beside this ratings file says; nothing if there is none."""
        found = None if self.users_file is None else files.beside(ratings_name, self.users_file)
        return [] if found is None or self.users is None else self.users(files.read(found), files.place(found))

    def find(self, files: Files) -> tuple[str, ...]:
        """Return the ratings files of this format."""
        if self._is_ending():
            return tuple(name for name in files.names if name.removesuffix(".gz").endswith(self.ratings_file))
        return tuple(name for name in files.names if name.rpartition("/")[2] == self.ratings_file)

    def _is_ending(self) -> bool:
        return self.ratings_file.startswith(".")


def _csv_ratings(data: bytes, place: str) -> pd.DataFrame:
    """Read a ``ratings.csv``: that of MovieLens, or any table, as its header says."""
    return (movielens.csv_ratings if movielens.has_csv_header(data) else log_ratings)(data, place)


FORMATS = (
    _Format(
        *("movielens-100k", "u.data", movielens.tab_ratings, "u.item", movielens.tab_items),
        *("u.user", movielens.tab_users),
    ),
    _Format(
        *("movielens-dat", "ratings.dat", movielens.dat_ratings, "movies.dat", movielens.dat_items),
        *("users.dat", movielens.dat_users),
    ),
    _Format("movielens-csv", "ratings.csv", _csv_ratings, "movies.csv", movielens.csv_items, tags_file="tags.csv"),
    _Format("movielens-kaggle", "rating.csv", log_ratings, "movie.csv", movielens.csv_items, tags_file="tag.csv"),
    _Format("recbole", ".inter", recbole.atomic_ratings, ".item", recbole.atomic_items),
)
TABLES = (_Format("table", ".csv", log_ratings), _Format("table", ".tsv", log_ratings))


def read_path(path: Path, *, name: str | None = None, seed: int = 0) -> Dataset:
    """Read the log at a path.

    Parameters
    ----------
    path : folder, zip or ratings file of any known format.
    name : what to call it; by default the last part of the path without its ending.
    seed : of the order among equal timestamps.

    Raises
    ------
    DataError
        If nothing or more than one log is there, or a row breaks its format.
    """
    files = Files.at(path)
    layout, ratings_name = _choose(files, path)
    place = files.place(ratings_name)
    data = files.read(ratings_name)
    ratings = layout.ratings(data, place)
    items = layout.read_items(files, ratings_name)
    origin = Provenance(layout.name, place, hashlib.sha256(data).hexdigest())
    hints = layout.read_hints(files, ratings_name)
    return assemble(name or path.resolve().stem, items, ratings, origin, seed, hints)


def _found(formats: tuple[_Format, ...], files: Files) -> list[tuple[_Format, str]]:
    return [(layout, name) for layout in formats for name in layout.find(files)]


def _choose(files: Files, path: Path) -> tuple[_Format, str]:
    found = _found(FORMATS, files) or _found(TABLES, files)
    shallowest = min((name.count("/") for _, name in found), default=0)
    candidates = [(layout, name) for layout, name in found if name.count("/") == shallowest]
    if len(candidates) == 1:
        return candidates[0]
    formats = (*FORMATS, *TABLES)
    required = ", ".join(("*" if layout.ratings_file[0] == "." else "") + layout.ratings_file for layout in formats)
    got = [name for _, name in candidates] or list(files.names[:8])
    raise DataError(
        f"data: exactly one ratings file ({required}) is required in {path}, got {got!r}; "
        "give the path of the one to read"
    )
