"""The history tower: the latest interactions of a user, in order and in time, become one vector.

Causal self-attention [1]_ whose attention logits carry a learned bias for the distance in steps and for
the distance in time [2]_, so that recency counts and the vector moves with each event without a gradient
step. There are no absolute positions: a window cut from the middle of a history reads like a history.
Windows are aligned at their oldest event and padded at the end, which causality makes invisible. A fifth of the places
or more is padding, so all but the attention is computed of events alone, one behind the other.

References
----------
.. [1] Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018.
.. [2] Zhai et al., "Actions speak louder than words", ICML 2024 (relative position and time bias).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.network.shape import GAP_BUCKETS
from model.network.tower import EXPONENT_BIAS, EXPONENT_BITS
from model.trainable.gathering import bucket_values

__all__ = ["AttentionBlock", "HistoryTower", "dropped", "gap_bucket", "head_places", "unset_embedding", "unset_linear"]

PARTS_OF_ONE = 2**16


def dropped(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Set a share of ``x`` to zero and scale the rest up; without a generator return ``x`` itself.

    The share is ``rate`` to the nearest of 65,536 parts: four numbers come from one draw of 64 bits, in a third of the
    time of a draw each.
    """
    lost = min(round(PARTS_OF_ONE * rate), PARTS_OF_ONE - 1)
    if generator is None or lost == 0:
        return x
    drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
    drawn.random_(-(2**63), None, generator=generator)
    parts = drawn.view(torch.int16)[: x.numel()].view_as(x)
    kept = parts.ge_(lost - PARTS_OF_ONE // 2).to(x.dtype)  # truth values would be converted five times slower
    return x * kept.mul_(PARTS_OF_ONE / (PARTS_OF_ONE - lost))


def gap_bucket(gaps_ms: Tensor) -> Tensor:
    """Return the power of two of each time gap: int64, 0 below one second, at most ``GAP_BUCKETS`` - 1."""
    seconds = gaps_ms.to(torch.float32).div_(1000.0).clamp_(min=0.0).add_(1.0)
    exponents = (seconds.view(torch.int32) >> EXPONENT_BITS) - EXPONENT_BIAS  # as serving reads them: to the bit
    return exponents.to(torch.int64).clamp_(max=GAP_BUCKETS - 1)


def head_places(at: Tensor, length: int, heads: int) -> Tensor:
    """Return where the heads of events stand among those of all places, (B, H, L) in one row: int64 (P * H,).

    at : int64 (P,), where each event stands among the B * L places of the windows.
    """
    windows = at.div(length, rounding_mode="floor")
    first = at + windows * (heads - 1) * length
    return (first.unsqueeze(1) + length * torch.arange(heads, device=at.device)).view(-1)


def _buckets(times: Tensor) -> Tensor:
    """Return the bucket of the gap before each time, int64 (B, L)."""
    return gap_bucket(torch.diff(times, dim=1, prepend=times[:, :1]))


class _UnsetLinear(nn.Linear):
    """Skips the drawing; ``torch.nn.utils.skip_init`` does too, but imports the compiler for seconds."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


def unset_linear(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear layer with unset weights, for torch would draw them from its global generator."""
    return _UnsetLinear(n_in, n_out, bias=bias)


def unset_embedding(n: int, width: int) -> nn.Embedding:
    """Return a table with unset rows, for the same reason."""
    return nn.Embedding(n, width, _weight=torch.empty(n, width))


class AttentionBlock(nn.Module):
    """Pre-norm attention and feed-forward, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.query = unset_linear(width, width)
        self.key_value = unset_linear(width, 2 * width)
        self.output = unset_linear(width, width)
        self.before_mixing = nn.LayerNorm(width)
        self.widen = unset_linear(width, 2 * width)
        self.narrow = unset_linear(2 * width, width)

    def forward(
        self, x: Tensor, places: Tensor, bias: Tensor, dropout: float, generator: torch.Generator | None
    ) -> Tensor:
        """Return the new vectors of all events, float32 (P, D); what is no event is there in the attention alone.

        Parameters
        ----------
        x : float32 (P, D).
        places : int64 (P * H,), from :func:`head_places`.
        bias : float32 (B, H, L, L).
        dropout, generator : as in :func:`dropped`.
        """
        windows, heads, length, _ = bias.shape
        reading = self.query, self.key_value  # what reads the same is one product
        weights, biases = (torch.cat(two) for two in zip(*((one.weight, one.bias) for one in reading), strict=True))
        made = functional.linear(self.before_attention(x), weights, biases)  # (P, 3 * D)
        size, rows = x.shape[1] // heads, windows * heads * length
        of_all = (places.view(-1, 1, heads) + rows * torch.arange(3, device=places.device).view(-1, 1)).view(-1)
        padded = made.new_zeros(3 * rows, size).index_add_(0, of_all, made.view(-1, size))
        query, key, value = padded.view(3, -1, length, size).unbind()  # (B * H, L, D / H)
        alike = torch.baddbmm(bias.flatten(0, 1), query, key.transpose(1, 2), alpha=size**-0.5)  # (B * H, L, L)
        met = torch.bmm(torch.softmax(alike, dim=2), value)  # (B * H, L, D / H)
        joined = met.view(-1, size).index_select(0, places).view(x.shape)
        return self._mixed(x + dropped(self.output(joined), dropout, generator), dropout, generator)

    def at(self, x: Tensor, place: Tensor, bias: Tensor) -> Tensor:
        """Return the new vector of one position of each row, float32 (B, D), without computing keys and values of all.

        With one query q a head needs no keys W x: q . W x = W^T q . x, and what the key's bias adds is the same for all
        positions. Nor does it need values: the mean of V x is V times the mean of x.

        Parameters
        ----------
        x : float32 (B, L, D).
        place : int64 (B,).
        bias : float32 (B, H, L), of that position alone.
        """
        seen = self.before_attention(x)
        row, width = torch.arange(len(x), device=x.device), x.shape[2]
        split = (self.heads, width // self.heads, width)
        to_key, to_value = (weight.view(split) for weight in self.key_value.weight.chunk(2))  # (H, D / H, D)
        query = self.query(seen[row, place]).view(len(x), *split[:2]).transpose(0, 1)  # (H, B, D / H)
        looking = torch.bmm(query, to_key).transpose(0, 1)  # (B, H, D)
        alike = torch.bmm(looking, seen.transpose(1, 2)) / split[1] ** 0.5  # (B, H, L)
        met = torch.bmm(torch.softmax(alike + bias, dim=2), seen)  # (B, H, D)
        values = torch.bmm(met.transpose(0, 1), to_value.transpose(1, 2))  # (H, B, D / H)
        joined = values.transpose(0, 1).flatten(1) + self.key_value.bias[width:]
        return self._mixed(x[row, place] + self.output(joined), 0.0, None)

    def _mixed(self, x: Tensor, dropout: float, generator: torch.Generator | None) -> Tensor:
        return x + dropped(self.narrow(functional.relu(self.widen(self.before_mixing(x)))), dropout, generator)


class HistoryTower(nn.Module):
    """Read histories of up to ``length`` items.

    Linear and embedding weights are left unset; whoever owns the tower sets or loads them.

    Parameters
    ----------
    width : D, the width of item vectors and of the result.
    length : longest history, in items.
    blocks, heads : depth, and attention heads per block; ``heads`` divides ``width``.
    dropout : share of activations dropped while training.
    """

    def __init__(self, width: int, length: int, blocks: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.gap_input = unset_embedding(GAP_BUCKETS, width)
        self.weight_input = nn.Parameter(torch.zeros(width))
        self.lag_bias = nn.Parameter(torch.zeros(blocks * heads, length))
        self.gap_bias = unset_embedding(GAP_BUCKETS, blocks * heads)
        self.blocks = nn.ModuleList(AttentionBlock(width, heads) for _ in range(blocks))
        self.after = nn.LayerNorm(width)

    def forward(
        self, vectors: Tensor, at: Tensor, times: Tensor, weights: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return what is known after each event: float32 (P, D).

        Parameters
        ----------
        vectors : float32 (P, D), the items' vectors.
        at : int64 (P,), where each event stands among the B * L places of the windows; the others are padding.
        times : int64 (B, L), milliseconds, oldest first, padded at the end.
        weights : float32 (B, L), how much each interaction counts, 0..1.
        generator : of the dropout; None to drop nothing.
        """
        buckets, counted = (one.reshape(-1).index_select(0, at) for one in (_buckets(times), weights))
        x = dropped(self._inputs(vectors, buckets, counted), self.dropout, generator)
        places = head_places(at, times.shape[1], self.heads)
        for block, bias in zip(self.blocks, self._biases(times), strict=True):
            x = block(x, places, bias, self.dropout, generator)
        return self.after(x)  # type: ignore[no-any-return]

    def last(self, vectors: Tensor, times: Tensor, weights: Tensor, lengths: Tensor) -> Tensor:
        """Return what is known after the last item of each row: float32 (B, D), zeros where there is none.

        Equal to what ``forward(...)`` tells of event ``lengths - 1``; the last block computes that one only.

        vectors : float32 (B, L, D), padded at the end with anything finite.
        """
        x = self._inputs(vectors, _buckets(times), weights)
        if len(self.blocks) > 1:
            places = head_places(torch.arange(times.numel(), device=times.device), times.shape[1], self.heads)
            for block, bias in zip(self.blocks[:-1], self._biases(times), strict=False):
                x = block(x.flatten(0, 1), places, bias, 0.0, None).view(x.shape)
        final, end = self.blocks[-1], (lengths - 1).clamp(min=0)
        assert isinstance(final, AttentionBlock)
        known: Tensor = self.after(final.at(x, end, self._last_bias(times, end)))
        return known * (lengths > 0).unsqueeze(1)

    def _inputs(self, vectors: Tensor, buckets: Tensor, weights: Tensor) -> Tensor:
        inputs: Tensor = vectors + self.gap_input(buckets) + weights.unsqueeze(-1) * self.weight_input
        return inputs

    def _biases(self, times: Tensor) -> Sequence[Tensor]:
        """Return per block the additive attention bias (B, H, L, L): recency in steps and in time, causal."""
        steps = torch.arange(times.shape[1], device=times.device)
        lag = steps[:, None] - steps[None, :]  # (L, L), how far the key lies back
        by_lag = self.lag_bias[:, lag.clamp(min=0)].masked_fill(lag < 0, float("-inf"))
        buckets = gap_bucket(times[:, :, None] - times[:, None, :])  # (B, L, L)
        by_gap = bucket_values(self.gap_bias.weight, buckets).transpose(0, 1)
        together = by_gap + by_lag  # (B, blocks * H, L, L)
        return torch.split(together, self.heads, dim=1)

    def _last_bias(self, times: Tensor, end: Tensor) -> Tensor:
        """Return the last block's bias of position ``end`` (B,) alone: float32 (B, H, L)."""
        lag = end.unsqueeze(1) - torch.arange(times.shape[1], device=end.device)  # (B, L)
        by_lag = self.lag_bias[-self.heads :, lag.clamp(min=0)].masked_fill(lag < 0, float("-inf"))  # (H, B, L)
        gaps = times.gather(1, end.unsqueeze(1)) - times
        by_gap = functional.embedding(gap_bucket(gaps), self.gap_bias.weight[:, -self.heads :])  # (B, L, H)
        return by_gap.permute(0, 2, 1) + by_lag.transpose(0, 1)
