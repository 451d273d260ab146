"""The tower that reads what a user asks for in words, as the vectors of ``model.network.intent`` say it."""

import torch
from torch import Tensor
from torch.nn import functional

from model.trainable.history_tower import dropped, unset_linear

__all__ = ["IntentTower"]


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
