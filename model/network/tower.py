"""The history tower as it serves: what ``model.trainable.history_tower`` is trained to be, in NumPy.

It reads a whole history and says what is known after its last item. One query reads the last block, so that the block
needs neither keys nor values of the other positions, and the norm before it is never written out: a softmax does not
see what is added to all of its inputs alike.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.network.shape import GAP_BUCKETS, NeuMFConfig
from model.vocabulary import Rows

__all__ = ["EXPONENT_BIAS", "EXPONENT_BITS", "ServedTower", "served_gap_bucket"]

Array = NDArray[np.float32]
EPSILON = np.float32(1.0e-5)  # of a layer norm, as torch has it
LOWEST, LEAST = np.finfo(np.float32).min, np.finfo(np.float32).tiny
EXPONENT_BITS, EXPONENT_BIAS = 23, 127  # of a float of 32 bits: its exponent is the power of two below it, exactly


def served_gap_bucket(gaps_ms: Rows) -> Rows:
    """Return the power of two of each time gap: int64, 0 below one second, at most ``GAP_BUCKETS`` - 1."""
    seconds = np.maximum(gaps_ms.astype(np.float32) / np.float32(1000.0), np.float32(0.0)) + np.float32(1.0)
    exponents = (seconds.view(np.int32) >> EXPONENT_BITS) - EXPONENT_BIAS
    return np.asarray(np.minimum(exponents, GAP_BUCKETS - 1), dtype=np.int64)


class ServedTower:
    """Reads histories of up to ``config.history_length`` items.

    Parameters
    ----------
    config : the shape of the network.
    weights : of the whole version.
    """

    def __init__(self, config: NeuMFConfig, weights: Mapping[str, NDArray[Any]]) -> None:
        own = {name.removeprefix("tower."): weight for name, weight in weights.items() if name.startswith("tower.")}
        self._heads = config.heads
        self._gap_input, self._weight_input = own["gap_input.weight"], own["weight_input"]
        self._lag_bias, self._gap_bias = own["lag_bias"], own["gap_bias.weight"]
        self._blocks = [_Block(f"blocks.{number}.", own, config.heads) for number in range(config.blocks)]
        self._after = own["after.weight"], own["after.bias"]

    def last(self, vectors: Array, times: Rows, weights: Array, lengths: Rows) -> Array:
        """Return what is known after the last item of each row: float32 (B, D), zeros where there is none.

        Parameters
        ----------
        vectors : float32 (B, L, D), item vectors, oldest first, padded at the end with anything finite.
        times : int64 (B, L), milliseconds.
        weights : float32 (B, L), how much each interaction counts, 0..1.
        lengths : int64 (B,), items of each history.
        """
        x = self._inputs(vectors, times, weights)
        for number, block in enumerate(self._blocks[:-1]):
            x = block.everywhere(x, self._bias(times, number))
        end = np.maximum(lengths - 1, 0)
        known = _normed(self._blocks[-1].at(x, end, self._last_bias(times, end)), self._after)
        return known * (lengths > 0)[:, None].astype(np.float32)

    def without(self, vectors: Array, times: Rows, weights: Array, lengths: Rows, left_out: Rows) -> Array:
        """Return :meth:`last` of each history without one of its positions, for several of them: float32 (B, M, D).

        With one block this costs about as much as a few calls of :meth:`last`; a deeper tower reads each shortened
        history by itself.

        left_out : int64 (B, M), positions of the histories; what is said of others means nothing.
        """
        if len(self._blocks) > 1:
            return self._without_read_anew(vectors, times, weights, lengths, left_out)
        x, bridged = self._inputs(vectors, times, weights), self._bridged(vectors, times, weights)
        final, end = self._blocks[-1], np.maximum(lengths - 1, 0)
        found = final.at_without(x, bridged, end, left_out, self._last_bias_without(times, end, left_out))
        row, before = np.arange(len(x)), np.maximum(end - 1, 0)
        without_last = final.at(x, before, self._last_bias(times, before))
        found = np.where((left_out == end[:, None])[:, :, None], without_last[:, None], found)
        x[row, before] = bridged[row, end]
        shifted = times.copy()
        shifted[row, before] = times[row, end]
        without_other = final.at(x, before, self._last_bias(shifted, before))
        found = np.where((left_out == end[:, None] - 1)[:, :, None], without_other[:, None], found)
        return _normed(found, self._after) * (lengths > 1)[:, None, None].astype(np.float32)

    def _without_read_anew(self, vectors: Array, times: Rows, weights: Array, lengths: Rows, left_out: Rows) -> Array:
        row, places = np.arange(len(times))[:, None], np.arange(times.shape[1])
        found = []
        for chosen in left_out.T[:, :, None]:  # (B, 1)
            kept = np.argsort(places == chosen, axis=1, kind="stable")  # it goes to the end
            shorter = lengths - (chosen[:, 0] < lengths)
            found.append(self.last(vectors[row, kept], times[row, kept], weights[row, kept], shorter))
        return np.stack(found, axis=1)

    def _bridged(self, vectors: Array, times: Rows, weights: Array) -> Array:
        """Return the input of each position where the one before it is left out."""
        before = np.concatenate([times[:, :2], times[:, :-2]], axis=1)[:, : times.shape[1]]
        return self._with_gaps(vectors, times - before, weights)

    def _inputs(self, vectors: Array, times: Rows, weights: Array) -> Array:
        before = np.concatenate([times[:, :1], times[:, :-1]], axis=1)
        return self._with_gaps(vectors, times - before, weights)

    def _with_gaps(self, vectors: Array, gaps_ms: Rows, weights: Array) -> Array:
        x = self._gap_input[served_gap_bucket(gaps_ms)]  # (B, L, D)
        x += vectors
        x += weights[:, :, None] * self._weight_input
        return x

    def _bias(self, times: Rows, number: int) -> Array:
        """Return the additive attention bias of a block, float32 (B, H, L, L): recency in steps and time, causal."""
        steps, heads = np.arange(times.shape[1]), slice(number * self._heads, (number + 1) * self._heads)
        lag = steps[:, None] - steps[None, :]  # (L, L), how far the key lies back
        by_lag = np.where(lag < 0, np.float32("-inf"), self._lag_bias[heads][:, np.maximum(lag, 0)])
        by_gap = self._gap_bias[:, heads][served_gap_bucket(times[:, :, None] - times[:, None, :])]  # (B, L, L, H)
        return by_gap.transpose(0, 3, 1, 2) + by_lag

    def _last_bias(self, times: Rows, end: Rows) -> Array:
        """Return the last block's bias of position ``end`` (B,) alone: float32 (B, H, L)."""
        lag = end[:, None] - np.arange(times.shape[1])  # (B, L)
        by_lag = np.where(lag < 0, np.float32("-inf"), self._lag_bias[-self._heads :, np.maximum(lag, 0)])  # (H, B, L)
        return self._last_gap_bias(times, end) + by_lag.transpose(1, 0, 2)

    def _last_gap_bias(self, times: Rows, end: Rows) -> Array:
        gaps = np.take_along_axis(times, end[:, None], axis=1) - times
        return self._gap_bias[:, -self._heads :][served_gap_bucket(gaps)].transpose(0, 2, 1)

    def _last_bias_without(self, times: Rows, end: Rows, left_out: Rows) -> Array:
        """Return the last block's bias of position ``end`` (B,) without each of some (B, M): float32 (B, H, M, L)."""
        steps = np.arange(times.shape[1])
        lag = end[:, None] - steps  # (B, L)
        is_older = steps < left_out[:, :, None]  # (B, M, L)
        by_lag = self._lag_bias[-self._heads :, np.maximum(lag[:, None] - is_older, 0)].swapaxes(0, 1)
        is_gone = (steps == left_out[:, :, None]) | (lag < 0)[:, None]
        found = by_lag + self._last_gap_bias(times, end)[:, :, None]
        return np.where(is_gone[:, None], np.float32("-inf"), found)


class _Block:
    """Pre-norm attention and feed-forward, each added to its input."""

    def __init__(self, prefix: str, weights: Mapping[str, Array], heads: int) -> None:
        own = {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}
        self._own, self._heads = own, heads
        width = len(own["query.weight"])
        self._root = np.float32((width // heads) ** 0.5)
        split = (heads, width // heads, width)
        self._to_key, self._to_value = (one.reshape(split) for one in np.split(own["key_value.weight"], 2))
        self._value_bias = own["key_value.bias"][width:]
        self._norm = own["before_attention.weight"], own["before_attention.bias"]

    def everywhere(self, x: Array, bias: Array) -> Array:
        """Return the new vectors of all positions of ``x`` (B, L, D), under ``bias``."""
        seen = _normed(x, self._norm)
        key, value = np.split(self._linear("key_value", seen), 2, axis=2)
        alike = np.matmul(self._split(self._linear("query", seen)), self._split(key).swapaxes(2, 3)) / self._root
        heads = np.matmul(_softmax(alike + bias), self._split(value))  # (B, H, L, D / H)
        return self._mixed(x + self._linear("output", heads.swapaxes(1, 2).reshape(x.shape)))

    def at(self, x: Array, place: Rows, bias: Array) -> Array:
        """Return the new vector of one position of each row, float32 (B, D), without computing keys and values of all.

        With one query q a head needs no keys W x: q . W x = W^T q . x, and what the key's bias adds is the same for all
        positions. Nor does it need values: the mean of V x is V times the mean of x. The norm is a scale and a shift of
        each position, so both products are taken with ``x`` as it is.

        Parameters
        ----------
        x : float32 (B, L, D).
        place : int64 (B,).
        bias : float32 (B, H, L), of that position alone.
        """
        weight, shift = self._norm
        mean = x.mean(axis=2)  # (B, L)
        spread = np.einsum("bld,bld->bl", x, x) / np.float32(x.shape[2]) - mean * mean
        scale = np.float32(1.0) / np.sqrt(np.maximum(spread, np.float32(0.0)) + EPSILON)
        here = x[np.arange(len(x)), place]
        looking = self._looking(_normed(here, self._norm)) * weight  # (B, H, D)
        alike = np.matmul(looking, x.swapaxes(1, 2)) - looking.sum(axis=2)[:, :, None] * mean[:, None]
        shares = _softmax(alike * (scale / self._root)[:, None] + bias)  # (B, H, L)
        scaled = shares * scale[:, None]
        met = np.matmul(scaled, x) - np.matmul(scaled, mean[:, :, None])  # (B, H, D)
        return self._with_values(here, met * weight + shift)

    def at_without(self, x: Array, bridged: Array, place: Rows, left_out: Rows, bias: Array) -> Array:
        """Return what :meth:`at` would return of the same position with one other left out: float32 (B, M, D).

        The keys are computed once, and each variant is another softmax over them. Right for what is left out below
        ``place - 1``, whose loss leaves the query as it is.

        Parameters
        ----------
        x : float32 (B, L, D).
        bridged : float32 (B, L, D), each position as it is where the one before it is left out.
        place : int64 (B,).
        left_out : int64 (B, M), positions.
        bias : float32 (B, H, M, L), of that position, minus infinity at the one that is left out.
        """
        seen, next_seen = _normed(x, self._norm), _normed(bridged, self._norm)
        row = np.arange(len(x))
        looking = self._looking(seen[row, place]) / self._root  # (B, H, D)
        alike, next_alike = (np.matmul(looking, keys.swapaxes(1, 2)) for keys in (seen, next_seen))  # (B, H, L)
        following = np.minimum(left_out + 1, x.shape[1] - 1)  # (B, M), who has another position before it
        closer = np.take_along_axis(next_alike - alike, following[:, None], axis=2)  # (B, H, M)
        logits = alike[:, :, None] + bias  # (B, H, M, L)
        at = np.broadcast_to(following[:, None, :, None], (*logits.shape[:3], 1))
        np.put_along_axis(logits, at, np.take_along_axis(logits, at, axis=3) + closer[:, :, :, None], axis=3)
        shares = _softmax(logits)
        met = np.matmul(shares, seen[:, None])  # (B, H, M, D)
        met += np.take_along_axis(shares, at, axis=3) * (next_seen - seen)[row[:, None], following][:, None]
        values = np.matmul(met, self._to_value.swapaxes(1, 2))  # (B, H, M, D / H)
        joined = values.swapaxes(1, 2).reshape(len(x), left_out.shape[1], x.shape[2]) + self._value_bias
        return self._mixed(x[row, place][:, None] + self._linear("output", joined))

    def _looking(self, seen: Array) -> Array:
        """Return what each head looks for, float32 (B, H, D), of normed vectors (B, D)."""
        query = self._linear("query", seen).reshape(len(seen), self._heads, -1).swapaxes(0, 1)  # (H, B, D / H)
        return np.asarray(np.matmul(query, self._to_key).swapaxes(0, 1))

    def _with_values(self, here: Array, met: Array) -> Array:
        """Return the new vectors of positions (B, D), of the means that their heads have met, (B, H, D)."""
        values = np.matmul(met.swapaxes(0, 1), self._to_value.swapaxes(1, 2))  # (H, B, D / H)
        joined = values.swapaxes(0, 1).reshape(here.shape) + self._value_bias
        return self._mixed(here + self._linear("output", joined))

    def _mixed(self, x: Array) -> Array:
        norm = self._own["before_mixing.weight"], self._own["before_mixing.bias"]
        wide = self._linear("widen", _normed(x, norm))
        return x + self._linear("narrow", np.maximum(wide, np.float32(0.0), out=wide))

    def _linear(self, name: str, x: Array) -> Array:
        flat = x.reshape(-1, x.shape[-1]) @ self._own[f"{name}.weight"].T
        flat += self._own[f"{name}.bias"]
        return flat.reshape(*x.shape[:-1], -1) if x.size else np.empty((*x.shape[:-1], flat.shape[1]), np.float32)

    def _split(self, x: Array) -> Array:
        return x.reshape(*x.shape[:2], self._heads, -1).swapaxes(1, 2)  # (B, H, L, D / H)


def _normed(x: Array, norm: tuple[Array, Array]) -> Array:
    """Return vectors of mean zero and variance one, scaled and shifted."""
    weight, shift = norm
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.einsum("...d,...d->...", centred, centred)[..., None] / np.float32(x.shape[-1])
    centred *= np.float32(1.0) / np.sqrt(spread + EPSILON)
    centred *= weight
    centred += shift
    return np.asarray(centred)


def _softmax(logits: Array) -> Array:
    """Return shares along the last axis; zeros where all logits are minus infinity."""
    shares = np.exp(logits - np.maximum(logits.max(axis=-1, keepdims=True), LOWEST))
    shares /= np.maximum(shares.sum(axis=-1, keepdims=True), LEAST)
    return np.asarray(shares)
