"""NeuMF [1]_ with a history tower: how much a user wants an item.

A user is the sum of a trained identity vector (zero for a user never trained on) and the history tower's
vector. Two heads compare user and item: GMF multiplies their vectors, the MLP reads
``[user | item | genre projection | intent]``, where the intent is what a text asks for and zero without one; it is
added to the user's vector in GMF as well. One linear layer over ``[GMF | MLP | evidence]`` gives the logit.

Departs from [1]_ in five ways: the history tower; the evidence of ``model.network.cooccurrence``; one user vector for
both heads (items keep one vector per head); a bias per item; and the first MLP layer is written as the sum of its
inputs' parts, which is the same function and lets the item part be computed once per model version. The model of the
paper itself is in ``model.plain``.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 3.4.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from model.network.blend import Blend
from model.network.cooccurrence import EvidenceReader, width_for
from model.network.shape import ITEM_TABLES, NeuMFConfig
from model.network.snapshot import Snapshot, weight_type
from model.network.taste import TasteReader
from model.trainable.evidence import Evidence
from model.trainable.gathering import pair_dots
from model.trainable.history_tower import HistoryTower, dropped, unset_linear
from model.trainable.intent_tower import IntentTower
from model.trainable.taste import Taste

__all__ = ["ItemSide", "NeuMF"]

SPREAD = 0.05  # standard deviation of a fresh vector's entries: logits start near zero
GROWTH_NOISE = 0.01  # tells two new items of the same genres apart
NEW_ITEMS_PER_BLOCK = 64  # that are compared with all old ones at once
START_BIAS = -2.0  # of the logit, where evidence adds two to what really comes next and little to the rest


@dataclass(frozen=True, slots=True)
class ItemSide:
    """All that scoring needs to know about the items.

    Parameters
    ----------
    factors : float32 (N, D), GMF vectors as they are learnt. The fusion layer's scale is put on the users' vectors, of
        which a step reads fewer than there are items.
    hidden : float32 (N, H1), the item and genre part of the first MLP layer, its bias included.
    bias : float32 (N,), item bias plus the fusion layer's.
    """

    factors: Tensor
    hidden: Tensor
    bias: Tensor


class NeuMF(nn.Module):
    """The network over growing tables of users, items and genres.

    Parameters
    ----------
    config : its shape.
    n_users : rows of the user table; they start at zero, which is also what an unknown user gets.
    item_genres : float32 (N, G), 1 where an item has a genre; also sets the number of items and genres.
    generator : of the first weights; None leaves them unset, for a state that is loaded next.
    """

    item_genres: Tensor

    def __init__(
        self,
        config: NeuMFConfig,
        n_users: int,
        item_genres: NDArray[np.float32],
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        n_items, n_genres = item_genres.shape
        first, second = config.hidden
        self.config = config
        self.register_buffer("item_genres", torch.tensor(item_genres, dtype=torch.float32))
        self.user_factors = nn.Parameter(torch.zeros(n_users, config.factors))
        self.item_factors = nn.Parameter(torch.zeros(n_items, config.factors))
        self.item_mlp_factors = nn.Parameter(torch.zeros(n_items, config.mlp_factors))
        self.item_bias = nn.Parameter(torch.zeros(n_items))
        self.genre_factors = nn.Parameter(torch.zeros(n_genres, config.genre_factors))
        self.tower = HistoryTower(config.factors, config.history_length, config.blocks, config.heads, config.dropout)
        self.first_user = unset_linear(config.factors, first, bias=False)
        self.first_item = unset_linear(config.mlp_factors + config.genre_factors, first)
        self.intent = IntentTower(config.text_width, config.factors, config.dropout)
        self.first_intent = unset_linear(config.factors, first, bias=False)
        self.fuse_intent = nn.Parameter(torch.ones(config.factors))
        self.second = unset_linear(first, second)
        self.fuse_gmf = nn.Parameter(torch.ones(config.factors))
        self.fuse_mlp = nn.Parameter(torch.zeros(second))
        self.fuse_bias = nn.Parameter(torch.full((), START_BIAS))
        self.evidence = Evidence(n_items, config.neighbours)
        self.blend = nn.Module()
        for name, weight in Blend().named().items():
            self.blend.register_buffer(name.removeprefix("blend."), torch.from_numpy(weight))
        self.taste = Taste(n_items, config.taste_factors)
        if generator is not None:
            self._start(generator)
        self._leave_out()

    @classmethod
    def of(cls, snapshot: Snapshot) -> "NeuMF":
        """Return a new network with the weights of a version; training it leaves the version alone.

        Raises
        ------
        ValueError
            If a weight is missing, left over or of another shape.
        """
        snapshot.require_whole()
        network = cls(snapshot.config, len(snapshot.users), snapshot.weights["item_genres"], generator=None)
        copies = {name: torch.tensor(weight) for name, weight in snapshot.weights.items()}
        network.load_state_dict(copies, assign=True)
        return network

    def snapshot(self, items: tuple[str, ...], users: tuple[str, ...], genres: tuple[str, ...]) -> Snapshot:
        """Return a copy of the weights as they are now, with the ids of their rows."""
        mine = self.into_snapshot(items, users, genres)
        return replace(mine, weights={name: weight.copy() for name, weight in mine.weights.items()})

    def into_snapshot(self, items: tuple[str, ...], users: tuple[str, ...], genres: tuple[str, ...]) -> Snapshot:
        """Return the weights themselves, with the ids of their rows; whoever asks gives the network up."""
        weights = {
            name: np.asarray(tensor.detach().cpu().numpy(), dtype=weight_type(name), order="C")
            for name, tensor in self.state_dict().items()
        }
        return Snapshot(self.config, weights, items, users, genres)

    def evidence_reader(self) -> EvidenceReader | None:
        """Return what reads the evidence as it is now; None for a network without it."""
        return EvidenceReader(self.evidence.as_counts()) if "evidence" in self.config.parts else None

    def taste_reader(self) -> TasteReader | None:
        """Return what reads the long-term taste as it is now; None for a network without it."""
        return self.taste.reader() if "taste" in self.config.parts else None

    @property
    def n_users(self) -> int:
        """Return the number of rows of the user table."""
        return len(self.user_factors)

    @property
    def n_items(self) -> int:
        """Return the number of rows of the item tables."""
        return len(self.item_factors)

    def item_side(self, rows: Tensor | None = None) -> ItemSide:
        """Return the items' part of every score.

        rows : int64 (R,), items whose part is asked for; all if None.
        """
        belongs = self.item_genres if rows is None else self.item_genres.index_select(0, rows)
        factors, mlp_factors, bias = (
            table if rows is None else table.index_select(0, rows)
            for table in (self.item_factors, self.item_mlp_factors, self.item_bias)
        )
        counts = belongs.sum(dim=1, keepdim=True).clamp(min=1.0)
        genres = (belongs @ self.genre_factors) / counts  # (R, genre_factors): mean over genres
        return ItemSide(factors, self.first_item(torch.cat([mlp_factors, genres], dim=1)), bias + self.fuse_bias)

    def identity(self, users: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return identity vectors (B, D) of user rows (B,): zeros for row -1, and for hidden ones."""
        visible = (users >= 0).to(self.user_factors.dtype)
        if generator is not None:
            visible = visible * torch.empty_like(visible).bernoulli_(
                1.0 - self.config.identity_dropout, generator=generator
            )
        if self.n_users == 0:
            return torch.zeros(len(users), self.config.factors, device=users.device)
        return functional.embedding(users.clamp(min=0), self.user_factors) * visible.unsqueeze(1)

    def asking(
        self, users: Tensor, texts: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what the two heads read of the askers: float32 (P, D) for GMF, (P, H1) in the first MLP layer.

        Parameters
        ----------
        users : float32 (P, D), user vectors.
        texts : float32 (P, T), what each asks for; zeros, or None altogether, where nothing is asked.
        generator : of the intent tower's dropout; None to drop nothing.
        """
        hidden: Tensor = self.first_user(users)
        if texts is None:
            return users, hidden
        asked = texts.any(dim=1).nonzero().squeeze(1)  # the others' intent is zero, and most are others
        intent = self.intent(texts[asked], generator)
        return (
            users.index_add(0, asked, intent * self.fuse_intent),
            hidden.index_add(0, asked, self.first_intent(intent)),
        )

    def users_along(
        self,
        users: Tensor,
        items: Tensor,
        times: Tensor,
        weights: Tensor,
        at: Tensor,
        generator: torch.Generator | None,
        factors: Tensor | None = None,
    ) -> Tensor:
        """Return the user vector after each event of some windows, float32 (P, D), for training.

        Parameters
        ----------
        users : int64 (B,), rows, -1 if unknown.
        items, times, weights : (B, L), item rows (0 as padding), milliseconds, 0..1; padded at the end.
        at : int64 (P,), where each event stands among the B * L places of the windows.
        generator : of the dropout; None to drop nothing.
        factors : float32 (R, D), the vectors that ``items`` are rows of; those of all items if None.
        """
        rows = items.reshape(-1).index_select(0, at)
        vectors = functional.embedding(rows, self.item_factors if factors is None else factors)
        known: Tensor = self.tower(vectors, at, times, weights, generator)
        owners = at.div(items.shape[1], rounding_mode="floor")
        together = known + functional.embedding(owners, self.identity(users, generator))
        return dropped(together, self.config.dropout, generator)

    def users_now(self, users: Tensor, items: Tensor, times: Tensor, weights: Tensor, lengths: Tensor) -> Tensor:
        """Return the user vectors after whole histories, float32 (B, D), for ranking.

        Parameters are as in :meth:`users_along`; ``lengths`` int64 (B,) counts each history's items.
        """
        vectors = functional.embedding(items, self.item_factors)
        return self.tower.last(vectors, times, weights, lengths) + self.identity(users)

    def pair_logits(
        self,
        users: Tensor,
        side: ItemSide,
        rows: Tensor,
        texts: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the logit of each user vector with each of its items, evidence left out: float32 (P, C).

        Parameters
        ----------
        users : float32 (P, D), user vectors.
        side : from :meth:`item_side`.
        rows : int64 (P, C), item rows.
        texts, generator : as in :meth:`asking`.
        """
        vectors, hidden_users = self.asking(users, texts, generator)
        gmf = pair_dots(vectors * self.fuse_gmf, side.factors, rows)
        flat = rows.reshape(-1)
        hidden = side.hidden.index_select(0, flat).view(*rows.shape, -1)  # (P, C, H1)
        first = functional.relu(hidden + hidden_users.unsqueeze(1))
        second = functional.relu(self.second(first))
        logits: Tensor = gmf + second @ self.fuse_mlp + side.bias.index_select(0, flat).view(rows.shape)
        return logits

    def grow(
        self,
        n_users: int,
        item_genres: NDArray[np.float32],
        generator: torch.Generator,
        together: Any = None,
    ) -> None:
        """Add rows for new users and items; what is there stays exactly as it is.

        A new user starts at zero. A new item starts at the mean of the old items weighted by the genres they share
        (Jaccard), or of all items if it shares none, plus small noise. Where items that occurred beside it are known,
        their weighted mean counts as much as that of the genres.

        Parameters
        ----------
        n_users : users to have afterwards.
        item_genres : float32 (N + new, G + new), the genres of all items; old rows and columns first.
        generator : of the noise.
        together : sparse float32 (N + new, N + new), how often two items occurred side by side.

        Raises
        ------
        ValueError
            If a table would shrink or an old item's genres would move.
        """
        old_items, old_genres = self.item_genres.shape
        if n_users < self.n_users or item_genres.shape[0] < old_items or item_genres.shape[1] < old_genres:
            raise ValueError(
                f"NeuMF.grow: tables of {self.n_users} users and {(old_items, old_genres)} items by genres "
                f"never shrink, got {n_users!r} users and {item_genres.shape!r}"
            )
        genres = torch.tensor(item_genres, dtype=torch.float32)
        noise = GROWTH_NOISE if old_items else SPREAD
        with torch.no_grad():
            self._extend("user_factors", torch.zeros(n_users - self.n_users, self.config.factors))
            starts = self._starts(genres, together)
            for name in ("item_factors", "item_mlp_factors"):
                self._extend(name, starts[name] + noise * torch.randn(starts[name].shape, generator=generator))
            self._extend("item_bias", starts["item_bias"])
            added = (genres.shape[1] - old_genres, self.config.genre_factors)
            self._extend("genre_factors", SPREAD * torch.randn(added, generator=generator))
        self.item_genres = genres
        if len(genres) > old_items:
            self.evidence.grow(len(genres))
            self.taste.grow(len(genres))
        if (width := width_for(len(genres), self.config.neighbours)) < self.config.neighbours:
            self.config = replace(self.config, neighbours=width)
            self.evidence.narrow(width)
        self._leave_out()

    def _starts(self, genres: Tensor, together: Any) -> dict[str, Tensor]:
        """Return the first rows of new items in each item table, by its name."""
        n_old = self.n_items
        padded = functional.pad(genres[n_old:], (0, 1))  # torch finds nothing unique among rows without columns
        kinds, kind = torch.unique(padded, dim=0, return_inverse=True)  # catalogues have few sets of genres
        alike = [_alike(some, genres[:n_old]) for some in kinds[:, :-1].split(NEW_ITEMS_PER_BLOCK)]
        beside = None if together is None else sparse.csr_matrix(together[n_old:, :n_old])
        starts = {}
        for name in ITEM_TABLES:
            table = getattr(self, name)
            starts[name] = torch.cat([table[:0], *(weights @ table for weights in alike)])[kind]
            if beside is not None:
                starts[name] = _mixed(starts[name], table, beside)
        return starts

    def _extend(self, name: str, rows: Tensor) -> None:
        if not len(rows):
            return  # to add nothing to a large table is to copy it
        setattr(self, name, nn.Parameter(torch.cat([getattr(self, name).detach(), rows])))

    @torch.no_grad()
    def _leave_out(self) -> None:
        """Set the parts that the configuration leaves out to zero, and keep them there."""
        outlets: dict[str, list[Tensor]] = {
            "identity": [self.user_factors],
            "history": [self.tower.after.weight, self.tower.after.bias],
            "gmf": [self.fuse_gmf],
            "mlp": [self.fuse_mlp],
            "genres": [self.genre_factors],
            "intent": [self.first_intent.weight, self.fuse_intent],
            "evidence": [self.evidence.weights],
        }
        for part in outlets.keys() - set(self.config.parts):
            for weight in outlets[part]:
                weight.zero_().requires_grad_(False)

    @torch.no_grad()
    def _start(self, generator: torch.Generator) -> None:
        for table in (self.item_factors, self.item_mlp_factors, self.genre_factors):
            table.normal_(0.0, SPREAD, generator=generator)
        self.fuse_mlp.normal_(0.0, len(self.fuse_mlp) ** -0.5, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.zero_()


def _mixed(starts: Tensor, table: Tensor, together: Any) -> Tensor:
    """Return the mean of the starts and of the old rows beside each new item, of the starts alone where there are none.

    starts : float32 (new, ...).   table : float32 (old, ...).   together : sparse float32 (new, old).
    """
    total = np.asarray(together.sum(axis=1)).reshape(-1)
    known = np.flatnonzero(total > 0.0)
    beside = together[known] @ table.numpy() / total[known].reshape(-1, *[1] * (table.dim() - 1))
    mixed = starts.clone()
    mixed[torch.from_numpy(known)] = (
        starts[torch.from_numpy(known)] + torch.from_numpy(beside.astype(np.float32))
    ) / 2.0
    return mixed


def _alike(new: Tensor, old: Tensor) -> Tensor:
    """Return float32 (new, old): Jaccard similarity of genres, each row scaled to sum to one."""
    shared = new @ old.T
    either = new.sum(dim=1, keepdim=True) + old.sum(dim=1) - shared
    weight = shared / either.clamp(min=1.0)
    weight = torch.where(weight.sum(dim=1, keepdim=True) > 0, weight, torch.ones_like(weight))
    return weight / weight.sum(dim=1, keepdim=True).clamp(min=1.0e-12)
