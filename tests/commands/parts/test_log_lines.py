"""Lines of a log that a program can read as well: when, how bad, which process, what."""

import json
import logging
import os
import shlex
import socket
import sys
from datetime import datetime

import pytest

from commands.parts.log_lines import JsonLines, KeyValueLines


def record(message, *arguments, level=logging.INFO, exc_info=None):
    """Return a record of a fixed moment."""
    made = logging.LogRecord("agents.worker.runtime", level, "file", 1, message, arguments, exc_info)
    made.created = 1_700_000_000.25  # 2023-11-14T22:13:20.250 in UTC
    return made


def pairs(line):
    """Return the keys and values of a line, read as a shell reads words."""
    return dict(word.split("=", 1) for word in shlex.split(line))


def test_a_line_names_the_process_and_the_zone():
    """Both forms say role, host and process, and the same moment, whatever the zone of the machine."""
    one = record("worker.ready %s items, model %s", 3, None)
    found, told = pairs(KeyValueLines("worker").format(one)), json.loads(JsonLines("worker").format(one))
    for fields in (found, told):
        assert (fields["role"], fields["host"], int(fields["pid"])) == ("worker", socket.gethostname(), os.getpid())
        assert (fields["level"], fields["logger"]) == ("INFO", "agents.worker.runtime")
        assert fields["msg"] == "worker.ready 3 items, model None"
        at = datetime.fromisoformat(fields["ts"])
        assert at.utcoffset() is not None
        assert at.timestamp() == 1_700_000_000.25
    assert told["event"] == "worker.ready"


@pytest.mark.parametrize("said", ['a "word" of = signs', "two\nlines", "back\\slash", "", "no.event: here"])
def test_what_is_said_survives(said):
    """Quotes, backslashes and line breaks are kept by both forms, and a message stays one line."""
    line = KeyValueLines("worker").format(record("%s", said))
    assert "\n" not in line
    assert pairs(line)["msg"].replace("\\n", "\n") == said
    told = json.loads(JsonLines("worker").format(record("%s", said)))
    assert told["msg"] == said
    assert "event" not in told


def test_terminal_escapes_and_addresses_are_taken_out():
    """What libraries write for a terminal is no part of a line, and an object is told by its class."""
    said = "\b\x1b[?25h\x1b[31mred\x1b[0m <AIOKafkaConsumer object at 0x7f81db9a2850> <mode.services.Service at 0x1f>"
    for lines in (KeyValueLines("worker"), JsonLines("worker")):
        line = lines.format(record(said))
        assert "red AIOKafkaConsumer Service" in line
        assert not any(ord(letter) < 32 for letter in line)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (repr(pairs), "<function pairs>"),
        (repr(letter for letter in "x"), "<generator object <genexpr>>"),
        (
            "<Task pending coro=<run() running at a.py:1> wait_for=<Task pending cb=[<Wakeup object at 0x7f8a>()]>>",
            "<Task pending coro=<run() running at a.py:1> wait_for=<Task pending cb=[Wakeup()]>>",
        ),
        (
            "<bound method Service.stop of <Service: running at 0x1f>>",
            "<bound method Service.stop of <Service: running>>",
        ),
    ],
    ids=["function", "generator", "nested task", "method"],  # the addresses differ between processes
)
def test_no_address_is_left(said, told):
    """What a function, a generator, or a task within a task is called says no address either."""
    assert " at 0x" in said
    line = json.loads(JsonLines("worker").format(record("%s", said)))["msg"]
    assert "0x" not in line
    assert line.endswith(told)


def test_a_traceback_is_told():
    """In key=value it follows on lines of its own, as people read it; in JSON it is a field."""
    try:
        float("broken")
    except ValueError:
        one = record("worker.fatal in events", level=logging.ERROR, exc_info=sys.exc_info())
    first, *more = KeyValueLines("worker").format(one).splitlines()
    assert pairs(first)["msg"] == "worker.fatal in events"
    assert (more[0], more[-1]) == (
        "Traceback (most recent call last):",
        "ValueError: could not convert string to float: 'broken'",
    )
    told = json.loads(JsonLines("worker").format(one))
    assert told["traceback"].splitlines() == more
