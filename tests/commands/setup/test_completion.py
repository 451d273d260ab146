"""``reelstream completion``: a script for each shell, and what a shell then gets."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from reelstream import cli

AS_INSTALLED = "import sys, reelstream; sys.argv = ['reelstream']; reelstream.main()"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    """It asks the program itself, by the variable that click reads."""
    done = CliRunner().invoke(cli, ["completion", shell], prog_name="reelstream")
    assert done.exit_code == 0
    assert f"_REELSTREAM_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("tra", ["trainer", "train"]), ("trainer --every-e", ["--every-events"]), ("model pr", ["promote", "prune"])],
)
def test_commands_and_options_are_completed(typed, offered):
    """What bash asks for is answered with the names that begin so."""
    words = ["reelstream", *typed.split()]
    asked = {"_REELSTREAM_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    program = [sys.executable, "-c", AS_INSTALLED]
    done = subprocess.run(program, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=False)
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == offered
