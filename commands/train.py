"""``reelstream train``: make a first model version from a recorded log and store it in the registry."""

import json
import time
from typing import TYPE_CHECKING, Any

import click

from commands.training import progress_bar, training_options

if TYPE_CHECKING:
    from model.learner import Learner
    from model.training import TrainingConfig
    from replay.readers import Dataset

__all__ = ["train"]


@click.command()
@click.argument("dataset")
@click.option("--out", help="Folder or fsspec URL of the registry. [REELSTREAM_REGISTRY]")
@training_options
def train(*, dataset: str, out: str | None, epochs: int, seed: int, threads: int, quiet: bool, as_json: bool) -> None:
    """Train on DATASET, a name of `data list` or a path, and store the version.

    The newest events are held out and ranked among the whole catalogue: HR@10 and NDCG@10 of the
    version are stored with it, beside those of popularity. Serving it is a separate step.
    """
    import numpy as np  # noqa: PLC0415 - keeps --help fast
    import torch  # noqa: PLC0415 - same

    from model.gate import gate  # noqa: PLC0415 - same
    from replay.readers import read_dataset  # noqa: PLC0415 - same

    torch.set_num_threads(threads)
    log = read_dataset(dataset, seed=seed)
    learner = _learner(log, epochs)
    began = time.monotonic()
    with progress_bar(quiet=quiet) as progress:
        candidate = learner.fine_tune(log.catalogue, generator=np.random.default_rng(seed), progress=progress)
    seconds = time.monotonic() - began
    verdict = gate(candidate)
    figures = {"hr@10": verdict.candidate.hit_rate, "ndcg@10": verdict.candidate.ndcg}
    popularity = {"hr@10": verdict.popularity.hit_rate, "ndcg@10": verdict.popularity.ndcg}
    version = _store(candidate.snapshot, out, figures | {"popularity_hr@10": popularity["hr@10"]}, seed)
    report = {
        "metrics": figures,
        "popularity": popularity,
        "protocol": "newest events held out, ranked among all items the user does not know, half-rank ties",
        "held_out": verdict.events,
        "version": version.version_id,
        "uri": version.uri,
        "data": {"name": log.name, "file": log.origin.file, "sha256": log.origin.sha256},
        "users": len(candidate.snapshot.users),
        "items": len(candidate.snapshot.items),
        "events": candidate.material.trained_to,
        "config": _described(learner.rounds.first, candidate.snapshot.describe()["config"]),
        "seed": seed,
        "epochs": epochs,
        "seconds": round(seconds, 1),
    }
    click.echo(json.dumps(report) if as_json else _text(report))


def _learner(log: "Dataset", epochs: int) -> "Learner":
    """Return a learner that holds the whole log, every event as new."""
    from dataclasses import replace  # noqa: PLC0415 - beside its only use

    from model.history import Interaction  # noqa: PLC0415 - keeps --help fast
    from model.learner import Learner, LearnerConfig  # noqa: PLC0415 - same
    from model.rounds import RoundConfig  # noqa: PLC0415 - same

    n = len(log.interactions)
    rounds = RoundConfig()
    first = replace(rounds.first, epochs=epochs, least_steps=0, batch=64 if n > LARGE else rounds.first.batch)
    learner = Learner(LearnerConfig(max_events=n + 1, max_events_per_user=n + 1), replace(rounds, first=first))
    rows = log.interactions[["user_id", "item_id", "ts", "rating"]].itertuples(index=False)
    learner.observe((user, Interaction(item, ts, "rate", rating / 5.0)) for user, item, ts, rating in rows)
    return learner


LARGE = 300_000  # events from which larger batches leave enough steps


def _store(snapshot: Any, out: str | None, figures: dict[str, float], seed: int) -> Any:
    from importlib.metadata import version  # noqa: PLC0415 - beside its only use

    from streams.registry import Registry  # noqa: PLC0415 - keeps --help fast
    from streams.settings import Settings  # noqa: PLC0415 - same

    registry = Registry(Settings.from_environment(registry=out).registry)
    return registry.save(
        snapshot,
        parent=None,
        metrics=figures,
        offsets={},
        created_ms=time.time_ns() // 1_000_000,
        seed=seed,
        code_revision=version("reelstream"),
    )


def _described(training: "TrainingConfig", network: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415 - beside its only use

    return {"network": network, "training": asdict(training)}


def _text(report: dict[str, Any]) -> str:
    mine, popular = report["metrics"], report["popularity"]
    return (
        f"{report['version']} in {report['uri']}\n"
        f"trained on {report['events']:,} events of {report['users']:,} users in {report['seconds']} s\n"
        f"whole catalogue, {report['held_out']:,} newest events: HR@10 {mine['hr@10']:.3f}, "
        f"NDCG@10 {mine['ndcg@10']:.3f} (popularity {popular['hr@10']:.3f}, {popular['ndcg@10']:.3f})"
    )
