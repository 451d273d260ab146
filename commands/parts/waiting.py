"""What a person sees while a command is at something that has no measure of its own: one line that moves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["waiting"]


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
