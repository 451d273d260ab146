"""A version's network as it serves: arrays and products, equal to the torch network up to rounding.

The item side of every score is computed once. ``model.trainable.neumf`` has the network as it is trained, and its
description; here are the parts that ranking asks for, without gradients and without torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.network.cooccurrence import EvidenceCounts, EvidenceReader
from model.network.snapshot import Snapshot
from model.network.taste import TasteReader
from model.network.tower import ServedTower
from model.vocabulary import Rows

__all__ = ["ServedItems", "ServedNetwork"]

Array = NDArray[np.float32]
TILE_FLOATS = 8192  # of a layer that one loop of NumPy compares: 1024 take 1.6 times as long


@dataclass(frozen=True, slots=True)
class ServedItems:
    """All that scoring needs to know about items.

    Parameters
    ----------
    factors : float32 (N, D), GMF vectors, already scaled by the fusion layer.
    hidden : float32 (N, H1), the item and genre part of the first MLP layer, its bias included.
    bias : float32 (N,), item bias plus the fusion layer's.
    """

    factors: Array
    hidden: Array
    bias: Array

    def taken(self, rows: slice | Rows) -> "ServedItems":
        """Return the side of some items, int64 (R,) or a slice, whose side is a view."""
        return ServedItems(self.factors[rows], self.hidden[rows], self.bias[rows])


class ServedNetwork:
    """Scores with the weights of a version, which are read and never changed.

    Parameters
    ----------
    snapshot : the version.

    Attributes
    ----------
    side : of all its items.
    tower : reads histories.
    evidence, taste : read the counts and the long-term taste; None for a version without them.
    evidence_weights : float32 (F,), what the logit takes of each feature of the evidence.

    Raises
    ------
    ValueError
        If a weight is missing, left over or of another shape.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        snapshot.require_whole()
        self._weights, parts = snapshot.weights, snapshot.config.parts
        self.tower = ServedTower(snapshot.config, self._weights)
        self.side = self._item_side()
        self.evidence = EvidenceReader(EvidenceCounts.of(self._weights)) if "evidence" in parts else None
        self.evidence_weights: Array = self._weights["evidence.weights"]
        factors, strength = self._weights["taste.factors"], float(self._weights["taste.strength"])
        self.taste = TasteReader(factors, strength) if "taste" in parts else None

    @property
    def item_factors(self) -> Array:
        """Return the items' GMF vectors as the tower reads them, float32 (N, D)."""
        return self._weights["item_factors"]

    def _item_side(self) -> ServedItems:
        own, belongs = self._weights, self._weights["item_genres"]
        counts = np.maximum(belongs.sum(axis=1, keepdims=True), np.float32(1.0))
        genres = (belongs @ own["genre_factors"]) / counts  # (N, genre_factors): mean over genres
        read = np.concatenate([own["item_mlp_factors"], genres], axis=1)
        return ServedItems(
            own["item_factors"] * own["fuse_gmf"],
            read @ own["first_item.weight"].T + own["first_item.bias"],
            own["item_bias"] + own["fuse_bias"],
        )

    def identity(self, users: Rows) -> Array:
        """Return identity vectors (B, D) of user rows (B,): zeros for row -1."""
        table = self._weights["user_factors"]
        if not len(table):
            return np.zeros((len(users), table.shape[1]), dtype=np.float32)
        return np.asarray(table[np.maximum(users, 0)] * (users >= 0)[:, None].astype(np.float32))

    def users_now(self, users: Rows, items: Rows, times: Rows, weights: Array) -> Array:
        """Return the user vectors after whole histories, float32 (B, D).

        Parameters
        ----------
        users : int64 (B,), rows, -1 if unknown.
        items : int64 (B, L), rows, oldest first, -1 as padding at the end.
        times, weights : (B, L), milliseconds, and how much each counts.
        """
        vectors = self.item_factors[np.maximum(items, 0)]
        return self.tower.last(vectors, times, weights, np.count_nonzero(items >= 0, axis=1)) + self.identity(users)

    def first_user(self, users: Array) -> Array:
        """Return what user vectors (..., D) put into the first MLP layer, float32 (..., H1)."""
        return np.asarray(users @ self._weights["first_user.weight"].T)

    def asking(self, users: Array, texts: Array | None = None) -> tuple[Array, Array]:
        """Return what the two heads read of the askers: float32 (P, D) for GMF, (P, H1) in the first MLP layer.

        Parameters
        ----------
        users : float32 (P, D), user vectors.
        texts : float32 (P, T), what each asks for; zeros, or None altogether, where nothing is asked.
        """
        hidden = self.first_user(users)
        if texts is None:
            return users, hidden
        own, asked = self._weights, np.flatnonzero(texts.any(axis=1))
        wide = np.maximum(texts[asked] @ own["intent.widen.weight"].T, np.float32(0.0))
        intent = wide @ own["intent.narrow.weight"].T
        users = users.copy()
        users[asked] += intent * own["fuse_intent"]
        hidden[asked] += intent @ own["first_intent.weight"].T
        return users, hidden

    def fused(self, hidden: Array) -> Array:
        """Return what the MLP adds to logits, float32 (...), given its first layer (..., H1) before the ReLU."""
        own = self._weights
        first = np.maximum(hidden, np.float32(0.0))
        second = first @ own["second.weight"].T + own["second.bias"]
        return np.asarray(np.maximum(second, np.float32(0.0), out=second) @ own["fuse_mlp"])

    def mlp_slopes(self, first: Array, hidden: Array) -> Array:
        """Return how what the MLP adds grows with an item's part of its first layer, a mean over items: (B, H1).

        Parameters
        ----------
        first : float32 (B, H1), users' part of the first layer.
        hidden : float32 (S, H1), the items' part.
        """
        own = self._weights
        inside = hidden + first[:, None]  # (B, S, H1)
        second = np.maximum(inside, np.float32(0.0)) @ own["second.weight"].T + own["second.bias"]
        back = ((second > 0.0) * own["fuse_mlp"]) @ own["second.weight"]  # (B, S, H1)
        return np.asarray((back * (inside > 0.0)).mean(axis=1))

    def pair_logits(self, users: Array, rows: Rows, texts: Array | None = None) -> Array:
        """Return the logit of each user vector with each of its items, evidence left out: float32 (P, C).

        Parameters
        ----------
        users : float32 (P, D), user vectors.
        rows : int64 (P, C), item rows.
        texts : as in :meth:`asking`.
        """
        vectors, hidden_users = self.asking(users, texts)
        gmf = np.matmul(self.side.factors[rows], vectors[:, :, None])[:, :, 0]
        return np.asarray(gmf + self.fused(self.side.hidden[rows] + hidden_users[:, None]) + self.side.bias[rows])

    def add_mlp(self, logits: Array, first: Array, side: ServedItems, block: int) -> None:
        """Add what the MLP makes of every item to logits, float32 (B, N), given the users' part of its first layer.

        With relu(x + u) = max(x, -u) + u a layer needs one pass over the pairs instead of two, and what the users
        add to the layer above is computed once a user. Rows are compared many at a time with a vector that is as often
        repeated, as NumPy is slow to compare with a single number.

        Parameters
        ----------
        first : float32 (B, H1).
        side : of the N items.
        block : floats of the first layer that are held at once.
        """
        own = self._weights
        weight, fuse = np.ascontiguousarray(own["second.weight"].T), own["fuse_mlp"]  # (H1, H2), (H2,)
        second = first @ weight + own["second.bias"]  # (B, H2)
        logits += (second @ fuse)[:, None]
        n, (narrow, deep) = logits.shape[1], weight.shape
        tile = max(1, TILE_FLOATS // narrow)
        width = max(1, min(block // narrow, n) // tile) * tile  # whole tiles, and one at least
        below, above = np.tile(-first, tile), np.tile(-second, tile)  # (B, tile * H1), (B, tile * H2)
        lower, upper = np.empty((width, narrow), np.float32), np.empty((width, deep), np.float32)
        for start in range(0, n, width):
            columns = side.hidden[start : start + width]
            rows = len(columns)
            if len(padded := columns) % tile:
                padded = np.pad(columns, ((0, -rows % tile), (0, 0)))
            tiles = padded.reshape(-1, tile * narrow)
            hidden, deeper = lower, upper
            if len(padded) != width:
                hidden, deeper = np.empty((len(padded), narrow), np.float32), np.empty((len(padded), deep), np.float32)
            for user in range(len(logits)):
                np.maximum(tiles, below[user], out=hidden.reshape(tiles.shape))
                np.matmul(hidden, weight, out=deeper)
                flat = deeper.reshape(len(tiles), -1)
                np.maximum(flat, above[user], out=flat)
                logits[user, start : start + rows] += (deeper @ fuse)[:rows]
