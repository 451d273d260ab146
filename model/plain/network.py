"""The NeuMF of the paper [1]_, and nothing more: what ours is compared with.

Two embeddings each of user and item, one pair for GMF and one for the MLP; a tower of ReLU layers; one linear layer
over both. No history, no genres, no biases of items. It serves nobody: it knows neither new users nor new items.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 3.4.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.trainable.history_tower import unset_linear

__all__ = ["PlainConfig", "PlainNeuMF"]

USERS_PER_BLOCK = 32  # that are scored at once: the layers' outputs take 16 MB on 3,706 items
SPREAD = 0.01  # standard deviation of fresh vectors, as in the authors' code


@dataclass(frozen=True, slots=True)
class PlainConfig:
    """The shape of the network.

    Parameters
    ----------
    factors : width of the GMF vectors; the widest that the paper tried. 8 cost about 0.04 of HR@10, see
        docs/explanation/model.md.
    layers : widths of the MLP from its input on, which is a user and an item vector of half its width each; those of
        the authors' code.
    """

    factors: int = 64
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
    generator : of the first weights; None leaves them unset, for a state that is loaded next.
    """

    def __init__(self, config: PlainConfig, n_users: int, n_items: int, generator: torch.Generator | None) -> None:
        super().__init__()
        half = config.layers[0] // 2
        self.config = config
        self.gmf_user = nn.Parameter(torch.empty(n_users, config.factors))
        self.gmf_item = nn.Parameter(torch.empty(n_items, config.factors))
        self.mlp_user = nn.Parameter(torch.empty(n_users, half))
        self.mlp_item = nn.Parameter(torch.empty(n_items, half))
        widths = zip(config.layers, config.layers[1:], strict=False)
        self.layers = nn.ModuleList(unset_linear(n_in, n_out) for n_in, n_out in widths)
        self.fuse = unset_linear(config.factors + config.layers[-1], 1)
        if generator is not None:
            self._start(generator)

    @classmethod
    def restore(cls, weights: Mapping[str, Tensor]) -> "PlainNeuMF":
        """Return a network with these weights; their shapes are its configuration.

        weights : by name, as ``state_dict`` gives them and :mod:`model.plain.numpy_network` describes them.

        Raises
        ------
        ValueError
            If a weight is missing, left over or does not fit the others.
        """
        try:
            depth = sum(name.startswith("layers.") for name in weights) // 2
            widths = (len(weights[f"layers.{k}.weight"]) for k in range(depth))
            config = PlainConfig(weights["gmf_user"].shape[1], (2 * weights["mlp_user"].shape[1], *widths))
            with torch.device("meta"):
                network = cls(config, len(weights["gmf_user"]), len(weights["gmf_item"]), generator=None)
            network.load_state_dict({name: weight.clone() for name, weight in weights.items()}, assign=True)
        except (KeyError, IndexError, RuntimeError) as error:
            got = {name: tuple(weight.shape) for name, weight in weights.items()}
            raise ValueError(f"PlainNeuMF.restore: the weights of one network are required, got {got!r}") from error
        return network

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logit of each user with each of its items: float (P, C).

        users : int64 (P,), rows.   items : int64 (P, C), rows.

        The first layer of the MLP is linear in ``[user | item]``, so it is applied to the two tables and its halves are
        looked up: the same function, and far fewer products where a batch is larger than the tables.
        """
        from_user, from_item = self._first(self.mlp_user)
        user_side = functional.embedding(users, torch.cat([self.gmf_user, from_user], dim=1)).unsqueeze(1)
        item_side = functional.embedding(items, torch.cat([self.gmf_item, from_item], dim=1))
        n = self.config.factors
        gmf = user_side[..., :n] * item_side[..., :n]
        x = self._others(user_side[..., n:] + item_side[..., n:])
        logits: Tensor = self.fuse(torch.cat([gmf, x], dim=2)).squeeze(2)
        return logits

    @torch.no_grad()
    def scores(self, users: Tensor) -> Tensor:
        """Return the logit of each user with every item: (B, N).

        users : int64 (B,), rows.
        """
        n = self.config.factors
        head, tail = self.fuse.weight[0, :n], self.fuse.weight[0, n:]
        parts = []
        for few in users.split(USERS_PER_BLOCK):  # type: ignore[no-untyped-call]
            from_user, from_item = self._first(self.mlp_user[few])
            gmf = (self.gmf_user[few] * head) @ self.gmf_item.T
            parts.append(gmf + self._others(from_user.unsqueeze(1) + from_item) @ tail + self.fuse.bias)
        return torch.cat(parts)

    def _first(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parts of the first layer of users' MLP vectors, (B, H1), and of all items, (N, H1)."""
        half = self.config.layers[0] // 2
        first: nn.Linear = self.layers[0]  # type: ignore[assignment]
        from_user = functional.linear(users, first.weight[:, :half], first.bias)
        return from_user, functional.linear(self.mlp_item, first.weight[:, half:])

    def _others(self, x: Tensor) -> Tensor:
        """Return the output of the MLP, (..., H_K), where the first layer gave ``x``, (..., H1)."""
        x = functional.relu(x)
        for layer in self.layers[1:]:
            x = functional.relu(layer(x))
        return x

    @torch.no_grad()
    def _start(self, generator: torch.Generator) -> None:
        for table in (self.gmf_user, self.gmf_item, self.mlp_user, self.mlp_item):
            table.normal_(0.0, SPREAD, generator=generator)
        for layer in (*self.layers, self.fuse):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
