"""How a long-running command ends."""

import subprocess
import sys

DEAF_ONCE = """
import asyncio, os, signal, sys
from commands.parts.running import run_until_stopped

async def deaf_once():
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(60)

sys.exit(run_until_stopped(deaf_once, 9.0))
"""


def test_a_cancellation_that_is_swallowed_comes_again():
    """Where a library takes the first cancellation for its own the process still ends in order, not by its watchdog."""
    assert subprocess.run([sys.executable, "-c", DEAF_ONCE], timeout=30, check=False).returncode == 0


THREADS = """
import numpy
from threadpoolctl import threadpool_info
from commands.parts.running import limit_threads

limit_threads(2)
import torch
found = [(one["user_api"], one["num_threads"]) for one in threadpool_info()]
assert ("blas", 1) in found and ("openmp", 2) in found, found
assert not {("blas", 2), ("openmp", 1)} & set(found), found
"""


def test_products_of_numpy_have_one_thread():
    """Whatever training has, and libraries that are loaded later too: two would wait for each other where work runs."""
    assert subprocess.run([sys.executable, "-c", THREADS], timeout=120, check=False).returncode == 0
