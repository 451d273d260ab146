"""A split's training events as a sparse matrix, which most baselines start from."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from replay.evaluation.split import Split

__all__ = ["histories", "interactions", "overlaps"]


def interactions(split: Split) -> csr_array:
    """Return who touched what: sparse float32 (all users, N), 1 for each pair, however often it occurs."""
    touched = split.train.drop_duplicates(["user", "item"]) if split.repeats else split.train
    users, items = (touched[name].to_numpy() for name in ("user", "item"))
    shape = (len(split.user_ids), split.n_items)
    return csr_array((np.ones(len(users), dtype=np.float32), (users, items)), shape=shape)


def histories(split: Split) -> csr_array:
    """Return the rows of the tested users: sparse float32 (U, N)."""
    return interactions(split)[split.users]


def overlaps(split: Split) -> NDArray[np.float32]:
    """Return how many users touched both items: float32 (N, N), each item's number of users on the diagonal."""
    touched = interactions(split)
    return np.asarray((touched.T @ touched).toarray())
