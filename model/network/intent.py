"""Texts: what a user asks for in words, as a vector.

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
from numpy.typing import NDArray

from model.catalogue import Item

__all__ = ["TEXT_WIDTH", "item_text", "text_vectors"]

TEXT_WIDTH = 256
_WORD = re.compile(r"\w+")


def item_text(item: Item) -> str:
    """Return what an item is called and filed under; nothing for one of which only the id is known."""
    title = "" if item.title == item.item_id else item.title
    decade = f"{item.year // 10 * 10}s" if item.year else ""
    return " ".join((title, *item.genres, decade)).strip()


def text_vectors(texts: Iterable[str], width: int = TEXT_WIDTH) -> NDArray[np.float32]:
    """Return float32 (n, width): hashed word counts of length one, or zero for a text without words."""
    words = [_WORD.findall(text.lower()) for text in texts]
    said = [word for some in words for word in some]
    code_of = {word: crc32(word.encode()) for word in set(said)}
    codes = np.fromiter(map(code_of.__getitem__, said), dtype=np.int64, count=len(said))
    rows = np.repeat(np.arange(len(words)), np.fromiter(map(len, words), dtype=np.int64, count=len(words)))
    signs = np.where(codes & 1, 1.0, -1.0)
    counts = np.bincount(rows * width + (codes >> 1) % width, signs, len(words) * width)
    vectors = counts.reshape(-1, width).astype(np.float32)
    norms = np.sqrt(np.einsum("nw,nw->n", vectors, vectors))
    return np.asarray(vectors / np.where(norms > 0.0, norms, np.float32(1.0))[:, None])
