"""What each item of a history is worth to each listed item: the logit with all of it, less the logit without that one.

Leaving one item out changes more than its own share. What is older moves a step nearer, gaps begin elsewhere, there is
one known item less for the blend to weigh by. All of this has a closed form: counts and genres by sums from both ends,
taste by one inverse less one rank, the tower by another softmax over the same keys. It is exact for a tower of one
block, up to rounding. Two things are left aside: an older item that would enter at the far end of a full history, and,
where repeats are kept, how two places of one item act together.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.arithmetic import directed
from model.network.blend import EVIDENCE, FEATURES, STATIC, Blend, feature
from model.network.cooccurrence import RecentItems
from model.network.served import ServedNetwork
from model.ranking.approval import Approval
from model.vocabulary import Rows

if TYPE_CHECKING:
    from model.history import Mode
    from model.ranking.exact import HistoryBatch

Array = NDArray[np.float32]

__all__ = ["GENRE_DEPTH", "GENRE_HALF_LIFE", "TASTE_SCALE", "LeaveOneOut"]

TASTE_SCALE = 10.0  # on a sparse log a tenth of what is touched next is foreseen: as a feature it is then about one
GENRE_DEPTH, GENRE_HALF_LIFE = 20, 5.0  # newest items whose genres are read, and places after which one counts half
USERS_PER_BLOCK = 64  # of a batch; fewer at a time take half as long again


class LeaveOneOut:
    """Reads the parts of one version.

    Parameters
    ----------
    network : of the version, which reads its counts and factors as well.
    blend : its weights.
    genres : float32 (N, G), the items' genres as directions.
    approval : whether a user will like an item.
    """

    def __init__(
        self,
        network: ServedNetwork,
        blend: Blend,
        genres: Array,
        approval: Approval,
    ) -> None:
        self._network, self._blend, self._side = network, blend, network.side
        self._evidence, self._taste = network.evidence, network.taste
        self._genres, self._approval = genres, approval

    def lost(
        self,
        histories: "HistoryBatch",
        recent: RecentItems,
        rows: Rows,
        static: Array,
        mode: "Mode",
    ) -> Array:
        """Return what logits lose without each item of the history, newest first: float32 (P, C, L).

        Parameters
        ----------
        histories : of P users.
        recent : the same histories, newest first.
        rows : int64 (P, C), item rows, none missing.
        static : float32 (4, N), the features of items alone.
        mode : whose weights of the blend count.
        """
        parts = []
        for start in range(0, len(histories), USERS_PER_BLOCK):
            some = slice(start, start + USERS_PER_BLOCK)
            parts.append(self._lost(histories.taken(some), recent.taken(some), rows[some], static, mode))
        return np.asarray(np.concatenate(parts))

    def _lost(self, histories: "HistoryBatch", recent: RecentItems, rows: Rows, static: Array, mode: "Mode") -> Array:
        lengths = histories.lengths()
        less, now = self._blend.at(np.maximum(lengths - 1, 0), mode), self._blend.at(lengths, mode)  # (P, F)
        n = recent.items.shape[1]
        weights = np.concatenate([np.repeat(less[:, None], n, axis=1), now[:, None]], axis=1)  # (P, L + 1, F)
        found = self._quick(recent, rows, static, weights)  # (P, C, L + 1), the last with nothing left out
        left_out = np.maximum(lengths[:, None] - 1 - np.arange(n), 0)
        if weights[:, :, _HEADS].any():
            found += self._heads(histories, rows, left_out) * weights[:, None, :, _HEADS]
        if self._taste is not None:
            vectors = self._taste.vectors_without(histories.items, left_out)
            taste = vectors * (np.float32(TASTE_SCALE) * weights[:, :, _TASTE, None])
            found += np.matmul(self._taste.factors[rows], taste.swapaxes(1, 2))
        return np.asarray(found[:, :, -1:] - found[:, :, :-1])

    def _quick(self, recent: RecentItems, rows: Rows, static: Array, weights: Array) -> Array:
        """Return what items alone, counts, genres and approval say without each item and with all, (P, C, L + 1)."""
        found = np.matmul(static[:, rows].transpose(1, 2, 0), weights[:, :, _STATIC].swapaxes(1, 2))  # (P, C, L + 1)
        found += self._approval.of_items[rows][:, :, None]
        if self._evidence is not None:
            shares = weights[:, :, _EVIDENCE] * self._network.evidence_weights
            found += np.einsum("pcjk,pjk->pcj", self._evidence.without_each(recent, rows), shares)
        liked = self._liked_genres(recent) * weights[:, :, _GENRES, None]
        found += np.matmul(self._genres[rows], liked.swapaxes(1, 2))
        assert recent.likings is not None, "likings come with every history that is ranked"
        if (recent.likings < 0.0).any():  # without a dislike nothing is added
            found += self._approval.of_users_without_each(recent, rows)
        return np.asarray(found)

    def _heads(self, histories: "HistoryBatch", rows: Rows, left_out: Rows) -> Array:
        """Return what GMF, MLP and biases say without each of the places and with all, float32 (P, C, L + 1)."""
        network, items = self._network, histories.items
        vectors = network.item_factors[np.maximum(items, 0)]
        read = vectors, histories.times, histories.weights, histories.lengths()
        known = np.concatenate([network.tower.without(*read, left_out), network.tower.last(*read)[:, None]], axis=1)
        users = known + network.identity(histories.users)[:, None]
        logits = np.matmul(self._side.factors[rows], users.swapaxes(1, 2))  # (P, C, L + 1)
        logits += network.fused(self._side.hidden[rows][:, :, None] + network.first_user(users)[:, None])
        logits += self._side.bias[rows][:, :, None]
        return np.asarray(logits)

    def _liked_genres(self, recent: RecentItems) -> Array:
        """Return the direction of the genres that users like, as above: float32 (P, L + 1, G)."""
        assert recent.likings is not None, "likings come with every history that is ranked"
        n = recent.items.shape[1]
        each = self._genres[np.maximum(recent.items, 0)] * (recent.likings > 0.0)[:, :, None].astype(np.float32)
        shares = np.exp2(-np.arange(n, dtype=np.float32) / np.float32(GENRE_HALF_LIFE))[:, None]
        newer = (each * shares)[:, :GENRE_DEPTH].cumsum(axis=1)
        nearer = (each * shares * np.float32(2.0 ** (1.0 / GENRE_HALF_LIFE)))[:, : GENRE_DEPTH + 1]
        older = nearer[:, ::-1].cumsum(axis=1)[:, ::-1]  # of this place and on
        found = np.repeat(newer[:, -1:], n + 1, axis=1)
        last = min(n, GENRE_DEPTH)
        found[:, :1] = 0.0
        found[:, 1:last] = newer[:, : last - 1]
        found[:, : older.shape[1] - 1] += older[:, 1:]
        return directed(found)


_HEADS, _TASTE, _GENRES = feature("heads"), feature("taste"), feature("genres")
_EVIDENCE, _STATIC = [feature(name) for name in EVIDENCE], [feature(name) for name in STATIC]
assert {_HEADS, _TASTE, _GENRES, *_EVIDENCE, *_STATIC} == set(range(len(FEATURES)))  # no feature is left aside
