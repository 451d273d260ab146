"""What measures on recorded logs needs no server: no address is ever asked."""

import json
import socket
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from commands.study.train import train
from reelstream import _COMMANDS

STUDY = tuple(name for name, (module, _, _) in _COMMANDS.items() if module.startswith("commands.study."))


@pytest.fixture
def listening(monkeypatch):
    """Set both addresses to a socket that nobody accepts from, and return it: who connects waits there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        monkeypatch.setenv("REELSTREAM_KAFKA", f"127.0.0.1:{port}")
        monkeypatch.setenv("REELSTREAM_REDIS", f"redis://127.0.0.1:{port}/0")
        yield server


def every_command(name):
    """Give a command and those of a group, each with its words."""
    module, attribute, _ = _COMMANDS[name]
    command = getattr(import_module(module), attribute)
    yield (name,), command
    if isinstance(command, click.Group):
        yield from (((name, inner), command.commands[inner]) for inner in command.commands)


def test_help_asks_no_server(listening):
    """Each command of the study answers with its help."""
    assert len(STUDY) >= 6
    for name in STUDY:
        for words, command in every_command(name):
            done = CliRunner().invoke(command, ["--help"])
            assert (done.exit_code, "Usage:" in done.stdout) == (0, True), words
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_a_version_is_trained_without_any_server(listening, tmp_path):
    """Training on a log, and storing the version in a folder, connects to nothing."""
    lines = [
        f"{user},{(2 * user + step) % 30},{3 + step % 3},{60 * (step * 20 + user)}"
        for step in range(8)
        for user in range(20)
    ]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    done = CliRunner().invoke(
        train,
        [str(tmp_path / "ratings.csv"), "--out", str(tmp_path / "models"), "--epochs", "1", "--quiet"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    version = json.loads(next((tmp_path / "models").glob("v*/version.json")).read_bytes())
    assert version["metrics"]["hr@10"] >= 0.0
    assert done.stderr.startswith("next: reelstream model promote v000001-")
    assert f"--registry {tmp_path / 'models'}" in done.stderr
    with pytest.raises(BlockingIOError):
        listening.accept()
