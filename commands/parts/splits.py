"""The splits that ``reelstream eval`` measures on, by what its commands are given."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.parts.log_options import read_log
from commands.parts.telling import waiting

if TYPE_CHECKING:
    from replay.datasets.options import LogOptions
    from replay.evaluation.split import Split

__all__ = ["PATH", "left_out", "movies_option", "split_at"]

PATH = click.Path(exists=True, path_type=Path)

movies_option = click.option(
    "--movies", type=PATH, help="MovieLens' movies.dat, or the folder or zip it is in: adds genres to an NCF split."
)


def split_at(
    dataset: str,
    movies: Path | None,
    seed: int,
    *,
    negatives: bool,
    repeats: bool = False,
    options: "LogOptions | None" = None,
    quiet: bool = False,
) -> "Split":
    """Return the NCF split at a path, which has no repeats, or the leave-one-out split of a data set."""
    from replay.datasets.readers import is_release
    from replay.evaluation.ncf import is_ncf, read_ncf

    if not is_release(dataset) and Path(dataset).exists() and is_ncf(Path(dataset)):
        return read_ncf(Path(dataset), movies=movies, seed=seed)
    if movies is not None:
        raise click.UsageError("--movies goes with an NCF split; other data sets describe their own items")
    return left_out(dataset, seed, negatives=negatives, repeats=repeats, options=options, quiet=quiet)


def left_out(
    dataset: str,
    seed: int,
    *,
    negatives: bool,
    repeats: bool = False,
    options: "LogOptions | None" = None,
    quiet: bool = False,
) -> "Split":
    """Return the leave-one-out split of a data set, with 99 negatives for each user or none."""
    import numpy as np

    from replay.evaluation.leave_one_out import leave_one_out as split_of
    from replay.evaluation.split import NEGATIVES

    with waiting(f"reading {dataset}", quiet=quiet) as say:
        log = read_log(dataset, seed=seed, options=options, quiet=quiet)
        say("holding out each user's last event")
        return split_of(log, np.random.default_rng(seed), negatives=NEGATIVES if negatives else 0, repeats=repeats)
