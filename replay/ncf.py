"""The split of the NCF paper: last event of each user held out, ranked against 99 fixed negatives.

A folder or zip holds ``*.train.rating`` and ``*.test.rating`` (user, item, rating, seconds; tabs),
``*.test.negative`` (``(user,item)`` and 99 items a line) and, where items are numbered anew,
``item_map.csv`` from their numbers to MovieLens ids. Users are numbered from 0, which is UserID - 1.

Half of a user's consecutive events share a second, so the order inside one is a seeded shuffle. Constants
are chosen on :meth:`NcfSplit.validation`, which holds out each user's last training event instead; the test
file plays no part in it.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 4.1 (the protocol).
.. [2] Ferrari Dacrema et al., "Are we really making much progress?", RecSys 2019 (popularity 0.454 / 0.254).
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.metrics import half_ranks
from model.ranking import Ranker
from replay.files import Files
from replay.movielens import dat_items
from streams.errors import DataError

__all__ = ["NcfSplit", "model_ranks", "popularity_ranks", "read_catalogue", "read_ncf"]

NEGATIVES = 99
COLUMNS = ["user", "item", "rating", "ts"]
BATCH = 256  # users ranked at once
STARS = 5.0  # a rating's weight is its share of the most stars


@dataclass(frozen=True, slots=True)
class NcfSplit:
    """A split, in rows of its own numbering.

    Parameters
    ----------
    train : columns ``user``, ``item`` (int64, numbers of the split), ``rating`` (float64 stars) and ``ts``
        (int64 milliseconds), by user and time, ties in seeded random order.
    users : int64 (U,), the users that are tested, ascending.
    candidates : int64 (U, 100), the held-out item first, then its negatives.
    item_ids : id of each item number.
    path, sha256 : what was read: of the training, test and negative file together, in that order.
    """

    train: pd.DataFrame
    users: NDArray[np.int64]
    candidates: NDArray[np.int64]
    item_ids: tuple[str, ...]
    path: str
    sha256: str

    def user_ids(self) -> list[str]:
        """Return the id of each training event's user, as MovieLens numbers them."""
        return [_user_id(user) for user in self.train["user"].tolist()]

    def event_items(self) -> list[str]:
        """Return the id of each training event's item."""
        return [self.item_ids[item] for item in self.train["item"].tolist()]

    def weights(self) -> NDArray[np.float64]:
        """Return how much each training event counts, 0..1."""
        return self.train["rating"].to_numpy() / STARS

    def validation(self, generator: np.random.Generator) -> "NcfSplit":
        """Return the split that holds out each user's last training event, with 99 unseen items drawn at random.

        The test event is not looked at, so it may be among the negatives, as any unseen item may.
        """
        last = ~self.train.duplicated("user", keep="last").to_numpy()
        held_out = self.train[last]
        users, counts = np.unique(self.train["user"].to_numpy(), return_counts=True)
        items = np.split(self.train["item"].to_numpy(), np.cumsum(counts)[:-1])
        unseen = [
            generator.choice(np.setdiff1d(np.arange(len(self.item_ids)), touched), NEGATIVES, replace=False)
            for touched in items
        ]
        candidates = np.column_stack([held_out["item"].to_numpy(), np.stack(unseen)])
        return replace(self, train=self.train[~last].reset_index(drop=True), users=users, candidates=candidates)


def read_ncf(path: Path, *, seed: int = 0) -> NcfSplit:
    """Read a split.

    Parameters
    ----------
    path : a folder or zip with the files named above.
    seed : of the order of a user's events within one second.

    Raises
    ------
    DataError
        If a file is missing or not in its format.
    """
    files = Files.at(path)
    contents = [files.read(_one(files, ending)) for ending in (".train.rating", ".test.rating", ".test.negative")]
    train, test = (_ratings(content, files, path) for content in contents[:2])
    order = np.random.default_rng(seed).permutation(len(train))
    train = train.iloc[order].sort_values(["user", "ts"], kind="stable", ignore_index=True)
    test = test.sort_values("user", ignore_index=True)
    n_items = 1 + max(int(train["item"].max()), int(test["item"].max()))
    candidates = _candidates(contents[2], test, path)
    n_items = max(n_items, 1 + int(candidates.max()))
    digest = hashlib.sha256(b"".join(contents)).hexdigest()
    return NcfSplit(train, test["user"].to_numpy(), candidates, _item_ids(files, n_items), path.name, digest)


def read_catalogue(split: NcfSplit, movies: Path | None) -> Catalogue:
    """Return the split's items, with title and genres where MovieLens' ``movies.dat`` is given.

    movies : that file, or a folder or zip that holds it.
    """
    described: Mapping[str, Item] = {}
    if movies is not None:
        files = Files.at(movies)
        name = _one(files, "movies.dat")
        described = {item.item_id: item for item in dat_items(files.read(name), files.place(name))}
    return Catalogue.of(described.get(item_id, Item(item_id, item_id)) for item_id in split.item_ids)


def model_ranks(ranker: Ranker, split: NcfSplit) -> NDArray[np.float64]:
    """Return the rank of each held-out item among its candidates, 1 to 100: float64 (U,).

    Raises
    ------
    DataError
        If the ranker lacks an item of the split.
    """
    rows = ranker.items.rows(split.item_ids)
    if rows.min() < 0:
        raise DataError(f"ncf: a model of all {len(rows)} items is required, got none for {int((rows < 0).sum())}")
    profiles = _profiles(split, ranker.snapshot.config.history_length)
    ranks = []
    for start in range(0, len(profiles), BATCH):
        histories = ranker.histories(profiles[start : start + BATCH])
        scores = ranker.score(histories, rows[split.candidates[start : start + BATCH]])
        ranks.append(half_ranks(scores[:, 0], scores[:, 1:]))
    return np.concatenate(ranks)


def popularity_ranks(split: NcfSplit, *, ties_won: bool = False) -> NDArray[np.float64]:
    """Return the same ranks by number of training events.

    ties_won : place the held-out item before its equals, as the published 0.454 / 0.254 does; half-rank
        ties cost popularity 0.002, and a network, which has no ties, nothing.
    """
    counts = np.bincount(split.train["item"], minlength=len(split.item_ids))[split.candidates]
    return half_ranks(counts[:, 0] + (0.5 if ties_won else 0.0), counts[:, 1:])


def _profiles(split: NcfSplit, length: int) -> list[Profile]:
    """Return each tested user's latest events before the held-out one, newest first."""
    latest = split.train.groupby("user").tail(length)
    recent: dict[int, list[Interaction]] = {user: [] for user in split.users.tolist()}
    for user, item, rating, ts in latest.itertuples(index=False):
        if user in recent:
            recent[user].append(Interaction(split.item_ids[item], ts, "rate", rating / STARS))
    return [Profile(_user_id(user), recent=tuple(reversed(events))) for user, events in recent.items()]


def _user_id(user: int) -> str:
    return str(user + 1)


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
    return frame.assign(ts=frame["ts"] * 1000)


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
