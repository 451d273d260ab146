"""What the commands that draw share: they say what is missing before hours of work, not after them."""

from importlib import import_module
from pathlib import Path
from typing import Any

from streams.errors import SettingsError

__all__ = ["drawing_module", "require_folder"]


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
