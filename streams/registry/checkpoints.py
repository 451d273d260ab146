"""A training in the middle, as one file: tensors and JSON, so that reading one cannot run code.

Not a model version: it serves nobody, belongs to one training, and is gone when that has ended.
"""

import json
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from model.training.checkpoint import Checkpoint
from streams.errors import DataError
from streams.files import put_whole

__all__ = ["read_checkpoint", "write_checkpoint"]

STATE = "reelstream.checkpoint"


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write or replace a file; a process that ends meanwhile leaves the one before."""
    content = save(dict(checkpoint.tensors), {STATE: json.dumps(dict(checkpoint.state))})
    put_whole(LocalFileSystem(), str(path.absolute()), content)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return what a file holds, or None where there is none.

    Raises
    ------
    DataError
        If it is no checkpoint.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()[STATE])
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, state)  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise DataError(f"checkpoint: one of a training is required at {path}, got {error!r}; remove it") from error
