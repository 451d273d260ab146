import pytest
import torch

from model.training.checkpoint import Checkpoint
from streams.errors import DataError
from streams.registry.checkpoints import read_checkpoint, write_checkpoint


def test_what_is_written_is_read(tmp_path):
    """Tensors of any type and numbers beyond 64 bits come back as they were."""
    tensors = {"a": torch.arange(3), "b": torch.tensor(0.5), "c": torch.zeros(2, dtype=torch.uint8)}
    state = {"random": {"state": 2**127 + 1}, "losses": [0.25, 1e-9], "name": "x"}
    write_checkpoint(tmp_path / "at" / "file", Checkpoint(tensors, state))
    found = read_checkpoint(tmp_path / "at" / "file")
    assert found.state == state
    assert found.tensors.keys() == tensors.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())


def test_no_file_is_no_checkpoint(tmp_path):
    """A training that was never interrupted has none."""
    assert read_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_another_file_is_refused(tmp_path, content):
    """Nothing, a zip, and a file of tensors without a state: one line each that says what to do."""
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match="remove it"):
        read_checkpoint(tmp_path / "file")


def test_a_torn_file_is_refused(tmp_path):
    """Half of a checkpoint is none."""
    write_checkpoint(tmp_path / "file", Checkpoint({"a": torch.zeros(100)}, {}))
    content = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="checkpoint"):
        read_checkpoint(tmp_path / "file")
