"""What commands say beside their answers, on stderr: which command commonly follows, and that something is at work."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

__all__ = ["say_next", "waiting"]


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
    """Show on a terminal's stderr what is being done, with the seconds, and leave nothing behind.

    Parameters
    ----------
    what : for example ``reading ml-1m``.
    quiet : whether nothing is shown.

    Yields
    ------
    A function that says more, such as how many are done; elsewhere than on a terminal nothing is shown.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    is_off = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_off, redirect_stdout=False) as bar:
        task = bar.add_task(what, total=None)

        def say(more: str) -> None:
            bar.update(task, description=f"{what}: {more}")

        yield say
