"""Tables as lines of text, and what the commands that draw share: they say what is missing before hours of work."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from streams.errors import SettingsError

__all__ = ["Row", "drawing_module", "require_folder", "table"]

Row = tuple[str, ...]


def drawing_module(where: str, path: Path, module: str) -> Any:
    """Return a module that draws, once it is clear that it can be had and the file's folder exists.

    Parameters
    ----------
    where : the command and its option, as the message begins: ``eval: --plot``.
    path : of the file to draw into.
    module : its dotted name.

    Raises
    ------
    SettingsError
        If a package or the folder is missing.
    """
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{where} requires the package {error.name!r}, got none: pip install 'reelstream[eval]'"
        ) from error
    require_folder(where, path)
    return found


def require_folder(where: str, path: Path) -> None:
    """Refuse a file in a folder that is not there, with a SettingsError."""
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"{where} requires a file in a folder that exists, got {str(path)!r}")


def table(rows: Sequence[Row]) -> str:
    """Return rows as lines, the first column to the left and the others to the right; rows may be shorter."""
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"
