"""How a worker ends: an error raised on purpose in one line, any other with its traceback, and neither silently."""

import subprocess
import sys

import pytest

from agents.worker.runtime import FATAL_STATUS

SCRIPT = """
import asyncio, logging, os, sys
from agents.worker.runtime import Worker
from streams.errors import StateError
logging.basicConfig(level="INFO", format="%(message)s")

async def end(error):
    with Worker.fatal(None, "events"):
        raise error

for error in (StateError("state: Redis is required, got nothing"), KeyError("x"), asyncio.CancelledError()):
    child = os.fork()
    if child == 0:
        asyncio.run(end(error))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ended with", status, file=sys.stderr, flush=True)
"""


@pytest.fixture(scope="module")
def ended():
    """Return status and words of three processes, whose agents raised a StateError, a KeyError, and were cancelled."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    *parts, rest = run.stderr.split("ended with ")
    words = [parts[0], *(part.partition("\n")[2] for part in parts[1:])]
    statuses = [int(part.partition("\n")[0]) for part in (*parts[1:], rest)]
    return list(zip(statuses, words, strict=True))


def test_an_error_raised_on_purpose_is_one_line(ended):
    """A StateError ends the process with status 70 and its message on one line."""
    status, said = ended[0]
    assert status == FATAL_STATUS == 70
    assert said == "worker.fatal in events: state: Redis is required, got nothing\n"


def test_an_unexpected_error_ends_the_process_with_its_traceback(ended):
    """A KeyError ends it with the same status, and the traceback says where."""
    status, said = ended[1]
    assert status == FATAL_STATUS
    assert "worker.fatal in events" in said
    assert "Traceback" in said
    assert "KeyError: 'x'" in said


def test_cancellation_passes_through(ended):
    """A cancelled agent is no fatal error: Faust cancels agents at every rebalance."""
    status, said = ended[2]
    assert status == 1  # of asyncio.run, which lets it out
    assert "worker.fatal" not in said
