"""Fetching the MovieLens releases once, checking them, and keeping them in the data folder.

They come from GroupLens, who publish them for research and forbid passing them on, so this project holds none.
Where GroupLens cannot be reached, ml-100k is taken out of the ``recbole`` wheel, which carries it as atomic files
with the original timestamps; the wheel is installed into a temporary folder, alone, by the installer of this
Python environment, and only its data is kept.
"""

import hashlib
import http.client
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from replay.datasets.dataset import Dataset
from replay.datasets.reading import read_path
from streams.errors import DataError
from streams.settings import data_folder

__all__ = ["GROUPLENS", "RELEASES", "Release", "cached", "digest", "fetch", "from_grouplens", "from_wheel"]

GROUPLENS = "https://files.grouplens.org/datasets/movielens"
WHEEL = "recbole==1.2.1"
WHEEL_FOLDER = "recbole/dataset_example/ml-100k"
MAX_SILENCE_S = 5.0  # longest wait for a connection or for its next bytes
MAX_INSTALL_S = 180.0  # a 2 MB wheel over a slow line
CHUNK_BYTES = 1 << 20
BYTES_PER_LINE = 32 * CHUNK_BYTES
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Release:
    """One release as GroupLens publishes it.

    Parameters
    ----------
    summary : for people who choose.
    rows : ratings it holds; None where GroupLens rebuilds it from time to time.
    digest : of its ratings, see ``digest``; None where only the rows are checked.
    in_wheel : whether the wheel carries it too.
    """

    summary: str
    rows: int | None
    digest: str | None = None
    in_wheel: bool = False


RELEASES: Mapping[str, Release] = {
    "ml-100k": Release(
        "943 users, 1,682 films, 1997-1998",
        100_000,
        "c3cfc5e7b99159ff3cd68d3a2d6f60e813c2ecd226528895de15b6cad6e2befb",
        in_wheel=True,
    ),
    "ml-1m": Release(
        "6,040 users, 3,706 rated films, 2000-2003",
        1_000_209,
        "248c3cb9da5a1c220905db6f9460c46607c2d928fd95e1a80b79d78d1e83d3da",
    ),
    "ml-10m": Release("half stars, 1995-2009", 10_000_054),
    "ml-20m": Release("half stars, 1995-2015", 20_000_263),
    "ml-25m": Release("half stars, 1995-2019", 25_000_095),
    "ml-32m": Release("half stars, 1995-2023", 32_000_204),
    "ml-latest-small": Release("small and rebuilt from time to time", None),
}


def cached(name: str, folder: Path | None = None) -> Path | None:
    """Return where a release is kept, or None if it was not fetched yet."""
    place = (folder or data_folder() / "data") / f"{name}.zip"
    return place if place.is_file() else None


def fetch(name: str, *, folder: Path | None = None, grouplens: str = GROUPLENS, tell: Tell | None = None) -> Path:
    """Return the zip of a release, fetched and checked first where it is not kept yet.

    Parameters
    ----------
    name : one of ``RELEASES``.
    folder : where releases are kept; by default ``data`` in the data folder.
    grouplens : address of the folder that holds ``<name>.zip``.
    tell : called with each line of progress; by default they go to standard error.

    Raises
    ------
    DataError
        If no such release is known, or no source gave a copy that passes its check; the message gives each
        source's reason and what to do instead.
    """
    if name not in RELEASES:
        raise DataError(f"data: a release must be one of {', '.join(RELEASES)}, got {name!r}; else give a path")
    folder = folder or data_folder() / "data"
    kept = cached(name, folder)
    return kept if kept is not None else _fetch(name, folder, grouplens, tell or _to_stderr)


def digest(dataset: Dataset) -> str:
    """Return the SHA-256 of the ratings alone, the same whatever format or order they were stored in.

    It is taken over the lines ``user TAB item TAB rating TAB milliseconds``, sorted as text.
    """
    frame = dataset.interactions
    rows = zip(frame["user_id"], frame["item_id"], frame["rating"].tolist(), frame["ts"].tolist(), strict=True)
    lines = sorted(f"{user}\t{item}\t{rating:.1f}\t{ts}\n" for user, item, rating, ts in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def from_grouplens(address: str, target: Path, tell: Tell) -> None:
    """Download a zip to ``target``; raise DataError if it does not come whole."""
    tell(f"fetching {address}")
    request = urllib.request.Request(address, headers={"User-Agent": "reelstream"})  # noqa: S310 - https, or a test's own server
    try:
        with urllib.request.urlopen(request, timeout=MAX_SILENCE_S) as response, target.open("wb") as file:  # noqa: S310 - same
            got = 0
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                got += len(chunk)
                if got % BYTES_PER_LINE < len(chunk):
                    tell(f"fetching {address}: {got / 1e6:,.0f} MB")
            promised = int(response.headers.get("Content-Length", got))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataError(f"{address} must answer with a zip, got {error!r}") from error
    if got != promised:
        raise DataError(f"{address} must send {promised} bytes, got {got}")


def from_wheel(target: Path, tell: Tell) -> None:
    """Take ml-100k out of the wheel and zip it to ``target``; raise DataError if the wheel cannot be had."""
    tell(f"fetching the copy inside the package {WHEEL}")
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        _install(Path(place))
        folder = Path(place) / WHEEL_FOLDER
        try:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                for name in ("ml-100k.inter", "ml-100k.item"):
                    archive.write(folder / name, name)
        except OSError as error:
            raise DataError(f"{WHEEL} must hold {WHEEL_FOLDER}, got {error!r}") from error


def _fetch(name: str, folder: Path, grouplens: str, tell: Tell) -> Path:
    """Try each source in turn; the first copy that passes its check is moved into place in one step."""
    sources: list[Callable[[Path], None]] = [lambda target: from_grouplens(f"{grouplens}/{name}.zip", target, tell)]
    if RELEASES[name].in_wheel:
        sources.append(lambda target: from_wheel(target, tell))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"data: {folder} must be a writable folder, got {error!r}") from error
    reasons = []
    for source in sources:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            target = Path(place) / f"{name}.zip"
            try:
                source(target)
                rows = _check(name, target)
            except DataError as error:
                reasons.append(str(error))
                tell(f"not from there: {error}")
                continue
            target.replace(folder / target.name)
            tell(f"{name}: {rows:,} ratings checked and kept in {folder / target.name}")
            return folder / target.name
    raise DataError(
        f"data: {name} must be fetched, got {'; then '.join(reasons)}; "
        f"download {name}.zip from https://grouplens.org/datasets/movielens/ elsewhere "
        "and give its path instead of the name"
    )


def _check(name: str, target: Path) -> int:
    release = RELEASES[name]
    found = read_path(target, name=name)
    rows = len(found.interactions)
    if release.rows not in (None, rows):
        raise DataError(f"{name} must hold {release.rows} ratings, got {rows}")
    if release.digest is not None and (got := digest(found)) != release.digest:
        raise DataError(f"the ratings of {name} must have SHA-256 {release.digest}, got {got}")
    return rows


def _install(folder: Path) -> None:
    installers = _installers()
    reasons = []
    for installer in installers:
        command = [*installer, "--no-deps", "--only-binary", ":all:", "--quiet", "--target", str(folder), WHEEL]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=MAX_INSTALL_S)  # noqa: S603 - fixed words
        except subprocess.CalledProcessError as error:
            reasons.append(error.stderr.decode(errors="replace").strip()[-300:])
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append(repr(error))
        else:
            return
    raise DataError(f"{WHEEL} must be installable by uv or pip of this environment, got {reasons or 'neither'!r}")


def _installers() -> list[list[str]]:
    """Return how packages are installed here: uv where it is found (its environments have no pip), then pip."""
    beside = os.path.dirname(sys.executable)  # noqa: PTH120 - a folder for which(), links not followed
    uv = shutil.which("uv", path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    found = [[uv, "pip", "install", "--python", sys.executable]] if uv else []
    if importlib.util.find_spec("pip") is not None:
        found.append([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"])
    return found


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
