"""What a person may say about a recorded log: one group of options for every command that reads one."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from replay.datasets.dataset import Dataset
    from replay.datasets.options import LogOptions

__all__ = [
    "LOG_OPTION_NAMES",
    "as_words",
    "has_log_options",
    "log_options",
    "read_log",
    "taken_log_options",
    "tell_notes",
]

F = TypeVar("F", bound=Callable[..., Any])
PARTS = (
    ("user", "Column of users."),
    ("item", "Column of items."),
    ("time", "Column of times; `none`: rows come in the order of time."),
    ("rating", "Column of ratings; `none` for no ratings."),
    ("kind", "Column of kinds of events; `none` for none."),
    ("weight", "Column of the share that was watched; `none` for none."),
)
LOG_OPTION_NAMES = (
    *(name for name, _ in PARTS),
    *("scale", "sep", "no_header", "columns", "time_unit", "implicit", "skip_bad", "items", "user_id"),
)


class _Scale(click.ParamType):
    """Two numbers such as ``1..10``."""

    name = "least..most"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        from replay.datasets.options import scale_of

        try:
            return value if isinstance(value, tuple) else scale_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Names(click.ParamType):
    """Names between commas."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ARG002 - click's signature
        return value if isinstance(value, tuple) else tuple(name.strip() for name in str(value).split(","))


def log_options(command: F) -> F:
    """Add the options of :class:`replay.datasets.options.LogOptions`; a file beside the log may say the same."""
    options = [
        *(click.option(f"--{name}", metavar="COLUMN", help=text) for name, text in PARTS),
        click.option("--scale", type=_Scale(), help="Least and most that a rating is, such as 1..10."),
        click.option("--sep", metavar="CHARACTER", help="Between fields: `tab`, `;` and so on."),
        click.option("--no-header", is_flag=True, help="The first line is data."),
        click.option("--columns", type=_Names(), help="What the columns are called, in their order."),
        click.option(
            "--time-unit",
            metavar="UNIT",
            help="seconds, milliseconds, microseconds, nanoseconds, days, or a format such as %d/%m/%Y.",
        ),
        click.option("--implicit", is_flag=True, help="Pass over ratings: each row counts in full."),
        click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be read, and count them by cause."),
        click.option("--items", type=click.Path(exists=True, path_type=Path), help="Table of titles and genres."),
        click.option("--user-id", metavar="NAME", help="Whose the log is, where no column says it."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def taken_log_options(given: dict[str, Any]) -> "LogOptions":
    """Take the log's options out of a command's arguments."""
    from replay.datasets.options import LogOptions

    taken = {name: given.pop(name) for name in LOG_OPTION_NAMES}
    return LogOptions(**taken | {"columns": taken["columns"] or ()})


def has_log_options(options: "LogOptions") -> bool:
    """Tell whether anything is said of a log."""
    return bool(as_words(options))


def as_words(options: "LogOptions") -> list[str]:
    """Return options as they are written on a command line."""
    words = []
    for name in LOG_OPTION_NAMES:
        value = getattr(options, name)
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value not in (None, False, ()):
            words += [option, _written(name, value)]
    return words


def read_log(dataset: str, *, seed: int, options: "LogOptions | None" = None, quiet: bool = False) -> "Dataset":
    """Read a log with the kinds of the installation, and tell on stderr what was assumed of it.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    from replay.datasets.readers import read_dataset
    from streams.settings import Settings

    log = read_dataset(dataset, seed=seed, options=options, kinds=Settings.from_environment().kinds)
    if not quiet:
        tell_notes(log)
    return log


def tell_notes(log: "Dataset") -> None:
    """Print on stderr what was assumed of a log, and what was left out of it."""
    for note in log.notes:
        click.echo(f"note: {note}", err=True)
    for cause, rows in log.left_out.items():
        click.echo(f"left out: {rows:,} rows, {cause}", err=True)


def _written(name: str, value: Any) -> str:
    if name == "scale":
        return f"{value[0]:g}..{value[1]:g}"
    text = ",".join(value) if name == "columns" else str(value)
    return "tab" if text == "\t" else text
