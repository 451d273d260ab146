"""The split of the NCF paper: last event of each user held out, ranked against 99 fixed negatives.

A folder or zip holds ``*.train.rating`` and ``*.test.rating`` (user, item, rating, seconds; tabs),
``*.test.negative`` (``(user,item)`` and 99 items a line) and, where items are numbered anew,
``item_map.csv`` from their numbers to MovieLens ids. Users are numbered from 0, which is UserID - 1.

Half of a user's consecutive events share a second, so the order inside one is a seeded shuffle.

Whether an item was touched is all that the paper's protocol asks, whatever its stars: its data are ratings made
implicit. So every event is a positive one here, in training as among the held-out events.

In the published files 156 of the 6,040 lines have the held-out item among its own negatives. An item does not compete
with itself, so it has 98 competitors there. The authors' program keeps scores in a dictionary by item, with the same
effect.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 4.1 (the protocol).
.. [2] Ferrari Dacrema et al., "Are we really making much progress?", RecSys 2019 (popularity 0.454 / 0.254).
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.catalogue import Catalogue, Item
from replay.datasets.files import Files
from replay.datasets.items import BrokenItems, dat_items
from replay.evaluation.split import NEGATIVES, Split
from streams.errors import DataError

__all__ = ["is_ncf", "read_ncf"]

COLUMNS = ["user", "item", "rating", "ts"]
STARS = 5.0  # a rating's weight is its share of the most stars
NEGATIVE = ".test.negative"


def is_ncf(path: Path) -> bool:
    """Tell whether a folder or zip holds such a split, by its file of negatives."""
    return any(name.endswith(NEGATIVE) for name in Files.at(path).names)


def read_ncf(path: Path, *, movies: Path | None = None, seed: int = 0) -> Split:
    """Read a split.

    Parameters
    ----------
    path : a folder or zip with the files named above.
    movies : MovieLens' ``movies.dat``, or a folder or zip that holds it, for titles and genres; None for neither.
    seed : of the order of a user's events within one second.

    Raises
    ------
    DataError
        If a file is missing or not in its format.
    """
    files = Files.at(path)
    contents = [files.read(_one(files, ending)) for ending in (".train.rating", ".test.rating", NEGATIVE)]
    train, test = (_ratings(content, files, path) for content in contents[:2])
    order = np.random.default_rng(seed).permutation(len(train))
    events = train.iloc[order].sort_values(["user", "ts"], kind="stable")
    train = events.drop_duplicates(["user", "item"])
    test = test.sort_values("user", ignore_index=True)
    candidates = _candidates(contents[2], test, path)
    n_items = 1 + max(int(train["item"].max()), int(candidates.max()))
    n_users = 1 + max(int(train["user"].max()), int(test["user"].max()))
    return Split(
        name=path.name,
        sha256=hashlib.sha256(b"".join(contents)).hexdigest(),
        train=train.reset_index(drop=True),
        users=test["user"].to_numpy(),
        candidates=candidates,
        times=test["ts"].to_numpy(),
        user_ids=tuple(str(user + 1) for user in range(n_users)),
        catalogue=_catalogue(_item_ids(files, n_items), movies),
        repeated=len(events) - len(train),
    )


def _catalogue(item_ids: tuple[str, ...], movies: Path | None) -> Catalogue:
    described: Mapping[str, Item] = {}
    if movies is not None:
        files = Files.at(movies)
        name = _one(files, "movies.dat")
        broken = BrokenItems()
        described = {item.item_id: item for item in dat_items(files.read(name), files.place(name), broken)}
        if broken.first is not None:
            raise broken.first
    return Catalogue.of(described.get(item_id, Item(item_id, item_id)) for item_id in item_ids)


def _one(files: Files, ending: str) -> str:
    found = [name for name in files.names if name.endswith(ending)]
    if len(found) != 1:
        raise DataError(f"ncf: one file called *{ending} is required in {files.path}, got {found!r}")
    return found[0]


def _ratings(content: bytes, files: Files, path: Path) -> pd.DataFrame:
    types = {"user": np.int64, "item": np.int64, "rating": np.float64, "ts": np.int64}
    try:
        frame = pd.read_csv(io.BytesIO(content), sep="\t", header=None, names=COLUMNS, dtype=types)
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"ncf: user, item, rating and seconds are required in {path}, got {error}") from error
    if not len(frame) or frame[["user", "item"]].to_numpy().min() < 0:
        raise DataError(f"ncf: rows with numbers from 0 are required in {files.path}, got {len(frame)} rows")
    told = frame.assign(weight=frame["rating"] / STARS, ts=frame["ts"] * 1000, positive=True)
    return told[["user", "item", "weight", "ts", "positive"]]


def _candidates(content: bytes, test: pd.DataFrame, path: Path) -> NDArray[np.int64]:
    """Return int64 (U, 100) in the order of ``test``: its item, then the negatives of its line."""
    negatives = {}
    for number, line in enumerate(content.decode("ascii", "replace").splitlines(), start=1):
        pair, *others = line.split("\t")
        if len(others) != NEGATIVES or not all(one.isdecimal() for one in others):
            raise DataError(f"ncf: {path} negatives line {number} must hold 99 items, got {line[:60]!r}")
        negatives[pair] = others
    rows = []
    for user, item in test[["user", "item"]].itertuples(index=False):
        if f"({user},{item})" not in negatives:
            raise DataError(f"ncf: {path} must hold negatives for user {user} and item {item}, got none")
        rows.append([item, *negatives[f"({user},{item})"]])
    return np.array(rows, dtype=np.int64)


def _item_ids(files: Files, n_items: int) -> tuple[str, ...]:
    """Return the ids by number; without ``item_map.csv`` the numbers themselves."""
    name = next((name for name in files.names if name.endswith("item_map.csv")), None)
    if name is None:
        return tuple(map(str, range(n_items)))
    place = files.place(name)
    lines = files.read(name).decode("ascii", "replace").split()[1:]
    ids = dict(line.split(",", 1) for line in lines if "," in line)
    n_items = max(n_items, len(ids))
    missing = [number for number in range(n_items) if str(number) not in ids]
    if missing:
        raise DataError(f"ncf: {place} must name items 0 to {n_items - 1}, got no item {missing[0]!r}")
    return tuple(ids[str(number)] for number in range(n_items))
