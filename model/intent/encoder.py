"""The transformer that turns a sentence into a vector: all-MiniLM-L6-v2 [1]_, six layers of BERT, on the CPU.

Its weights and its tokens are given: ``streams.sentence_weights`` reads them. Sentences that mean the like point the
same way. It reads English; other languages reach it through the word lists beside it.

References
----------
.. [1] Reimers and Gurevych, "Sentence-BERT", EMNLP 2019; Wang et al., "MiniLM", NeurIPS 2020.
.. [2] Abramowitz and Stegun, "Handbook of mathematical functions", 1964, 7.1.26.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.arithmetic import directed

__all__ = ["MAX_TOKENS", "Encoder", "SentenceEncoder"]

Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]
Array = NDArray[np.float32]
MAX_TOKENS = 128  # what the weights were trained with at most; a title with genres has about twenty
HEADS = 12  # of the attention; the shape of the weights does not tell
ERF_P, ERF_A = 0.3275911, (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)  # of [2]_
EPSILON = np.float32(1e-12)  # of BERT's layer norm
SENTENCES_PER_BLOCK = 64  # 64 sentences of 128 tokens need 50 MB within a layer


class Encoder(Protocol):
    """Turns sentences into vectors.

    Attributes
    ----------
    width : of the vectors.
    """

    width: int

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (n, width), rows of length 1, in the order of the sentences."""


class SentenceEncoder:
    """Encodes sentences.

    Parameters
    ----------
    weights : by the names of BERT, float32.
    tokenize : returns the token ids of sentences, with the marks at both ends.

    Attributes
    ----------
    width : of the vectors.

    Raises
    ------
    ValueError
        If the weights lack a part.
    """

    def __init__(self, weights: Mapping[str, Array], tokenize: Tokenize) -> None:
        self._weights = weights
        self._tokenize = tokenize
        try:
            self._words = weights["embeddings.word_embeddings.weight"]
            self._places = weights["embeddings.position_embeddings.weight"]
            self._kind = weights["embeddings.token_type_embeddings.weight"][0]
        except KeyError as error:
            raise ValueError(
                f"SentenceEncoder: the weights of a BERT encoder are required, got none named {error}"
            ) from None
        self.width = int(self._words.shape[1])
        self._layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (n, width), rows of length 1, in the order of the sentences."""
        tokens = [list(ids)[:MAX_TOKENS] for ids in self._tokenize(sentences)]
        found = np.zeros((len(tokens), self.width), dtype=np.float32)
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))  # alike lengths together: little padding
        for start in range(0, len(order), SENTENCES_PER_BLOCK):
            block = order[start : start + SENTENCES_PER_BLOCK]
            found[block] = self._encoded([tokens[at] for at in block])
        return found

    def _encoded(self, tokens: Sequence[Sequence[int]]) -> Array:
        """Return the means of the last layer over each sentence's tokens, float32 (B, width), of length 1."""
        longest = max(map(len, tokens))
        ids = np.array([[*line, *[0] * (longest - len(line))] for line in tokens])  # (B, T)
        is_token = np.arange(longest) < np.array([[len(line)] for line in tokens])  # (B, T)
        states = self._normed("embeddings.LayerNorm", self._words[ids] + self._places[:longest] + self._kind)
        for number in range(self._layers):
            states = self._layer(f"encoder.layer.{number}", states, is_token)
        return directed((states * is_token[:, :, None].astype(np.float32)).sum(axis=1))  # the sum points as the mean

    def _layer(self, name: str, states: Array, is_token: NDArray[np.bool_]) -> Array:
        """Return what one layer makes of the states (B, T, width)."""
        query, key, value = (
            self._linear(f"{name}.attention.self.{part}", states).reshape(*states.shape[:2], HEADS, -1).swapaxes(1, 2)
            for part in ("query", "key", "value")
        )  # (B, H, T, width / H)
        alike = np.matmul(query, key.swapaxes(2, 3))  # (B, H, T, T)
        alike *= np.float32(query.shape[3] ** -0.5)
        alike += np.where(is_token, np.float32(0.0), np.float32("-inf"))[:, None, None]
        alike -= alike.max(axis=3, keepdims=True)
        shares = np.exp(alike, out=alike)
        shares /= shares.sum(axis=3, keepdims=True)
        seen = np.matmul(shares, value).swapaxes(1, 2).reshape(states.shape)
        attended = self._linear(f"{name}.attention.output.dense", seen)
        states = self._normed(f"{name}.attention.output.LayerNorm", states + attended)
        inside = _gelu(self._linear(f"{name}.intermediate.dense", states))
        return self._normed(f"{name}.output.LayerNorm", states + self._linear(f"{name}.output.dense", inside))

    def _linear(self, name: str, states: Array) -> Array:
        found = states.reshape(-1, states.shape[2]) @ self._weights[f"{name}.weight"].T
        found += self._weights[f"{name}.bias"]
        return np.asarray(found.reshape(*states.shape[:2], -1))

    def _normed(self, name: str, states: Array) -> Array:
        centred = states - states.mean(axis=2, keepdims=True)
        spread = np.einsum("btd,btd->bt", centred, centred)[:, :, None] / np.float32(self.width)
        centred /= np.sqrt(spread + EPSILON)
        centred *= self._weights[f"{name}.weight"]
        centred += self._weights[f"{name}.bias"]
        return np.asarray(centred)


def _gelu(x: Array) -> Array:
    """Return x times the share of a normal distribution below it, which [2]_ approximates within 1e-7."""
    one = np.float32(1.0)
    away = np.abs(x)
    away *= np.float32(0.5**0.5)
    t = one / (one + np.float32(ERF_P) * away)
    beyond = np.zeros_like(x)
    for coefficient in reversed(ERF_A):
        beyond += np.float32(coefficient / 2.0)
        beyond *= t
    np.multiply(away, away, out=away)
    np.negative(away, out=away)
    beyond *= np.exp(away, out=away)
    return np.asarray(x * np.where(x < 0.0, beyond, one - beyond))
