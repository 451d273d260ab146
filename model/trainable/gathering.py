"""Reading rows of tables by index, with gradients that cost no more than the reading.

What torch derives by itself keeps all gathered rows, multiplies them again for the gradient and adds them up one by
one: most of a training step. Here nothing is kept but the indices. The gradient of a table is a weighted sum of the
vectors that met each row, and every such sum is one ``embedding_bag``.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["bucket_values", "pair_dots"]


def pair_dots(vectors: Tensor, table: Tensor, rows: Tensor) -> Tensor:
    """Return the products of each vector with rows of a table: float32 (P, C).

    Parameters
    ----------
    vectors : float32 (P, D).
    table : float32 (N, D).
    rows : int64 (P, C), of the table.
    """
    found: Tensor = _PairDots.apply(vectors.contiguous(), table.contiguous(), rows)  # type: ignore[no-untyped-call]
    return found


def bucket_values(table: Tensor, buckets: Tensor) -> Tensor:
    """Return the values of a small table, float32 (K, H), at each bucket: float32 (H, *shape of the buckets).

    buckets : int64, 0..K - 1.
    """
    found: Tensor = _BucketValues.apply(table, buckets)  # type: ignore[no-untyped-call]
    return found


class _PairDots(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(vectors, table, rows)
        n, width = rows.shape
        begins = torch.arange(0, n * width, width, device=rows.device)
        owners = torch.arange(n, device=rows.device).repeat_interleave(width)
        # the gradient of the weights of a bag's members is just this product, and no row is copied for it
        dots = torch.ops.aten._embedding_bag_per_sample_weights_backward  # noqa: SLF001
        return dots(vectors, table, rows.reshape(-1), begins, owners, 0, -1).view(n, width)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        vectors, table, rows = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        of_vectors = functional.embedding_bag(rows, table, mode="sum", per_sample_weights=gradient)
        flat = rows.reshape(-1)
        order = torch.argsort(flat)
        counts = torch.bincount(flat, minlength=len(table))
        of_table = functional.embedding_bag(
            order // rows.shape[1],
            vectors,
            counts.cumsum(0) - counts,
            mode="sum",
            per_sample_weights=gradient.view(-1)[order],
        )
        return of_vectors, of_table, None


class _BucketValues(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, buckets: Tensor) -> Tensor:
        ctx.save_for_backward(buckets)
        ctx.size = table.shape[0]
        return torch.stack([column.contiguous().take(buckets) for column in table.unbind(1)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (buckets,) = ctx.saved_tensors
        flat = buckets.reshape(-1)
        summed = [torch.bincount(flat, one.reshape(-1), minlength=ctx.size) for one in gradients[0].unbind(0)]
        return torch.stack(summed, dim=1), None
