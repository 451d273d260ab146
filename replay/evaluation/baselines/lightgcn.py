"""LightGCN [1]_: vectors of users and items smoothed over the graph of who touched what, trained for retrieval.

A node's final vector is the mean of its own and of those that 1 to ``layers`` steps of normalised propagation give,
``e <- D^-1/2 A D^-1/2 e``; there is nothing else to learn. The whole propagation is one symmetric linear map, so its
gradient is the map itself: a step propagates, takes the loss of a batch on the final vectors, and propagates the
gradient back.

Departs from [1]_ in the loss: instead of pairs (BPR), the items of a user are told from all others by a softmax over
the catalogue [2]_, for a batch of users at once. It is two matrix products, and converges in tens of passes instead
of hundreds.

References
----------
.. [1] He et al., "LightGCN: simplifying and powering graph convolution network for recommendation", SIGIR 2020.
.. [2] Liang et al., "Variational autoencoders for collaborative filtering", WWW 2018, equation 2 (the multinomial
   likelihood of a history).
"""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import block_array, csr_array, diags_array
from torch import Tensor
from torch.nn import functional

from replay.evaluation.baselines.matrix import interactions
from replay.evaluation.scorers import FactorScorer
from replay.evaluation.split import Split

__all__ = ["LightGCN", "normalised", "propagated"]

SPREAD = 0.1  # standard deviation of the first vectors


@dataclass(frozen=True, slots=True)
class LightGCN:
    """Its constants.

    Parameters
    ----------
    factors : width of the vectors.
    layers : steps of propagation.
    epochs : passes over the users.
    batch : users in a step; its scores are batch times items.
    temperature : by which cosines are divided before the softmax.
    learning_rate : of Adam.
    """

    is_random: ClassVar[bool] = True
    factors: int = 64
    layers: int = 2
    epochs: int = 30
    batch: int = 1024
    temperature: float = 0.15
    learning_rate: float = 0.02

    def fit(self, split: Split, generator: np.random.Generator) -> FactorScorer:
        """Train; users and items share one table, users first."""
        touched = interactions(split)
        n_users = touched.shape[0]
        graph = normalised(touched)
        first = torch.from_numpy(generator.normal(0.0, SPREAD, (sum(touched.shape), self.factors)).astype(np.float32))
        optimiser = torch.optim.Adam([first.requires_grad_()], lr=self.learning_rate, fused=True)
        for _ in range(self.epochs):
            order = generator.permutation(n_users)
            for start in range(0, n_users, self.batch):
                chosen = order[start : start + self.batch]
                final = propagated(graph, first.detach(), self.layers).requires_grad_()
                loss = self._loss(final[torch.from_numpy(chosen)], final[n_users:], touched[chosen])
                (gradient,) = torch.autograd.grad(loss, final)
                first.grad = propagated(graph, gradient, self.layers)
                optimiser.step()
        vectors = functional.normalize(propagated(graph, first.detach(), self.layers)).numpy()
        return FactorScorer(vectors[split.users], vectors[n_users:])

    def _loss(self, users: Tensor, items: Tensor, touched: csr_array) -> Tensor:
        """Return the mean over the events of a batch of -log softmax over all items.

        users : float32 (B, D).   items : float32 (N, D).   touched : (B, N).
        """
        scores = functional.normalize(users) @ functional.normalize(items).T / self.temperature  # (B, N)
        rows, columns = (torch.from_numpy(places.astype(np.int64)) for places in touched.nonzero())
        counts = torch.bincount(rows, minlength=len(users))
        total = (torch.logsumexp(scores, dim=1) * counts).sum() - scores[rows, columns].sum()
        return total / max(1, len(rows))


def propagated(graph: Tensor, vectors: Tensor, layers: int) -> Tensor:
    """Return the mean of vectors over 0 to ``layers`` steps along a graph: float32 (users + items, D)."""
    total = vectors.clone()
    for _ in range(layers):
        vectors = graph @ vectors
        total += vectors
    return total / (1 + layers)


def normalised(touched: csr_array) -> Tensor:
    """Return the normalised adjacency of users and items: sparse float32 (users + items, users + items)."""
    adjacency = block_array([[None, touched], [touched.T, None]], format="csr")
    scale = diags_array(1.0 / np.sqrt(np.maximum(adjacency.sum(axis=1), 1.0)))
    scaled = (scale @ adjacency @ scale).tocsr().astype(np.float32)
    rows, columns, values = (torch.from_numpy(part) for part in (scaled.indptr, scaled.indices, scaled.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # all that is used of it is a product
        return torch.sparse_csr_tensor(rows.long(), columns.long(), values, size=scaled.shape, check_invariants=True)
