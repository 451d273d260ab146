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
