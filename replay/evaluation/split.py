"""A split as one value: what may be learnt from, and one later event of each tested user.

Every offline protocol ends here, so that all scorers read the same events and compete on the same ones. A split numbers
its users and items itself; ids and titles come along for scorers that want them. A user's repeated items are no events
of a split, as what was touched before is never recommended again; unless repeats are kept, and then any item competes.

Constants are chosen on :meth:`Split.validation`, which holds out each user's last training event instead; the test
events play no part in it.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.catalogue import Catalogue
from model.feedback import wanted_though_disliked
from model.vocabulary import CodedIds
from streams.errors import DataError

__all__ = ["NEGATIVES", "TESTED_USERS", "Split", "held_out_last"]

NEGATIVES = 99  # as in the NCF paper
TESTED_USERS = 20_000  # of more a sample: one standard error of a hit rate of 0.1 is then 0.002


@dataclass(frozen=True, slots=True)
class Split:
    """Training events and held-out ones, in rows.

    Parameters
    ----------
    name, sha256 : of what was read.
    train : columns ``user``, ``item`` (int64, rows), ``weight`` (float64, 0..1), ``ts`` (int64 milliseconds) and
        ``positive`` (bool, whether the event says that the user liked the item), by user and time, ties in seeded
        random order; each pair of user and item once, unless repeats are kept.
    users : int64 (U,), rows of the tested users, ascending.
    candidates : int64 (U, 1 + C), rows: the held-out item first, then the C items that it is ranked among; none for
        a split that is only ranked among all items.
    times : int64 (U,), milliseconds, when each held-out event happened.
    user_ids : id of each user row.
    catalogue : the items, in row order.
    repeated : events of the log with an item that the user had touched before.
    repeats : whether these were kept, so that a held-out item may be one of them; else they were dropped.
    sampled_of : of how many users with a held-out event the tested ones are a random sample; None where all are tested.
    """

    name: str
    sha256: str
    train: pd.DataFrame
    users: NDArray[np.int64]
    candidates: NDArray[np.int64]
    times: NDArray[np.int64]
    user_ids: tuple[str, ...]
    catalogue: Catalogue
    repeated: int = 0
    repeats: bool = False
    sampled_of: int | None = None

    @property
    def n_items(self) -> int:
        """Return the number of items."""
        return len(self.catalogue)

    @property
    def n_negatives(self) -> int:
        """Return how many items the held-out one is ranked among when not among all."""
        return int(self.candidates.shape[1]) - 1

    def is_own_negative(self) -> NDArray[np.bool_]:
        """Return which negatives are the held-out item itself, bool (U, C); an item does not compete with itself."""
        return np.asarray(self.candidates[:, 1:] == self.candidates[:, :1])

    def __len__(self) -> int:
        """Return the number of tested users."""
        return len(self.users)

    def event_users(self) -> CodedIds:
        """Return the id of each training event's user."""
        return CodedIds(self.train["user"].to_numpy(dtype=np.int32), self.user_ids)

    def event_items(self) -> CodedIds:
        """Return the id of each training event's item."""
        return CodedIds(self.train["item"].to_numpy(dtype=np.int32), tuple(self.catalogue.items))

    def positive(self) -> NDArray[np.bool_]:
        """Return which training events say that the user liked the item, bool (E,)."""
        return self.train["positive"].to_numpy(dtype=np.bool_)

    def wanted(self) -> NDArray[np.float64]:
        """Return how much each training event counts as one that the user wanted, float64 (E,), 0..1."""
        return np.where(self.positive(), 1.0, wanted_though_disliked(self.train["weight"].to_numpy()))

    def bounds(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where each tested user's training events begin and end: two int64 (U,)."""
        return self._bounds_of(self.users)

    def _bounds_of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        users = self.train["user"].to_numpy()
        begins = np.searchsorted(users, rows, "left").astype(np.int64)
        return begins, np.searchsorted(users, rows, "right").astype(np.int64)

    def excluded(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return which items are on no list of the tested users ``start`` to ``stop``: bool (B, N).

        They are those that the user touched in training, and none where repeats are kept.
        """
        if self.repeats:
            return np.zeros((stop - start, self.n_items), dtype=np.bool_)
        return self.known(start, stop)

    def known(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return which items the tested users ``start`` to ``stop`` touched in training: bool (B, N)."""
        begins, ends = self._bounds_of(self.users[start:stop])
        counts = ends - begins
        place = np.repeat(np.arange(len(counts)), counts)
        events = np.arange(len(place)) + np.repeat(begins - (np.cumsum(counts) - counts), counts)
        touched = np.zeros((len(counts), self.n_items), dtype=np.bool_)
        touched[place, self.train["item"].to_numpy()[events]] = True
        return touched

    def owners(self) -> NDArray[np.int64]:
        """Return how many users touched each item in training: int64 (N,)."""
        touched = self.train.drop_duplicates(["user", "item"]) if self.repeats else self.train
        return np.bincount(touched["item"], minlength=self.n_items)

    def lengths(self) -> NDArray[np.int64]:
        """Return how many training events each tested user has: int64 (U,)."""
        begins, ends = self.bounds()
        return ends - begins

    def apart(self) -> NDArray[np.bool_]:
        """Return whose held-out event happened at another time than the training event before it: bool (U,)."""
        begins, ends = self.bounds()
        stamps = self.train["ts"].to_numpy()
        return np.asarray((ends == begins) | (stamps[ends - 1] != self.times))

    def tied_share(self) -> float:
        """Return the share of training events that happened at the time of the same user's event before."""
        follows = np.diff(self.train["user"].to_numpy()) == 0
        ties = np.diff(self.train["ts"].to_numpy()) == 0
        return float(np.mean(ties[follows])) if follows.any() else 0.0

    def sampled(self, n: int, generator: np.random.Generator) -> "Split":
        """Return the split with ``n`` of its tested users, drawn at random; itself where there are no more.

        The held-out events of the others stay out of training, so that the same is learnt whatever ``n`` is.
        """
        if n >= len(self):
            return self
        chosen = np.sort(generator.permutation(len(self))[:n])
        return replace(
            self,
            users=self.users[chosen],
            candidates=self.candidates[chosen],
            times=self.times[chosen],
            sampled_of=len(self) if self.sampled_of is None else self.sampled_of,
        )

    def validation(self, generator: np.random.Generator) -> "Split":
        """Return the split that holds out each user's last training event, with as many unseen items drawn at random.

        The test event is not looked at, so it may be among the negatives, as any unseen item may. A user with a single
        training event keeps it and is not tested.

        Raises
        ------
        DataError
            If no user has two training events, or one has too few unseen items.
        """
        return held_out_last(self, self.n_negatives, generator)


def held_out_last(split: Split, n: int, generator: np.random.Generator) -> Split:
    """Return a split with each user's last training event held out among ``n`` unseen items drawn at random.

    Raises as :meth:`Split.validation` does.
    """
    train = split.train
    is_last = ~train.duplicated("user", keep="last") & train.duplicated("user", keep="first")
    held_out = train[is_last]
    if not len(held_out):
        raise DataError(f"split: a user with two items is required in {split.name}, got none of {len(split.user_ids)}")
    users = held_out["user"].to_numpy()
    return replace(
        split,
        train=train[~is_last].reset_index(drop=True),
        users=users,
        candidates=_candidates(split, held_out, n, generator),
        times=held_out["ts"].to_numpy(),
        sampled_of=None,
    )


def _candidates(split: Split, held_out: pd.DataFrame, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return int64 (U, 1 + n): the held-out items, then ``n`` different ones that the user has not touched."""
    counts = np.bincount(split.train["user"], minlength=len(split.user_ids))
    items = np.split(split.train["item"].to_numpy(), np.cumsum(counts)[:-1])
    rows = np.empty((len(held_out), 1 + n), dtype=np.int64)
    rows[:, 0] = held_out["item"]
    for place, user in enumerate(held_out["user"].tolist() if n else ()):
        touched = np.unique(items[user])
        unseen = split.n_items - len(touched)
        if unseen < n:
            raise DataError(
                f"split: {n} items that user {split.user_ids[user]!r} has not touched are required in {split.name}, "
                f"got {unseen!r}; rank among all items instead (reelstream eval full)"
            )
        drawn = generator.choice(unseen, n, replace=False)
        rows[place, 1:] = drawn + np.searchsorted(touched - np.arange(len(touched)), drawn, "right")
    return rows
