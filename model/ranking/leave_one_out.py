"""What each item of a history is worth to each listed item: the logit with all of it, less the logit without that one.

Leaving one item out changes more than its own share. What is older moves a step nearer, gaps begin elsewhere, there is
one known item less for the blend to weigh by. All of this has a closed form: counts and genres by sums from both ends,
taste by one inverse less one rank, the tower by another softmax over the same keys. It is exact for a tower of one
block, up to rounding. Two things are left aside: an older item that would enter at the far end of a full history, and,
where repeats are kept, how two places of one item act together.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.network.blend import EVIDENCE, FEATURES, STATIC, feature
from model.network.cooccurrence import EvidenceReader, RecentItems
from model.network.neumf import ItemSide, NeuMF
from model.network.taste import TasteReader
from model.ranking.approval import Approval
from model.vocabulary import Rows

if TYPE_CHECKING:
    from model.history import Mode
    from model.ranking.exact import HistoryBatch

__all__ = ["GENRE_DEPTH", "GENRE_HALF_LIFE", "TASTE_SCALE", "LeaveOneOut"]

TASTE_SCALE = 10.0  # on a sparse log a tenth of what is touched next is foreseen: as a feature it is then about one
GENRE_DEPTH, GENRE_HALF_LIFE = 20, 5.0  # newest items whose genres are read, and places after which one counts half
USERS_PER_BLOCK = 64  # of a batch; fewer at a time take half as long again


class LeaveOneOut:
    """Reads the parts of one version.

    Parameters
    ----------
    network, side : the network and its items' side.
    evidence, taste : read its counts and factors; None for a version without them.
    genres : float32 (N, G), the items' genres as directions.
    approval : whether a user will like an item.
    """

    def __init__(
        self,
        network: NeuMF,
        side: ItemSide,
        evidence: EvidenceReader | None,
        taste: TasteReader | None,
        genres: Tensor,
        approval: Approval,
    ) -> None:
        self._network, self._blend, self._side = network, network.blend, side
        self._evidence, self._taste, self._genres, self._approval = evidence, taste, genres, approval

    @torch.no_grad()
    def lost(
        self,
        histories: "HistoryBatch",
        recent: RecentItems,
        rows: Rows,
        static: Tensor,
        mode: "Mode",
    ) -> Tensor:
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
        return torch.cat(parts)

    def _lost(self, histories: "HistoryBatch", recent: RecentItems, rows: Rows, static: Tensor, mode: "Mode") -> Tensor:
        lengths, wanted = histories.lengths(), torch.from_numpy(rows)
        less, now = self._blend.at(np.maximum(lengths - 1, 0), mode), self._blend.at(lengths, mode)  # (P, F)
        n = recent.items.shape[1]
        weights = torch.cat([less.unsqueeze(1).expand(-1, n, -1), now.unsqueeze(1)], dim=1)  # (P, L + 1, F)
        found = self._quick(recent, rows, static, weights)  # (P, C, L + 1), the last with nothing left out
        left_out = (torch.from_numpy(lengths).unsqueeze(1) - 1 - torch.arange(n)).clamp(min=0)
        if weights[:, :, _HEADS].any():
            found += self._heads(histories, wanted, left_out) * weights[:, None, :, _HEADS]
        if self._taste is not None:
            vectors = self._taste.vectors_without(histories.items, left_out.numpy())
            factors = functional.embedding(wanted, self._network.taste.factors)
            found += torch.matmul(factors, (vectors * (TASTE_SCALE * weights[:, :, _TASTE, None])).mT)
        return found[:, :, -1:] - found[:, :, :-1]

    def _quick(self, recent: RecentItems, rows: Rows, static: Tensor, weights: Tensor) -> Tensor:
        """Return what items alone, counts, genres and approval say without each item and with all, (P, C, L + 1)."""
        wanted = torch.from_numpy(rows)
        found = torch.einsum("pjs,spc->pcj", weights[:, :, _STATIC], static[:, wanted])
        found += self._approval.of_items[wanted].unsqueeze(2)
        if self._evidence is not None:
            shares = weights[:, :, _EVIDENCE] * self._network.evidence.weights.detach()
            said = torch.from_numpy(self._evidence.without_each(recent, rows))
            found += (said * shares.unsqueeze(1)).sum(dim=3)
        liked = self._liked_genres(recent) * weights[:, :, _GENRES, None]
        found += torch.matmul(functional.embedding(wanted, self._genres), liked.mT)
        assert recent.likings is not None, "likings come with every history that is ranked"
        if (recent.likings < 0.0).any():  # without a dislike nothing is added
            found += self._approval.of_users_without_each(recent, rows)
        return found

    def _heads(self, histories: "HistoryBatch", wanted: Tensor, left_out: Tensor) -> Tensor:
        """Return what GMF, MLP and biases say without each of the places and with all, float32 (P, C, L + 1)."""
        network, items = self._network, torch.from_numpy(histories.items)
        vectors = functional.embedding(items.clamp(min=0), network.item_factors)
        times, weights = torch.from_numpy(histories.times), torch.from_numpy(histories.weights)
        read = vectors, times, weights, (items >= 0).sum(dim=1)
        known = torch.cat([network.tower.without(*read, left_out), network.tower.last(*read).unsqueeze(1)], dim=1)
        users = known + network.identity(torch.from_numpy(histories.users)).unsqueeze(1)
        logits = torch.matmul(functional.embedding(wanted, self._side.factors), users.mT)  # (P, C, L + 1)
        hidden = functional.embedding(wanted, self._side.hidden).unsqueeze(2) + network.first_user(users).unsqueeze(1)
        second = network.second(hidden.relu_()).relu_()
        logits += second @ network.fuse_mlp + self._side.bias[wanted].unsqueeze(2)
        return logits

    def _liked_genres(self, recent: RecentItems) -> Tensor:
        """Return the direction of the genres that users like, as above: float32 (P, L + 1, G)."""
        assert recent.likings is not None, "likings come with every history that is ranked"
        items, n = torch.from_numpy(recent.items), recent.items.shape[1]
        liked = torch.from_numpy(recent.likings > 0.0).unsqueeze(2)
        each = self._genres[items.clamp(min=0)] * liked
        shares = torch.exp2(-torch.arange(n) / GENRE_HALF_LIFE).unsqueeze(1)
        newer = (each * shares)[:, :GENRE_DEPTH].cumsum(dim=1)
        nearer = (each * shares * 2.0 ** (1.0 / GENRE_HALF_LIFE))[:, : GENRE_DEPTH + 1]
        older = nearer.flip(1).cumsum(dim=1).flip(1)  # of this place and on
        found = newer[:, -1:].repeat(1, n + 1, 1)
        last = min(n, GENRE_DEPTH)
        found[:, :last] = functional.pad(newer[:, : last - 1], (0, 0, 1, 0))
        found[:, : older.shape[1] - 1] += older[:, 1:]
        return functional.normalize(found, dim=2)


_HEADS, _TASTE, _GENRES = feature("heads"), feature("taste"), feature("genres")
_EVIDENCE, _STATIC = [feature(name) for name in EVIDENCE], [feature(name) for name in STATIC]
assert {_HEADS, _TASTE, _GENRES, *_EVIDENCE, *_STATIC} == set(range(len(FEATURES)))  # no feature is left aside
