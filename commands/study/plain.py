"""``reelstream train --plain``: the NeuMF of the paper, trained and measured; no version of it is ever served."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.parts.log_options import read_log
from commands.parts.running import limit_threads, require_torch
from commands.parts.telling import waiting
from commands.parts.training_options import progress_bar
from streams.errors import DataError

if TYPE_CHECKING:
    from model.plain.fit import Backend, PlainProgress
    from model.plain.network import PlainNeuMF
    from replay.datasets.options import LogOptions
    from replay.evaluation.baselines.plain_neumf import PaperNeuMF
    from replay.evaluation.split import Split

__all__ = ["train_plain"]


def train_plain(
    dataset: str,
    *,
    backend: "Backend",
    epochs: int | None,
    seed: int,
    threads: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    options: "LogOptions | None" = None,
) -> None:
    """Train on all but the last event of each user, rank that one among 99 unseen items, and print the figures.

    Parameters
    ----------
    dataset : a name of ``data list`` or a path.
    backend : what does the arithmetic.
    epochs : passes over the data; None for the number chosen on users' penultimate events.
    seed : of order, negatives and first weights.
    threads : cores for the arithmetic.
    out : where the weights go, as safetensors; nowhere if None.
    quiet, as_json : no progress on stderr; one JSON object on stdout.
    options : what is said of the log.
    """
    import numpy as np

    require_torch("train --plain")
    import torch

    from replay.evaluation.baselines.plain_neumf import PlainScorer
    from replay.evaluation.leave_one_out import leave_one_out
    from replay.evaluation.protocol import rank_held_out
    from replay.evaluation.split import TESTED_USERS

    torch.set_num_threads(threads)
    limit_threads(threads)
    with waiting(f"reading {dataset}", quiet=quiet):
        split = leave_one_out(read_log(dataset, seed=seed, options=options, quiet=quiet), np.random.default_rng(seed))
    split = split.sampled(TESTED_USERS, np.random.default_rng(seed))
    with _progress(quiet=quiet) as progress:
        method = _method(backend, epochs, progress)
        began = time.monotonic()
        network = method.trained(split, np.random.default_rng(seed))
        seconds = time.monotonic() - began
    if out is not None:
        _write(out, network, split)
    ranks = rank_held_out(PlainScorer(network, split.users), split)
    report = _report(method, split, ranks.sampled, seconds, {"backend": backend, "seed": seed, "out": out and str(out)})
    click.echo(json.dumps(report) if as_json else _text(report))


def _method(backend: "Backend", epochs: int | None, progress: "PlainProgress | None") -> "PaperNeuMF":
    from model.plain.fit import PlainTraining
    from replay.evaluation.baselines.plain_neumf import PaperNeuMF

    training = PlainTraining() if epochs is None else PlainTraining(epochs=epochs)
    return PaperNeuMF(training=training, backend=backend, progress=progress)


@contextmanager
def _progress(*, quiet: bool) -> "Iterator[PlainProgress | None]":
    from model.training.fit import Step

    with progress_bar(quiet=quiet) as show:
        yield show and (lambda number, of, loss: show(Step(number, of, loss)))


def _write(out: Path, network: "PlainNeuMF", split: "Split") -> None:
    """Write the weights, and beside them in the same file whose rows they are."""
    from fsspec.implementations.local import LocalFileSystem
    from safetensors.torch import save

    from streams.files import put_whole

    rows = {"users": json.dumps(split.user_ids), "items": json.dumps(tuple(split.catalogue.items))}
    weights = {name: weight.contiguous() for name, weight in network.state_dict().items()}
    try:
        put_whole(LocalFileSystem(), str(out.absolute()), save(weights, rows))
    except OSError as error:
        raise DataError(
            f"train: weights must be writable at {out}, got {error}; name another file with --out"
        ) from error


def _report(
    method: "PaperNeuMF", split: "Split", ranks: Any, seconds: float, more: Mapping[str, Any]
) -> dict[str, Any]:
    from model.metrics.ranking import half_ranks, hit_rate, ndcg

    training = method.training.sized(len(split.train))
    counts = split.owners()[split.candidates]
    popular = half_ranks(counts[:, 0], counts[:, 1:])
    samples = training.epochs * len(split.train) * (1 + training.negatives)
    return {
        "metrics": {"hr@10": hit_rate(ranks), "ndcg@10": ndcg(ranks)},
        "popularity": {"hr@10": hit_rate(popular), "ndcg@10": ndcg(popular)},
        "protocol": f"each user's last event among {split.n_negatives} unseen items, half-rank ties",
        "data": {"name": split.name, "sha256": split.sha256},
        "users": len(split),
        "users_sampled_of": split.sampled_of,
        "items": split.n_items,
        "events": len(split.train),
        "config": {"network": asdict(method.network), "training": asdict(training)},
        "samples": samples,
        "samples_per_s": round(samples / seconds),
        "epochs": training.epochs,
        "seconds": round(seconds, 1),
        **more,
    }


def _text(report: Mapping[str, Any]) -> str:
    mine, popular = report["metrics"], report["popularity"]
    beside = f"(popularity {popular['hr@10']:.4f}, {popular['ndcg@10']:.4f})"
    drawn = f" of {report['users_sampled_of']:,}, drawn at random" if report["users_sampled_of"] else ""
    sizes = f"{report['users']:,} users tested{drawn}, {report['items']:,} items, {report['events']:,} training events"
    speed = f"{report['epochs']} epochs in {report['seconds']} s, {report['samples_per_s']:,} samples a second"
    return (
        f"plain NeuMF ({report['backend']}): HR@10 {mine['hr@10']:.4f}, NDCG@10 {mine['ndcg@10']:.4f} {beside}\n"
        f"{sizes}; {report['protocol']}\n"
        f"{speed}; weights in {report['out'] or 'no file: name one with --out'}"
    )
