"""The gradient of the plain NeuMF [1]_ without autograd: what makes its training fast on a CPU.

The formulas are those of :mod:`model.plain.numpy_network`; what differs is which products are never formed.

- The first layer of the MLP is linear in ``[user | item]``: it is applied to each item once and to each user of the
  batch once, and the halves are looked up and added.
- The gradient of a GMF vector is a sum of other vectors, each times one number. It is taken as a weighted bag of
  look-ups, so the (P, F) matrix of single gradients is never written.
- A batch's pairs are put in the order of their items once. Gradients of the item side are then sums of neighbours,
  where autograd scatters row by row.

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, section 3.4.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.plain.network import PlainNeuMF
from model.vocabulary import Rows

__all__ = ["loss_and_gradients"]

MAX_NARROW_ITEMS = 2**16  # numpy sorts 16-bit numbers by radix, ten times faster than wider ones


@dataclass(frozen=True, slots=True)
class _Batch:
    """The rows of a batch, and its pairs in the order of their items.

    Parameters
    ----------
    users : int64 (B,).
    items : int64 (P,), of each pair, C to a user.
    width : C.
    order, owners : int64 (P,), pairs by item, and which line of the batch each is in.
    starts : int64 (N,), where each item's pairs begin in that order.
    """

    users: Tensor
    items: Tensor
    width: int
    order: Tensor
    owners: Tensor
    starts: Tensor

    @classmethod
    def of(cls, users: Rows, items: Rows, n_items: int) -> "_Batch":
        flat = items.reshape(-1)
        order = np.argsort(flat.astype(np.uint16) if n_items <= MAX_NARROW_ITEMS else flat, kind="stable")
        counts = np.bincount(flat, minlength=n_items)
        width = items.shape[1]
        columns = (users, flat, order, order // width, np.cumsum(counts) - counts)
        user_rows, item_rows, ordered, owners, starts = map(torch.from_numpy, columns)
        return cls(user_rows, item_rows, width, ordered, owners, starts)


@torch.no_grad()
def loss_and_gradients(network: PlainNeuMF, users: Rows, items: Rows) -> float:
    """Return the mean binary cross-entropy of a batch and leave its gradient in each parameter's ``grad``.

    Parameters
    ----------
    network : its weights are read; gradients that it holds are replaced, not added to.
    users : int64 (B,), rows.
    items : int64 (B, C), rows; the first of each line is the positive, the others are negatives.
    """
    batch = _Batch.of(users, items, len(network.gmf_item))
    p, a = network.gmf_user.index_select(0, batch.users), network.mlp_user.index_select(0, batch.users)
    inputs = _layers(network, batch, a)
    head, tail = _fusion(network)
    # s = h_g . (p * q) + h_x . x_K + h_0
    gmf = functional.embedding(batch.items, network.gmf_item).view(len(p), batch.width, -1).mul_(p.unsqueeze(1))
    logits = gmf.view(len(batch.items), -1).mv(head).add_(inputs[-1].mv(tail)).add_(network.fuse.bias)
    # L = mean(log(1 + e^s) - y s), ds = (sigmoid(s) - y) / P
    positive = logits[:: batch.width]
    loss = float((functional.softplus(logits).sum() - positive.sum()) / len(logits))
    slope = logits.sigmoid_()
    positive -= 1.0
    slope /= len(slope)
    _back_through_gmf(network, batch, p, slope, inputs[-1])
    _back_through_layers(network, batch, a, inputs, torch.outer(slope, tail))
    return loss


def _layers(network: PlainNeuMF, batch: _Batch, a: Tensor) -> list[Tensor]:
    """Return the output of each layer, (P, H_k): x_1 = relu(W_u a + W_i b + c), x_k = relu(W_k x_(k-1) + c_k)."""
    half = a.shape[1]
    first, *others = _linear(network)
    from_user = functional.linear(a, first.weight[:, :half], first.bias)  # (B, H1)
    from_item = functional.linear(network.mlp_item, first.weight[:, half:])  # (N, H1)
    x = functional.embedding(batch.items, from_item).view(len(a), batch.width, -1)
    outputs = [x.add_(from_user.unsqueeze(1)).relu_().view(len(batch.items), -1)]
    for layer in others:
        outputs.append(functional.linear(outputs[-1], layer.weight, layer.bias).relu_())
    return outputs


def _back_through_gmf(network: PlainNeuMF, batch: _Batch, p: Tensor, slope: Tensor, last: Tensor) -> None:
    """Set the gradients of fusion and GMF: with t the sum of ds q over a line, dh_g = sum p * t and dp = h_g * t."""
    head, _ = _fusion(network)
    lines = torch.arange(0, len(slope), batch.width)
    t = _bags(network.gmf_item, batch.items, lines, slope)  # (B, F)
    network.fuse.weight.grad = torch.cat([(p * t).sum(0), last.T.mv(slope)]).unsqueeze(0)
    network.fuse.bias.grad = slope.sum().unsqueeze(0)
    _scatter(network.gmf_user, batch.users, t * head)
    weights = slope.index_select(0, batch.order)
    network.gmf_item.grad = _bags(p * head, batch.owners, batch.starts, weights)  # dq = sum ds (h_g * p)


def _back_through_layers(network: PlainNeuMF, batch: _Batch, a: Tensor, outputs: list[Tensor], dx: Tensor) -> None:
    """Set the gradients of the MLP and its tables.

    dz_k = dx_k where x_k > 0, dW_k = dz_k^T x_(k-1), dc_k = sum dz_k, dx_(k-1) = dz_k W_k; the first layer's are taken
    from the sums of dz_1 over each user's pairs and each item's.
    """
    first, *others = _linear(network)
    for k in range(len(others), 0, -1):
        dz = torch.ops.aten.threshold_backward(dx, outputs[k], 0)
        others[k - 1].weight.grad = dz.T @ outputs[k - 1]
        others[k - 1].bias.grad = dz.sum(0)
        dx = dz @ others[k - 1].weight
    dz = torch.ops.aten.threshold_backward(dx, outputs[0], 0)
    pairs = torch.arange(len(dz))
    at_user = _bags(dz, pairs, pairs[:: batch.width].contiguous())  # (B, H1)
    at_item = _bags(dz, batch.order, batch.starts)  # (N, H1)
    half = a.shape[1]
    first.weight.grad = torch.cat([at_user.T @ a, at_item.T @ network.mlp_item], dim=1)
    first.bias.grad = at_user.sum(0)
    _scatter(network.mlp_user, batch.users, at_user @ first.weight[:, :half])
    network.mlp_item.grad = at_item @ first.weight[:, half:]


def _fusion(network: PlainNeuMF) -> tuple[Tensor, Tensor]:
    """Return the fusion's weights over GMF and over the MLP: (F,), (H_K,)."""
    weights, factors = network.fuse.weight[0], network.config.factors
    return weights[:factors], weights[factors:]


def _linear(network: PlainNeuMF) -> list[nn.Linear]:
    return [layer for layer in network.layers if isinstance(layer, nn.Linear)]


def _bags(table: Tensor, rows: Tensor, starts: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return, for each bag of rows from its start to the next one's, their sum, each times its weight."""
    return torch.embedding_bag(table, rows, starts, per_sample_weights=weights)[0]


def _scatter(table: nn.Parameter, rows: Tensor, parts: Tensor) -> None:
    """Set a table's gradient to the sum of the parts of each row; the memory of the last one is used again."""
    if table.grad is None:
        table.grad = torch.zeros_like(table)
    table.grad.zero_().index_add_(0, rows, parts)
