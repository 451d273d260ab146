"""``reelstream eval``: figures that others can compute as well."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.training import progress_bar, training_options

if TYPE_CHECKING:
    from model.snapshot import Snapshot
    from model.training import Progress, TrainingConfig
    from replay.ncf import NcfSplit

__all__ = ["evaluate"]

PATH = click.Path(exists=True, path_type=Path)


@click.group()
def evaluate() -> None:
    """Train and measure on published protocols."""


@evaluate.command()
@click.argument("path", type=PATH)
@click.option("--movies", type=PATH, help="MovieLens' movies.dat, or the folder or zip it is in: adds genres.")
@click.option("--validate", is_flag=True, help="Hold out each user's last training event, leave the test file alone.")
@training_options
def ncf(
    *,
    path: Path,
    movies: Path | None,
    validate: bool,
    epochs: int,
    seed: int,
    threads: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train on the NCF paper's split in PATH, a folder or zip, and rank each test item among 99 others.

    Without --movies no genres are known and the genre projection stays empty. Defaults were
    chosen with --validate; the test file decided nothing.
    """
    import numpy as np  # noqa: PLC0415 - keeps --help fast
    import torch  # noqa: PLC0415 - same

    from model.ranking import Ranker  # noqa: PLC0415 - same
    from model.training import TrainingConfig  # noqa: PLC0415 - same
    from replay.ncf import model_ranks, popularity_ranks, read_ncf  # noqa: PLC0415 - same

    torch.set_num_threads(threads)
    split = read_ncf(path, seed=seed)
    if validate:
        split = split.validation(np.random.default_rng(seed))
    training = TrainingConfig(epochs=epochs, batch=64)
    began = time.monotonic()
    with progress_bar(quiet=quiet) as progress:
        snapshot = _trained(split, movies, training, seed, progress)
    seconds = time.monotonic() - began
    report = {
        "metrics": _figures(model_ranks(Ranker(snapshot), split)),
        "popularity": _figures(popularity_ranks(split)),
        "popularity_ties_won": _figures(popularity_ranks(split, ties_won=True)),
        "protocol": f"{'last training' if validate else 'test'} event among 99 fixed negatives, half-rank ties",
        "data": {"file": split.path, "sha256": split.sha256},
        "users": len(split.users),
        "items": len(split.item_ids),
        "events": len(split.train),
        "genres": len(snapshot.genres),
        "config": {"network": snapshot.describe()["config"], "training": asdict(training)},
        "seed": seed,
        "epochs": epochs,
        "seconds": round(seconds, 1),
    }
    click.echo(json.dumps(report) if as_json else _text(report))


def _trained(
    split: "NcfSplit", movies: Path | None, training: "TrainingConfig", seed: int, progress: "Progress | None"
) -> "Snapshot":
    import numpy as np  # noqa: PLC0415 - keeps --help fast

    from model.neumf import NeuMFConfig  # noqa: PLC0415 - same
    from model.rounds import train  # noqa: PLC0415 - same
    from replay.ncf import read_catalogue  # noqa: PLC0415 - same

    snapshot, _ = train(
        split.user_ids(),
        split.event_items(),
        split.train["ts"].to_numpy(),
        split.weights(),
        read_catalogue(split, movies),
        network=NeuMFConfig(),
        training=training,
        generator=np.random.default_rng(seed),
        progress=progress,
    )
    return snapshot


def _figures(ranks: Any) -> dict[str, float]:
    from model.metrics import hit_rate, ndcg  # noqa: PLC0415 - keeps --help fast

    return {"hr@10": hit_rate(ranks), "ndcg@10": ndcg(ranks)}


def _text(report: dict[str, Any]) -> str:
    rows = (
        ("Reelstream", report["metrics"]),
        ("popularity", report["popularity"]),
        ("  ties won", report["popularity_ties_won"]),
    )
    lines = [f"{name:12} HR@10 {row['hr@10']:.4f}   NDCG@10 {row['ndcg@10']:.4f}" for name, row in rows]
    base = f"{report['users']:,} users, {report['events']:,} training events, {report['epochs']} epochs"
    lines.append(f"{base}, {report['seconds']} s; {report['protocol']}")
    lines.append("Half of a MovieLens user's consecutive events share a second: users rate pages of films.")
    return "\n".join(lines)
