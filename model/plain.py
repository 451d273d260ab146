"""The NeuMF of the paper [1]_, and nothing more: what ours is compared with.

Two embeddings each of user and item, one pair for GMF and one for the MLP; a tower of ReLU layers; one linear layer
over both. No history, no genres, no biases of items. It serves nobody: it knows neither new users nor new items.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 3.4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.tower import unset_linear

__all__ = ["PlainConfig", "PlainNeuMF"]

SPREAD = 0.01  # standard deviation of fresh vectors, as in the authors' code


@dataclass(frozen=True, slots=True)
class PlainConfig:
    """The shape of the network.

    Parameters
    ----------
    factors : width of the GMF vectors.
    layers : widths of the MLP from its input on, which is a user and an item vector of half its width each.
    """

    factors: int = 8
    layers: tuple[int, ...] = (64, 32, 16, 8)

    def __post_init__(self) -> None:
        if len(self.layers) < 2 or min(self.factors, *self.layers) < 1 or self.layers[0] % 2:  # noqa: PLR2004
            raise ValueError(f"PlainConfig: two positive widths or more are required, the first even, got {self!r}")


class PlainNeuMF(nn.Module):
    """The network over fixed tables of users and items.

    Parameters
    ----------
    config : its shape.
    n_users, n_items : rows of the tables.
    generator : of the first weights.
    """

    def __init__(self, config: PlainConfig, n_users: int, n_items: int, generator: torch.Generator) -> None:
        super().__init__()
        half = config.layers[0] // 2
        self.config = config
        self.gmf_user = _table(n_users, config.factors, generator)
        self.gmf_item = _table(n_items, config.factors, generator)
        self.mlp_user = _table(n_users, half, generator)
        self.mlp_item = _table(n_items, half, generator)
        widths = zip(config.layers, config.layers[1:], strict=False)
        self.layers = nn.ModuleList(unset_linear(n_in, n_out) for n_in, n_out in widths)
        self.fuse = unset_linear(config.factors + config.layers[-1], 1)
        for layer in (*self.layers, self.fuse):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logit of each user with each of its items: float (P, C).

        users : int64 (P,), rows.   items : int64 (P, C), rows.

        The first layer of the MLP is linear in ``[user | item]``, so it is applied to the two tables and its halves are
        looked up: the same function, and far fewer products where a batch is larger than the tables.
        """
        half = self.config.layers[0] // 2
        first: nn.Linear = self.layers[0]  # type: ignore[assignment]
        from_user = functional.linear(self.mlp_user, first.weight[:, :half], first.bias)  # (U, H1)
        from_item = functional.linear(self.mlp_item, first.weight[:, half:])  # (N, H1)
        user_side = functional.embedding(users, torch.cat([self.gmf_user, from_user], dim=1)).unsqueeze(1)
        item_side = functional.embedding(items, torch.cat([self.gmf_item, from_item], dim=1))
        n = self.config.factors
        gmf = user_side[..., :n] * item_side[..., :n]
        x = functional.relu(user_side[..., n:] + item_side[..., n:])
        for layer in self.layers[1:]:
            x = functional.relu(layer(x))
        logits: Tensor = self.fuse(torch.cat([gmf, x], dim=2)).squeeze(2)
        return logits


def _table(n: int, width: int, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(torch.randn(n, width, generator=generator) * SPREAD)
