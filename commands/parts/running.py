"""What the commands of long-running processes share: their log, and an end that is certain."""

import getpass
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click

from commands.parts.log_lines import JsonLines, KeyValueLines
from commands.parts.telling import with_cure
from streams.errors import SettingsError, StreamError

__all__ = [
    "STOP_S",
    "exit_after",
    "limit_threads",
    "log_level_option",
    "log_to_stderr",
    "lower_priority",
    "person",
    "require_torch",
    "run_until_stopped",
]

NICENESS = 10  # beside whoever serves a tenth of a core; at 15, a thirtieth, rounds of seconds took minutes
STOP_S = 9.0  # a drained batch takes a tenth of a second; whatever takes longer than this hangs
CANCEL_S = 3.0  # between two cancellations: one may be lost in a library that is connecting
HUNG_STATUS = 75  # EX_TEMPFAIL of sysexits: start me again
_NOISY = (
    *("aiokafka", "faust", "mode", "aiokafka.consumer.group_coordinator"),
    *("streams.reading.driver", "streams.reading.resuming"),  # Faust says there that our parts of it start and stop
)
_FORMAT = "reelstream.log_format"

F = TypeVar("F", bound=Callable[..., Any])


def require_torch(command: str) -> None:
    """Raise SettingsError, with the cure, where the extra ``train`` is not installed; imports nothing."""
    if find_spec("torch") is None:
        raise SettingsError(
            f"{command}: training requires the package torch, got none; install it with pip install 'reelstream[train]'"
        )


def limit_threads(threads: int) -> None:
    """Let torch and whatever else uses OpenMP have so many threads, libraries that are loaded later included.

    Each product of NumPy has one. Ours are small: where other work runs, two threads wait for each other after each,
    and ten times the processor time is spent. A ranker divides its users among threads instead. Where torch
    multiplies by the same library as NumPy, its products have one thread too; that of the wheels for x86 does not.
    """
    import numpy as np  # noqa: F401 - its library must be there to be told
    from threadpoolctl import threadpool_limits

    for name, most in (("OPENBLAS_NUM_THREADS", 1), ("OMP_NUM_THREADS", threads)):
        os.environ[name] = str(most)
    threadpool_limits(limits={"blas": 1, "openmp": threads})


def log_level_option(command: F) -> F:
    """Add ``--log-level`` and ``--log-format``; only the first is an argument of the command."""
    level = click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        default="info",
        show_default=True,
        help="What to log on stderr.",
    )
    form = click.option(
        "--log-format",
        envvar="REELSTREAM_LOG_FORMAT",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        expose_value=False,
        callback=_keep_format,
        help="Lines of key=value, or a JSON object each. [REELSTREAM_LOG_FORMAT]",
    )
    return level(form(command))


def _keep_format(ctx: click.Context, _: click.Parameter, value: str) -> None:
    ctx.meta[_FORMAT] = value


def log_to_stderr(level: str) -> None:
    """Log from this level on, as the running command was told; the libraries below us only from warnings on."""
    context = click.get_current_context()
    lines = JsonLines if context.meta[_FORMAT] == "json" else KeyValueLines
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(lines(context.info_name or "reelstream"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(capture=True)  # those of libraries too are lines like any other
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def lower_priority() -> None:
    """Let processes that serve go first.

    Linux weighs sessions against each other before it looks at niceness (autogroups); a process that leads a session of
    its own, as under ``up`` or a service manager, makes that one nice as well.
    """
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # another system, or a Linux without autogroups
            Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")


def person() -> str:
    """Return who runs this command, as it is written beside a decision: the user's name and this machine's."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def exit_after(seconds: float) -> None:
    """End the process for certain after some seconds, whatever hangs."""
    timer = threading.Timer(seconds, os._exit, (HUNG_STATUS,))
    timer.daemon = True
    timer.start()


def run_until_stopped(run: Callable[[], Coroutine[Any, Any, None]], within_s: float) -> int:
    """Run something endless until SIGTERM or SIGINT cancels it, and return the exit status.

    Parameters
    ----------
    run : called once a loop runs.
    within_s : seconds that its ending may take, whatever hangs.

    Returns
    -------
    0 after a signal, 1 after an error that was raised on purpose, which is told in one line. A thread that it started
    may go on.
    """
    import asyncio

    async def stoppable() -> None:
        here = asyncio.get_running_loop()
        running = asyncio.create_task(run())

        def end() -> None:
            exit_after(within_s)
            cancel()

        def cancel() -> None:
            if not running.done():
                running.cancel()
                here.call_later(CANCEL_S, cancel)

        for sign in (signal.SIGTERM, signal.SIGINT):
            here.add_signal_handler(sign, end)
        await running

    loop = asyncio.new_event_loop()  # `asyncio.run` would wait for threads
    try:
        loop.run_until_complete(stoppable())
    except asyncio.CancelledError:
        return 0
    except StreamError as error:
        click.echo(f"reelstream: {with_cure(click.get_current_context(silent=True), error)}", err=True)
        return 1
    return 0
