"""What commands say beside their answers, on stderr: what commonly follows, what is at work, and what cures an error.

The errors of Kafka and Redis name the address alone. Only who typed a command can mend a terminal, so it is said here
which variable an address is of, and where that is from.
"""

import os
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from commands.parts.configuration import Configuration
from streams.errors import ClusterAway, NoCluster, StateAway, StreamError
from streams.settings import VARIABLES, Settings, without_password

__all__ = ["address_cure", "progress_lines", "say_next", "waiting", "with_cure"]

GIVEN = "reelstream.given"  # where ``reelstream.py`` keeps the words behind a command
LINE_S = 30.0  # between two lines of work that goes on
STARTERS = ("up", "stack", "demo")  # which start servers of their own where the variables name none
_URLS = ("redis://", "rediss://", "unix://", "redis+sentinel://", "rediss+sentinel://")
_UNSET = f"unset {VARIABLES['kafka']} {VARIABLES['redis']} {VARIABLES['registry']}"


def say_next(*words: str, why: str = "") -> None:
    """Name the next command, ready to be pasted; who prints JSON calls nothing of this.

    Parameters
    ----------
    words : the command's words behind ``reelstream``, quoted here where a shell needs it.
    why : what it is good for, if the command does not say so.
    """
    click.echo(f"next: reelstream {shlex.join(words)}" + (f"  # {why}" if why else ""), err=True)


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show on stderr what is being done, with the seconds: on a terminal all the time, and nothing stays behind.

    Parameters
    ----------
    what : for example ``reading ml-1m``.
    quiet : whether nothing is shown.

    Yields
    ------
    A function that says more, such as how many are done; elsewhere than on a terminal only what takes long is told.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    is_off = quiet or not console.is_terminal
    told = [what]
    with (
        progress_lines(lambda: told[0], quiet=quiet),
        Progress(*columns, console=console, transient=True, disable=is_off, redirect_stdout=False) as bar,
    ):
        task = bar.add_task(what, total=None)

        def say(more: str) -> None:
            told[0] = f"{what}: {more}"
            bar.update(task, description=told[0])

        yield say


@contextmanager
def progress_lines(text: Callable[[], str], *, quiet: bool = False, every_s: float | None = None) -> Iterator[None]:
    """Print a line on stderr now and then while the block is at work, unless that is a terminal, which shows a bar.

    Parameters
    ----------
    text : returns what is done by now; the time since the beginning is put behind it. Called in another thread.
    quiet : whether nothing is printed.
    every_s : seconds between two lines, ``LINE_S`` by default; work that takes less prints none.
    """
    if quiet or click.get_text_stream("stderr").isatty():
        yield
        return
    wait_s = LINE_S if every_s is None else every_s
    began, is_over = time.monotonic(), threading.Event()

    def tell() -> None:
        while not is_over.wait(wait_s):
            click.echo(f"{text()}, {_duration(time.monotonic() - began)}", err=True)

    thread = threading.Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def with_cure(context: click.Context | None, error: StreamError) -> StreamError:
    """Return an error with the cure behind it, if it says that Kafka or Redis could not be reached; else as it is."""
    name = _unreached(error)
    return error if name is None else type(error)(f"{str(error).rstrip('.')}; {address_cure(context, name)}")


def address_cure(context: click.Context | None, name: str) -> str:
    """Return where the address of ``kafka`` or ``redis`` is from, and what helps where nothing answers there.

    Parameters
    ----------
    context : of the command that was typed, whose words may name the address; None outside of one.
    """
    variable = VARIABLES[name]
    words = () if context is None else context.meta.get(GIVEN, ())
    if _is_given(name, words):
        return f"the command line gave this address, which goes before {variable}: start what should answer there"
    value = os.environ.get(variable)
    if not value:
        default = without_password(getattr(Settings.from_environment({}), name))
        return (
            f"{variable} is not set, so that is the default, {default}: "
            "paste the lines that `reelstream up` prints for other terminals"
        )
    told = f"{variable} is set to {without_password(value)}"
    found = None if context is None else context.find_root().obj
    if isinstance(found, Configuration) and variable in found.filled:
        return f"{found.explained(told)}: correct it, or start what should answer there"
    told = f"{told} in the environment, and nothing answers there"
    command = None if context is None else context.find_root().invoked_subcommand
    if command in STARTERS:
        return f"{told}: `{_UNSET}` lets `reelstream {command}` start its own"
    return f"{told}: paste the lines that a running `reelstream up` prints, or `{_UNSET}` if it has ended"


def _is_given(name: str, words: tuple[str, ...]) -> bool:
    option = f"--{name}"
    is_url = name == "redis" and any(word.startswith(_URLS) for word in words)
    return is_url or any(word == option or word.startswith(f"{option}=") for word in words)


def _duration(seconds: float) -> str:
    """Return seconds as people read them: ``40 s``, ``2 min 5 s``, ``1 h 3 min``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _unreached(error: StreamError) -> str | None:
    """Return whose address an error is about, if anybody's; a Redis that answers that it is busy is where it should."""
    if isinstance(error, NoCluster | ClusterAway):
        return "kafka"
    if not isinstance(error, StateAway):
        return None
    from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - loaded by then

    is_silent = isinstance(error.__cause__, ConnectionError | TimeoutError | OSError)
    return "redis" if is_silent and not isinstance(error.__cause__, BusyLoadingError) else None
