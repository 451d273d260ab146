"""Plain NeuMF [1]_ in NumPy alone: forward pass, loss, gradients derived by hand, and Adam [2]_ with decay [3]_.

The reference that the PyTorch network is checked against, written to be read: every gradient stands beside the
formula that it is the derivative of. Notation: a batch holds P pairs of a user row u and an item row i with label y;
``p, q`` are the GMF vectors of user and item, ``a, b`` those of the MLP.

::

    g   = p_u * q_i                                  (P, F)    element-wise: GMF
    x_0 = [a_u | b_i]                                (P, 2 M)
    z_k = x_(k-1) W_k^T + c_k,   x_k = max(z_k, 0)   (P, H_k)  for each layer k
    s   = [g | x_K] h + h_0                          (P,)      logit
    L   = mean_P( log(1 + e^s) - y s )                         binary cross-entropy of sigmoid(s)

References
----------
.. [1] He et al., "Neural collaborative filtering", WWW 2017, sections 3.2 to 3.4.
.. [2] Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
.. [3] Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.vocabulary import Rows

__all__ = ["Adam", "ForwardPass", "Weights", "backward", "forward", "loss"]

Array = NDArray[np.floating]
Weights = Mapping[str, Array]
"""``gmf_user`` (U, F), ``gmf_item`` (N, F), ``mlp_user`` (U, M), ``mlp_item`` (N, M), for each layer k from 0
``layers.k.weight`` (H_k, H_(k-1)) and ``layers.k.bias`` (H_k,), ``fuse.weight`` (1, F + H_K), ``fuse.bias`` (1,)."""


@dataclass(frozen=True, slots=True)
class ForwardPass:
    """What a forward pass leaves for the backward one.

    Parameters
    ----------
    users, items : int64 (P,), rows.
    inputs : of each layer, ``x_0`` to ``x_K``; the last one goes into the fusion.
    logits : (P,).
    """

    users: Rows
    items: Rows
    inputs: tuple[Array, ...]
    logits: Array


def forward(weights: Weights, users: Rows, items: Rows) -> ForwardPass:
    """Return the logits of pairs, with what their gradients need."""
    gmf = weights["gmf_user"][users] * weights["gmf_item"][items]
    x = np.concatenate([weights["mlp_user"][users], weights["mlp_item"][items]], axis=1)
    inputs = [x]
    for k in range(_depth(weights)):
        x = np.maximum(x @ weights[f"layers.{k}.weight"].T + weights[f"layers.{k}.bias"], 0.0)
        inputs.append(x)
    logits = np.concatenate([gmf, x], axis=1) @ weights["fuse.weight"][0] + weights["fuse.bias"][0]
    return ForwardPass(users, items, tuple(inputs), logits)


def loss(logits: Array, labels: Array) -> float:
    """Return the mean binary cross-entropy; log(1 + e^s) = max(s, 0) + log(1 + e^-|s|) does not overflow."""
    return float(np.mean(np.maximum(logits, 0.0) - labels * logits + np.log1p(np.exp(-np.abs(logits)))))


def backward(weights: Weights, cache: ForwardPass, labels: Array) -> dict[str, Array]:
    """Return the gradient of the mean loss by each weight, of its shape.

    Steps, each by the chain rule from the one before:
    1 logits; 2 fusion; 3 GMF vectors; 4 layers, last to first; 5 MLP vectors.
    """
    users, items, inputs = cache.users, cache.items, cache.inputs
    p, q = weights["gmf_user"][users], weights["gmf_item"][items]
    n_factors = p.shape[1]
    # Step 1: dL/ds = (sigmoid(s) - y) / P
    ds = (_sigmoid(cache.logits) - labels) / len(labels)
    # Step 2: dL/dh = sum_P ds [g | x_K],  dL/dh_0 = sum_P ds
    gradients: dict[str, Array] = {
        "fuse.weight": (ds @ np.concatenate([p * q, inputs[-1]], axis=1))[np.newaxis],
        "fuse.bias": np.array([ds.sum()]),
    }
    h = weights["fuse.weight"][0]
    # Step 3: dL/dp_u = sum over pairs of u of ds (h_g * q_i),  dL/dq_i = sum over pairs of i of ds (h_g * p_u)
    dg = np.outer(ds, h[:n_factors])
    gradients["gmf_user"] = _summed(weights["gmf_user"], users, dg * q)
    gradients["gmf_item"] = _summed(weights["gmf_item"], items, dg * p)
    # Step 4: dL/dz_k = dL/dx_k where x_k > 0, else 0;  dL/dW_k = dz_k^T x_(k-1);  dL/dc_k = sum_P dz_k;
    #         dL/dx_(k-1) = dz_k W_k
    dx = np.outer(ds, h[n_factors:])
    for k in reversed(range(_depth(weights))):
        dz = dx * (inputs[k + 1] > 0.0)
        gradients[f"layers.{k}.weight"] = dz.T @ inputs[k]
        gradients[f"layers.{k}.bias"] = dz.sum(axis=0)
        dx = dz @ weights[f"layers.{k}.weight"]
    # Step 5: x_0 = [a_u | b_i]
    width = weights["mlp_user"].shape[1]
    gradients["mlp_user"] = _summed(weights["mlp_user"], users, dx[:, :width])
    gradients["mlp_item"] = _summed(weights["mlp_item"], items, dx[:, width:])
    return gradients


@dataclass(slots=True)
class Adam:
    """Adam with decoupled weight decay; its state grows with the first step.

    Parameters
    ----------
    weight_decay : as in [3]_; 0 is Adam as in [2]_.
    beta1, beta2, epsilon : as in [2]_.
    step : steps taken.
    first, second : m and v of each weight.
    """

    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1.0e-8
    step: int = 0
    first: dict[str, Array] = field(default_factory=dict)
    second: dict[str, Array] = field(default_factory=dict)

    def apply(self, weights: dict[str, Array], gradients: Weights, rate: float) -> None:
        """Move the weights in place.

        With m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2, both starting at zero, a weight w moves by
        -rate * (m' / (sqrt(v') + epsilon) + decay * w), where m' = m / (1 - b1^t) and v' = v / (1 - b2^t) take off the
        bias of the start at step t.
        """
        self.step += 1
        start1, start2 = 1.0 - self.beta1**self.step, 1.0 - self.beta2**self.step
        for name, gradient in gradients.items():
            m = self.first.setdefault(name, np.zeros_like(gradient))
            v = self.second.setdefault(name, np.zeros_like(gradient))
            m += (1.0 - self.beta1) * (gradient - m)
            v += (1.0 - self.beta2) * (gradient * gradient - v)
            weights[name] *= 1.0 - rate * self.weight_decay
            weights[name] -= rate * (m / start1) / (np.sqrt(v / start2) + self.epsilon)


def _depth(weights: Weights) -> int:
    return sum(name.startswith("layers.") for name in weights) // 2


def _sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e^-x) as (1 + tanh(x / 2)) / 2, which does not overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _summed(table: Array, rows: Rows, parts: Array) -> Array:
    """Return the sum of the parts of each row, zero elsewhere: the gradient of a look-up.

    Entry by entry: NumPy adds at single places of a flat array several times faster than at whole rows.
    """
    total = np.zeros_like(table)
    entries = rows[:, np.newaxis] * table.shape[1] + np.arange(table.shape[1])
    np.add.at(total.reshape(-1), entries.reshape(-1), parts.reshape(-1))
    return total
