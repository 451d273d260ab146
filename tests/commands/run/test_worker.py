"""What ``reelstream worker`` refuses before it starts; the worker itself is tested in tests/broker."""

import sys

import pytest
from click.testing import CliRunner

from commands.run.worker import worker
from streams.errors import SettingsError


@pytest.mark.parametrize("mode", ["faiss", "faiss-tower"])
def test_a_worker_that_needs_faiss_does_not_start_without(monkeypatch, mode):
    """Told to use it where it is not installed, the worker names the cure before it looks for any server."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setenv("REELSTREAM_RETRIEVAL", mode)
    result = CliRunner().invoke(worker, ["--kafka", "127.0.0.1:1", "--redis", "redis://127.0.0.1:1"])
    assert isinstance(result.exception, SettingsError)
    assert f"REELSTREAM_RETRIEVAL={mode} requires" in str(result.exception)
    assert "pip install 'reelstream[large]'" in str(result.exception)
