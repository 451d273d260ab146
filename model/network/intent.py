"""Texts: what a user asks for in words, as a vector, and the tower that reads it.

A text becomes a bag of hashed words [1]_, scaled to length one: no vocabulary has to be kept beside the model, and an
item's own text (title and genres) stands for a query while training. Vectors of another kind, such as those of a
language model, fit as well if the network is made for their width and every text comes from that model.

References
----------
.. [1] Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
"""

import re
from collections.abc import Iterable
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model.catalogue import Item
from model.network.history_tower import dropped, unset_linear

__all__ = ["TEXT_WIDTH", "IntentTower", "item_text", "text_vectors"]

TEXT_WIDTH = 256
_WORD = re.compile(r"\w+")


class IntentTower(torch.nn.Module):
    """``W2 dropout(relu(W1 v))``: without biases, so that no text (v = 0) adds exactly nothing.

    Parameters
    ----------
    width : of the text vectors.
    factors : of the result; the layer between is twice as wide.
    dropout : share of that layer dropped while training.
    """

    def __init__(self, width: int, factors: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.widen = unset_linear(width, 2 * factors, bias=False)
        self.narrow = unset_linear(2 * factors, factors, bias=False)

    def forward(self, texts: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return intents float32 (P, factors) of text vectors (P, width).

        generator : of the dropout; None to drop nothing.
        """
        inside = dropped(functional.relu(self.widen(texts)), self.dropout, generator)
        found: Tensor = self.narrow(inside)
        return found


def item_text(item: Item) -> str:
    """Return what an item is called and filed under; nothing for one of which only the id is known."""
    title = "" if item.title == item.item_id else item.title
    decade = f"{item.year // 10 * 10}s" if item.year else ""
    return " ".join((title, *item.genres, decade)).strip()


def text_vectors(texts: Iterable[str], width: int = TEXT_WIDTH) -> NDArray[np.float32]:
    """Return float32 (n, width): hashed word counts of length one, or zero for a text without words."""
    rows = []
    for text in texts:
        row = np.zeros(width, dtype=np.float32)
        for word in _WORD.findall(text.lower()):
            code = crc32(word.encode())
            row[(code >> 1) % width] += 1.0 if code & 1 else -1.0
        norm = float(np.linalg.norm(row))
        rows.append(row / np.float32(norm) if norm else row)
    return np.stack(rows) if rows else np.zeros((0, width), dtype=np.float32)
