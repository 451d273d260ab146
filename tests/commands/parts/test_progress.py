"""What a log shows of long work."""

import re
import time

import pytest

from commands.parts.telling import _duration, progress_lines


def test_a_log_gets_a_line_now_and_then(capsys):
    """With what is done by then and how long it took; none after the end."""
    done = [0]
    with progress_lines(lambda: f"counted {done[0]}", every_s=0.05):
        while done[0] < 4:
            time.sleep(0.05)
            done[0] += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(re.fullmatch(r"counted \d, \d+ s", line) for line in lines)
    time.sleep(0.15)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0 s"), (59.9, "59 s"), (125, "2 min 5 s"), (3780, "1 h 3 min")])
def test_seconds_are_told_as_people_read_them(seconds, told):
    """Whole ones that are over; beside hours none."""
    assert _duration(seconds) == told


@pytest.mark.parametrize("quiet", [False, True])
def test_short_or_quiet_work_says_nothing(capsys, quiet):
    """A command that is asked to be quiet is quiet however long it takes."""
    with progress_lines(lambda: "at work", quiet=quiet, every_s=0.01 if quiet else None):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_work_that_fails_ends_its_lines(capsys):
    """The error passes as it is."""
    with pytest.raises(ValueError, match="broken"), progress_lines(lambda: "at work", every_s=0.01):
        raise ValueError("broken")
    before = capsys.readouterr().err
    time.sleep(0.05)
    assert before == "" or before.startswith("at work")
    assert capsys.readouterr().err == ""
