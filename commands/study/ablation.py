"""``reelstream eval ablation``: what each part of the network is worth, by training without it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.parts.options import repeats_option
from commands.parts.running import limit_threads, require_torch
from commands.parts.splits import movies_option, split_at
from commands.parts.training_options import progress_bar, training_of, training_options
from streams.errors import SettingsError

if TYPE_CHECKING:
    import numpy as np

    from replay.evaluation.protocol import MethodRun
    from replay.evaluation.split import Split

__all__ = ["PartWorth", "ablation"]

WHOLE = "all parts"


@dataclass(frozen=True, slots=True)
class PartWorth:
    """A training without one part, against the whole.

    Parameters
    ----------
    without : the part.
    hit_rate, ndcg : at K, mean over users and seeds.
    hit_rate_lost, ndcg_lost : the whole's lead; below zero where the part does harm.
    error : standard error of the first, from the paired differences of the users.
    seconds : of fitting, mean over the seeds.
    """

    without: str
    hit_rate: float
    ndcg: float
    hit_rate_lost: float
    ndcg_lost: float
    error: float
    seconds: float


@click.command()
@click.argument("dataset", metavar="PATH_OR_DATASET")
@movies_option
@click.option("--parts", metavar="NAMES", help="Comma list of the parts to leave out, one at a time. [default: all]")
@click.option("--validate", is_flag=True, help="Hold out each user's penultimate event, leave the test event alone.")
@click.option("--full", "is_full", is_flag=True, help="Rank among the whole catalogue instead of 99 others.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings of each kind.")
@click.option("--k", type=click.IntRange(min=1), default=10, show_default=True, help="Length of the lists.")
@repeats_option
@training_options
def ablation(
    *,
    dataset: str,
    movies: Path | None,
    parts: str | None,
    validate: bool,
    is_full: bool,
    seeds: int,
    k: int,
    repeats: bool,
    epochs: int,
    negatives: int,
    seed: int,
    threads: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train with and without each part of the network, and print what leaving it out costs.

    The events are those of `eval ncf` where PATH is such a split, else those of `eval leave-one-out`. A part whose
    loss is within its standard error has not shown that it earns its place on this data.
    """
    import numpy as np

    require_torch("eval ablation")
    import torch

    from model.network.shape import PARTS, NeuMFConfig
    from replay.evaluation.neumf import TrainedNeuMF
    from replay.evaluation.protocol import over_seeds
    from replay.evaluation.split import TESTED_USERS

    left_out = tuple(name.strip() for name in parts.split(",")) if parts else PARTS
    if unknown := set(left_out) - set(PARTS):
        raise SettingsError(f"eval ablation: --parts must be among {', '.join(PARTS)}, got {sorted(unknown)!r}")
    torch.set_num_threads(threads)
    limit_threads(threads)
    split = split_at(dataset, movies, seed, negatives=not is_full, repeats=repeats, quiet=quiet)
    if validate:
        split = split.validation(np.random.default_rng(seed))
    split = split.sampled(TESTED_USERS, np.random.default_rng(seed))
    training = training_of(len(split.train), epochs, negatives)
    runs: dict[str, tuple[MethodRun, ...]] = {}
    for name in (WHOLE, *left_out):
        network = NeuMFConfig(parts=tuple(part for part in PARTS if part != name), repeats=split.repeats)
        if not quiet:
            click.echo(name if name == WHOLE else f"without {name}", err=True)
        with progress_bar(quiet=quiet) as progress:
            method = TrainedNeuMF(network, training, progress, threads)
            runs[name] = over_seeds(method, split, range(seed, seed + seeds), k)
    found = [_worth(name, some, runs[WHOLE], k, is_full=is_full) for name, some in runs.items()]
    everything = "all items" if split.repeats else "all items not touched before"
    among = everything if is_full else f"{split.n_negatives} others"
    event = "penultimate" if validate else "last"
    of_all = "" if split.sampled_of is None else f" of {split.sampled_of:,}, drawn at random"
    tested = f"the {event} event of {len(split):,} users{of_all}"
    title = f"{split.name}: {tested} among {among}, {epochs} epochs, {seeds} seed(s)"
    report = _described(found, split, title, training=asdict(training), k=k, seed=seed, seeds=seeds)
    click.echo(json.dumps(report) if as_json else _text(found, title, k))


def _worth(
    name: str, runs: "tuple[MethodRun, ...]", whole: "tuple[MethodRun, ...]", k: int, *, is_full: bool
) -> PartWorth:
    import numpy as np

    from model.metrics.ranking import ndcg

    mine, theirs = (_ranks(some, is_full=is_full) for some in (runs, whole))  # (S, U) each
    lost = ((theirs <= k).astype(np.float64) - (mine <= k)).mean(axis=0)  # (U,)
    return PartWorth(
        name,
        float((mine <= k).mean()),
        float(np.mean([ndcg(ranks, k) for ranks in mine])),
        float(lost.mean()),
        float(np.mean([ndcg(ranks, k) for ranks in theirs]) - np.mean([ndcg(ranks, k) for ranks in mine])),
        float(lost.std() / np.sqrt(len(lost))),
        float(np.mean([run.fit_s for run in runs])),
    )


def _ranks(runs: "tuple[MethodRun, ...]", *, is_full: bool) -> "np.ndarray[Any, np.dtype[np.float64]]":
    import numpy as np

    return np.stack([run.ranks.full if is_full else run.ranks.sampled for run in runs])


def _described(found: list[PartWorth], split: "Split", title: str, **more: Any) -> dict[str, Any]:
    data = {"file": split.name, "sha256": split.sha256}
    tested = {"users": len(split), "users_sampled_of": split.sampled_of}
    return {"protocol": title, "data": data, **tested, "parts": [asdict(one) for one in found], **more}


def _text(found: list[PartWorth], title: str, k: int) -> str:
    lines = [title, f"{'':18} HR@{k:<5} NDCG@{k:<5} HR lost  (error)  NDCG lost  fit s"]
    for one in found:
        name = one.without if one.without == WHOLE else f"without {one.without}"
        cells = f"{name:18} {one.hit_rate:.4f}   {one.ndcg:.4f}   "
        lost = f"{one.hit_rate_lost:+.4f}  ({one.error:.4f})  {one.ndcg_lost:+.4f}   "
        lines.append(cells + (" " * len(lost) if one.without == WHOLE else lost) + f"{one.seconds:7.1f}")
    return "\n".join(lines)
