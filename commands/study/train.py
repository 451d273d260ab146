"""``reelstream train``: a first model version, from a recorded log or archived events, into the registry."""

import atexit
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from commands.parts.comparing import better_as_values, verdict
from commands.parts.log_options import has_log_options, log_options, read_log, taken_log_options
from commands.parts.options import repeats_option
from commands.parts.running import limit_threads, require_torch
from commands.parts.telling import say_next, waiting
from commands.parts.training_options import progress_bar, training_of, training_options
from commands.study.archived import ArchivedEvents
from commands.study.plain import train_plain
from streams.errors import DataError, SettingsError

if TYPE_CHECKING:
    from model.catalogue import Catalogue
    from model.training.fit import Progress, TrainingConfig, TrainingHooks
    from model.training.learner import Learner
    from model.training.rounds import Candidate
    from replay.datasets.readers import Dataset
    from replay.evaluation.version_check import VersionCheck
    from streams.registry.registry import Registry
    from streams.registry.versions import Version

__all__ = ["train"]


@click.command()
@click.argument("dataset", required=False)
@click.option("--from-archive", "archive", metavar="URL", help="Train on the events that `reelstream archiver` kept.")
@click.option(
    "--catalogue",
    metavar="DATASET",
    help="With --from-archive: take titles and genres from this recorded log, not from the topic catalog-items.",
)
@click.option("--kafka", help="With --from-archive: where that topic is, host:port,... [REELSTREAM_KAFKA]")
@click.option("--prefix", help="With --from-archive: put before topic names. [REELSTREAM_PREFIX]")
@click.option(
    "--out", help="Folder or fsspec URL of the registry [REELSTREAM_REGISTRY]; with --plain a .safetensors file."
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help="Hold out each user's latest event, end after so many epochs without a better HR@10 on them, keep the best.",
)
@click.option(
    "--restarts",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Further cycles of the learning rate within the epochs.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where to train.")
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the training here after each epoch, and go on from it where it exists; removed at the end.",
)
@click.option("--plain", is_flag=True, help="Train the NeuMF of the paper instead and measure it; it is not served.")
@click.option("--backend", type=click.Choice(["torch", "numpy"]), help="With --plain: what does the arithmetic.")
@repeats_option
@log_options
@training_options
@click.pass_context
def train(
    ctx: click.Context,
    /,
    *,
    dataset: str | None,
    archive: str | None,
    catalogue: str | None,
    out: str | None,
    patience: int | None,
    restarts: int,
    device: str,
    checkpoint: Path | None,
    plain: bool,
    backend: Literal["torch", "numpy"] | None,
    repeats: bool,
    epochs: int,
    negatives: int,
    seed: int,
    threads: int,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a first version on recorded or archived events.

    DATASET is a name of `data list` or a path. The newest events are held out and ranked among the whole catalogue:
    HR@10 and NDCG@10 of the version are stored with it, beside those of popularity. It is compared with item kNN and
    co-occurrence counts too. One that is worse than a simple method is stored all the same, and that is said. Serving
    it is a separate step.

    `torchrun --nproc-per-node N --no-python reelstream train ...` trains in N processes, or on N GPUs, each on its
    share of every batch.
    """
    options = taken_log_options(given)
    if backend is not None and not plain:
        raise click.UsageError("--backend goes with --plain")
    if plain and (dataset is None or archive or catalogue or any(given.values())):
        raise click.UsageError("--plain trains on a DATASET")
    own_negatives = ctx.get_parameter_source("negatives") is not ParameterSource.DEFAULT
    if plain and (patience or restarts or checkpoint or device != "cpu" or own_negatives):
        raise click.UsageError("--negatives, --patience, --restarts, --checkpoint and --device do not go with --plain")
    if plain and repeats and ctx.get_parameter_source("repeats") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--keep-repeats does not go with --plain")
    if plain:
        given_epochs = ctx.get_parameter_source("epochs") is not ParameterSource.DEFAULT
        train_plain(
            str(dataset),
            backend=backend or "torch",
            epochs=epochs if given_epochs else None,
            seed=seed,
            threads=threads,
            out=None if out is None else Path(out),
            quiet=quiet,
            as_json=as_json,
            options=options,
        )
        return
    if (dataset is None) == (archive is None):
        raise click.UsageError("give either DATASET or --from-archive URL")
    if archive is None and (catalogue or any(given.values())):
        raise click.UsageError("--catalogue, --kafka and --prefix go with --from-archive")
    if archive is not None and has_log_options(options):
        raise click.UsageError("what is said of a log goes with a DATASET, not with --from-archive")
    _prepare_torch(threads, device)
    leads = _join_peers(device)
    quiet = quiet or not leads
    archived = None if archive is None else ArchivedEvents(archive, catalogue, given)
    with waiting(f"reading {dataset or archive}", quiet=quiet):
        log = archived.read() if archived else read_log(str(dataset), seed=seed, options=options, quiet=quiet)
    _registry(out).require_writable()
    training = training_of(len(log.interactions), epochs, negatives)
    training = replace(training, patience=patience or 0, restarts=restarts, device=device)
    learner = _learner(log, training, repeats=repeats)
    log = replace(log, interactions=log.interactions.iloc[:0].copy())  # the learner has them all
    with _kept(checkpoint, leads=leads) as hooks:
        with progress_bar(quiet=quiet) as progress:
            trained = _trained(learner, log.catalogue, seed, progress, hooks)
        if not leads:  # the process that leads measures and stores what all have trained
            return
        with waiting("comparing with simple methods", quiet=quiet):
            forgotten = archived.forgotten_since if archived else dict
            report = _report(trained, learner, log, out, seed, forgotten)
    _tell(report, out, as_json=as_json)


def _tell(report: dict[str, Any], out: str | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo(_text(report))
    say_next("model", "promote", report["version"], *(() if out is None else ("--registry", out)), why="it serves then")


def _prepare_torch(threads: int, device: str) -> None:
    require_torch("train")
    import torch

    torch.set_num_threads(threads)
    limit_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("train: --device cuda requires a GPU that torch can use, got none; train with --device cpu")


def _join_peers(device: str) -> bool:
    """Train together with the other processes that torchrun has started, if it has; return whether this one leads."""
    import torch
    from torch import distributed

    if not distributed.is_torchelastic_launched():
        return True
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    atexit.register(distributed.destroy_process_group)
    return distributed.get_rank() == 0


def _trained(
    learner: "Learner", catalogue: "Catalogue", seed: int, progress: "Progress | None", hooks: "TrainingHooks"
) -> "tuple[Candidate, float]":
    """Return what the learner made of all it holds, and the seconds it took."""
    import numpy as np

    began = time.monotonic()
    generator = np.random.default_rng(seed)
    try:
        candidate = learner.fine_tune(catalogue, generator=generator, progress=progress, hooks=hooks)
    except (ValueError, FloatingPointError) as error:
        raise DataError(f"train: {error}") from error
    return candidate, time.monotonic() - began


def _report(
    trained: "tuple[Candidate, float]",
    learner: "Learner",
    log: "Dataset",
    out: str | None,
    seed: int,
    forgotten: Callable[[], Mapping[str, str]],
) -> dict[str, Any]:
    """Measure and store what was trained, and return what there is to say about it.

    Parameters
    ----------
    forgotten : returns who was forgotten since the log was read, with what stands in each one's place.
    """
    import numpy as np
    from torch import get_num_threads

    from model.training.gate import gate
    from replay.evaluation.version_check import check_version

    candidate, seconds = trained
    gated = gate(candidate)
    figures = {"hr@10": gated.candidate.hit_rate, "ndcg@10": gated.candidate.ndcg}
    popularity = {"hr@10": gated.popularity.hit_rate, "ndcg@10": gated.popularity.ndcg}
    check = check_version(candidate, np.random.default_rng(seed), threads=get_num_threads())
    stored = figures | {"popularity_hr@10": popularity["hr@10"]} | _lead_over_simple(check)
    version = _store(candidate.snapshot, out, stored, seed, forgotten)
    return {
        "metrics": figures,
        "popularity": popularity,
        "protocol": f"newest events held out, ranked among {_among(candidate)}, half-rank ties",
        "held_out": gated.events,
        "simple": None if check is None else {"users": check.users, "ours": check.hit_rate} | check.simple,
        "worse_than": None if check is None else better_as_values(check.better),
        "verdict": None if check is None else verdict(version.version_id, check.better, tuple(check.simple), 10),
        "version": version.version_id,
        "uri": version.uri,
        "data": {
            "name": log.name,
            "file": log.origin.file,
            "sha256": log.origin.sha256,
            "left_out": dict(log.left_out),
        },
        "users": len(candidate.snapshot.users),
        "items": len(candidate.snapshot.items),
        "events": candidate.material.trained_to,
        "config": _described(learner.rounds.first, candidate.snapshot.describe()["config"]),
        "seed": seed,
        "epochs": candidate.training.epochs,
        "scores": candidate.training.scores,
        "seconds": round(seconds, 1),
    }


def _among(candidate: "Candidate") -> str:
    return "all items" if candidate.snapshot.config.repeats else "all items the user does not know"


def _lead_over_simple(check: "VersionCheck | None") -> dict[str, float]:
    """Return by how much the version is ahead of the best simple method, below zero if behind, to be stored with it."""
    return {} if check is None else {"lead_over_simple": check.hit_rate - max(check.simple.values())}


@contextmanager
def _kept(path: Path | None, *, leads: bool) -> "Iterator[TrainingHooks]":
    """Yield hooks that keep a training in a file and resume it; the file is removed when all went well.

    Of several processes all resume, and the one that leads keeps.
    """
    from model.training.fit import TrainingHooks
    from streams.registry.checkpoints import read_checkpoint, write_checkpoint

    if path is None:
        yield TrainingHooks()
        return
    start = read_checkpoint(path)
    if not leads:
        yield TrainingHooks(start=start)
        return
    yield TrainingHooks(start=start, keep=lambda checkpoint: write_checkpoint(path, checkpoint))
    path.unlink(missing_ok=True)


def _learner(log: "Dataset", training: "TrainingConfig", *, repeats: bool) -> "Learner":
    """Return a learner that holds the whole log, every event as new."""
    from model.network.shape import NeuMFConfig
    from model.training.learner import Learner, LearnerConfig
    from model.training.rounds import RoundConfig

    n = len(log.interactions)
    rounds = RoundConfig(network=NeuMFConfig(repeats=repeats), first=training)
    learner = Learner(LearnerConfig(max_events=n + 1, max_events_per_user=n + 1), rounds)
    learner.observe_columns(log.events())
    return learner


def _store(
    snapshot: Any, out: str | None, figures: dict[str, float], seed: int, forgotten: Callable[[], Mapping[str, str]]
) -> "Version":
    """Store a version without those who were forgotten meanwhile, and return it.

    A trainer takes whoever is forgotten out of the versions that it finds then. So it is asked before the version is
    stored, and once more when there is something for it to find.
    """
    from importlib.metadata import version

    registry = _registry(out)
    stored = registry.save(
        snapshot.without_users(forgotten()),
        parent=None,
        metrics=figures,
        offsets={},
        created_ms=time.time_ns() // 1_000_000,
        seed=seed,
        code_revision=version("reelstream"),
    )
    if names := forgotten():
        registry.forget_users(names)
    return stored


def _registry(out: str | None) -> "Registry":
    from streams.registry.registry import Registry
    from streams.settings import Settings

    return Registry(Settings.from_environment(registry=out).registry)


def _described(training: "TrainingConfig", network: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

    return {"network": network, "training": asdict(training)}


def _text(report: dict[str, Any]) -> str:
    mine, popular = report["metrics"], report["popularity"]
    return (
        f"{report['version']} in {report['uri']}\n"
        f"trained on {report['events']:,} events of {report['users']:,} users in {report['seconds']} s\n"
        f"whole catalogue, {report['held_out']:,} newest events: HR@10 {mine['hr@10']:.3f}, "
        f"NDCG@10 {mine['ndcg@10']:.3f} (popularity {popular['hr@10']:.3f}, {popular['ndcg@10']:.3f})\n"
        f"{_compared(report)}"
    )


def _compared(report: dict[str, Any]) -> str:
    """Return how the version did beside simple methods."""
    if report["simple"] is None:
        return "compared with no simple method: no event was held out of a user that it learnt from"
    simple = dict(report["simple"])
    users, ours = simple.pop("users"), simple.pop("ours")
    rates = ", ".join(f"{name} {rate:.3f}" for name, rate in simple.items())
    return f"next event of {users:,} users: HR@10 {ours:.3f} ({rates})\n{report['verdict']}"
