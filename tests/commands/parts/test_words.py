"""What commands say beside their answers: the next command, and that something is at work."""

import os
import subprocess
import sys

from click.testing import CliRunner

from commands.parts.telling import say_next, waiting
from commands.study.data import data

AT_WORK = "from commands.parts.telling import waiting\nwith waiting('reading x') as say: say('7 files'); print('done')"


def test_the_next_command_can_be_pasted(capsys):
    """It stands on stderr, and a word with a space is quoted."""
    say_next("recommend", "ann b", why="her list")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "next: reelstream recommend 'ann b'  # her list\n")


def test_json_is_followed_by_nothing():
    """Who asks for JSON gets that alone, on both outputs."""
    done = CliRunner().invoke(data, ["list", "--json"])
    assert (done.exit_code, done.stderr) == (0, "")


def test_work_is_shown_on_a_terminal_alone(capsys):
    """A terminal sees what is at work, on stderr; a file gets nothing."""
    with waiting("reading x") as say:
        say("7 files")
    assert capsys.readouterr().err == ""
    as_terminal = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", AT_WORK], env=as_terminal, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "done\n"
    assert "reading x: 7 files" in done.stderr
