"""Several processes that train one network: each takes a share of the windows of a step, and all take the same step.

Every process draws the same batches from the same seeds and keeps the windows that are its own. Their gradients are
averaged [1]_, each weighted by how many events it is of. So the network learns what one process learns from the whole
batch; only what dropout hides differs, as each draws that for its own windows. Without such a group of processes there
is one, and nothing of this happens.

References
----------
.. [1] Li et al., "PyTorch Distributed: experiences on accelerating data parallel training", VLDB 2020.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from model.trainable.neumf import NeuMF
from model.training.batches import Batch

__all__ = ["Peers", "SharedLoss"]


@dataclass(frozen=True, slots=True)
class Peers:
    """How many processes train together, and which of them this one is.

    Parameters
    ----------
    rank : of this process, from 0.
    count : of all.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def of_group(cls) -> "Peers":
        """Return those of the process group that was set up, or this process alone."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes, element by element; every process must ask."""
        if self.count > 1:
            distributed.all_reduce(values)
            values /= self.count
        return values


class SharedLoss(nn.Module):
    """The loss of a batch, with gradients that are those of all processes together.

    Parameters
    ----------
    network : what learns.
    loss_of : returns the mean loss of a batch over its events.
    peers : the processes.
    """

    def __init__(self, network: NeuMF, loss_of: Callable[[Batch], Tensor], peers: Peers) -> None:
        super().__init__()
        self._peers = peers
        self._loss: nn.Module = _Loss(network, loss_of)
        if peers.count > 1:
            self._loss = DistributedDataParallel(self._loss, find_unused_parameters=True, forward_sync_buffers=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return this process's part of the mean loss, times the number of processes: their mean is that of all."""
        if self._peers.count == 1:
            return self._loss(batch)  # type: ignore[no-any-return]
        own = batch.part(self._peers.rank, self._peers.count)
        loss: Tensor = self._loss(own)
        return loss * (self._peers.count * len(own.wanted) / len(batch.wanted))


class _Loss(nn.Module):
    def __init__(self, network: NeuMF, loss_of: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self.network = network
        self._loss_of = loss_of

    def forward(self, batch: Batch) -> Tensor:
        return self._loss_of(batch)
