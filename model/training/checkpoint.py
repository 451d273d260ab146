"""A training between two epochs, as a value: everything that decides how it continues.

It consists of tensors and JSON, so that reading one runs no code. A training that continues from it ends in the very
weights that it would have had without the interruption.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Checkpoint", "capture", "restore", "under"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training between two epochs.

    Parameters
    ----------
    tensors : by name, on the CPU: weights, those of the best epoch, the optimiser's state, torch's generator.
    state : what is no tensor, as JSON-able values.
    """

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


def capture(
    about: Mapping[str, Any],
    state: Mapping[str, Any],
    best: Mapping[str, Tensor],
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: np.random.Generator,
    dropout: torch.Generator,
) -> Checkpoint:
    """Return a copy of a training's state; ``about`` is what must be the same when it continues."""
    tensors = {f"network.{name}": weight for name, weight in network.state_dict().items()}
    tensors |= {f"best.{name}": weight for name, weight in best.items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(moment) for name, moment in moments.items()}
    tensors["dropout"] = dropout.get_state()
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    random = generator.bit_generator.state
    return Checkpoint(copies, {"about": dict(about), "random": random, **state})


def restore(
    start: Checkpoint,
    about: Mapping[str, Any],
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: np.random.Generator,
    dropout: torch.Generator,
) -> dict[str, Any]:
    """Put a checkpoint's tensors and random states back where they came from, and return the rest of its state.

    Raises
    ------
    ValueError
        If the checkpoint is of another training.
    """
    if start.state["about"] != dict(about):
        raise ValueError(
            f"fit: a checkpoint of this training is required, {dict(about)!r}, got one of {start.state['about']!r}; "
            "remove it to begin anew"
        )
    try:
        network.load_state_dict(under("network.", start.tensors))
    except RuntimeError as error:
        raise ValueError(f"fit: a checkpoint of this network is required, got another: {error}") from error
    current = optimiser.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in under("optimiser.", start.tensors).items():
        number, _, kind = name.partition(".")
        moments.setdefault(int(number), {})[kind] = tensor
    optimiser.load_state_dict({"state": moments, "param_groups": current["param_groups"]})
    generator.bit_generator.state = start.state["random"]
    dropout.set_state(start.tensors["dropout"])
    return {**start.state, "losses": list(start.state["losses"]), "best": under("best.", start.tensors)}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
