"""``reelstream eval``: figures that others can compute as well, with known methods beside them."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from commands.groups import SuggestingGroup
from commands.parts.drawing import drawing_module
from commands.parts.log_options import as_words, log_options, taken_log_options
from commands.parts.options import diversity_options, repeats_option
from commands.parts.running import limit_threads, require_torch
from commands.parts.splits import PATH, left_out, movies_option, split_at
from commands.parts.telling import say_next, waiting
from commands.parts.training_options import progress_bar, training_of, training_options
from commands.study.ablation import ablation
from streams.errors import SettingsError

if TYPE_CHECKING:
    from commands.parts.eval_report import EvaluationResult
    from model.network.shape import NeuMFConfig
    from model.training.fit import TrainingConfig
    from replay.evaluation.protocol import MethodRun
    from replay.evaluation.scorers import ItemScorer, Method
    from replay.evaluation.split import Split
    from replay.evaluation.summary import Protocol

__all__ = ["EvaluationOptions", "evaluate", "protocol_options"]

DEFAULT = (
    "popularity",
    "item-knn",
    "co-occurrence",
    "ease",
    "als",
    "svd",
    "nmf",
)  # half a minute together on a million events
OURS, RERANKED = "Reelstream", "Reelstream, re-ranked"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What the options of the three protocols say.

    Parameters
    ----------
    seed, seeds : of the split and the first run; how many runs.
    k : length of the lists.
    epochs, negatives, threads : of our training, and of everything.
    baselines : as typed; None for the default ones.
    only_baselines : whether ours is left out.
    test_users : users who are tested at most; None for the usual number.
    plot : where to draw, if anywhere.
    quiet, as_json : what goes to stderr and to stdout.
    mmr, calibration : weights of re-ranking; with one of them our lists are ranked a second time.
    repeats : whether a user's further events with an item are kept.
    """

    seed: int
    seeds: int
    k: int
    epochs: int
    negatives: int
    threads: int
    baselines: str | None
    only_baselines: bool
    test_users: int | None
    plot: Path | None
    quiet: bool
    as_json: bool
    mmr: float = 0.0
    calibration: float = 0.0
    repeats: bool = False


def protocol_options(command: F) -> F:
    """Add what the protocols share."""
    for option in (
        click.option(
            "--plot",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Draw HR@K by history length into this PNG file.",
        ),
        click.option(
            "--test-users",
            type=click.IntRange(min=1),
            help="Users tested at most: of more a random sample, by --seed. [default: 20000]",
        ),
        click.option("--only-baselines", is_flag=True, help="Leave our own model out."),
        click.option(
            "--baselines",
            metavar="NAMES",
            help=f"Comma list, `all` or `none`; popularity is always there. [default: {','.join(DEFAULT)}]",
        ),
        click.option("--k", type=click.IntRange(min=1), default=10, show_default=True, help="Length of the lists."),
        click.option(
            "--seeds",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Runs of each method that chance plays a part in, from --seed on: means and standard errors.",
        ),
        click.option(
            "--validate", is_flag=True, help="Hold out each user's penultimate event, leave the test event alone."
        ),
    ):
        command = option(command)
    return training_options(diversity_options(command))


@click.group(cls=SuggestingGroup)
def evaluate() -> None:
    """Train and measure on published protocols.

    Known methods are measured on the same events.
    """


evaluate.add_command(ablation)


@evaluate.command()
@click.argument("path", type=PATH)
@movies_option
@protocol_options
def ncf(*, path: Path, movies: Path | None, validate: bool, **given: Any) -> None:
    """Rank each test event of the NCF paper's split in PATH, a folder or zip, among 99 fixed others.

    Without --movies no genres are known and the genre projection stays empty. Defaults were
    chosen with --validate; the test file decided nothing.
    """
    from replay.evaluation.ncf import read_ncf

    split = read_ncf(path, movies=movies, seed=given["seed"])
    _run(split, "sampled", validate=validate, given=given)


@evaluate.command()
@click.argument("dataset")
@repeats_option
@log_options
@protocol_options
def leave_one_out(*, dataset: str, validate: bool, **given: Any) -> None:
    """Hold out the last event of each user of DATASET, and rank it among 99 unseen items drawn at random.

    DATASET is a name of `data list` or a path.
    """
    log = taken_log_options(given)
    how = {"repeats": given["repeats"], "options": log, "quiet": given["quiet"]}
    split = left_out(dataset, given["seed"], negatives=True, **how)
    _run(split, "sampled", validate=validate, given=given)
    if not given["as_json"]:
        say_next("train", dataset, *as_words(log), why="makes a version of the same log")


@evaluate.command()
@click.argument("dataset", metavar="PATH_OR_DATASET")
@movies_option
@repeats_option
@log_options
@protocol_options
def full(*, dataset: str, movies: Path | None, validate: bool, **given: Any) -> None:
    """Rank each held-out event among all items that its user had not touched.

    With --keep-repeats it is ranked among all items. The events are those of `eval ncf` where PATH is such a split,
    else those of `eval leave-one-out`.
    """
    log = taken_log_options(given)
    how = {"repeats": given["repeats"], "options": log, "quiet": given["quiet"]}
    split = split_at(dataset, movies, given["seed"], negatives=False, **how)
    _run(split, "full", validate=validate, given=given)


def _run(split: "Split", protocol: "Protocol", *, validate: bool, given: dict[str, Any]) -> None:
    """Fit and rank every method, and print what came of it."""
    import numpy as np

    require_torch("eval")
    import torch

    from commands.parts.eval_report import EvaluationResult, described, text
    from model.network.shape import NeuMFConfig
    from replay.evaluation.behind import better_methods
    from replay.evaluation.split import TESTED_USERS
    from replay.evaluation.summary import summary

    options = EvaluationOptions(**given)
    if validate:
        split = split.validation(np.random.default_rng(options.seed))
    split = split.sampled(options.test_users or TESTED_USERS, np.random.default_rng(options.seed))
    torch.set_num_threads(options.threads)
    limit_threads(options.threads)
    network = NeuMFConfig(repeats=split.repeats)
    training = training_of(len(split.train), options.epochs, options.negatives)
    known = _baselines(options, split.n_items)
    draw = _drawing(options.plot) if options.plot is not None else None
    began = time.monotonic()
    found = {}
    for name, method in known.items():
        with waiting(f"{name}: fitting and ranking", quiet=options.quiet), _blas_threads(options.threads):
            found[name] = _runs(name, method, split, options)
    if not options.only_baselines:
        found = _our_runs(split, network, training, options) | found
    rivals = {name: runs for name, runs in found.items() if name not in (OURS, RERANKED)}
    evaluated = EvaluationResult(
        split=split,
        summaries=tuple(summary(name, runs, split, protocol, options.k) for name, runs in found.items()),
        better=better_methods(found[OURS], rivals, split, protocol, options.k) if OURS in found else None,
        protocol=protocol,
        held_out="penultimate" if validate else "last",
        k=options.k,
        seed=options.seed,
        seeds=options.seeds,
        config={
            "network": asdict(network),
            "training": asdict(training),
            "diversity": {"mmr": options.mmr, "calibration": options.calibration},
        },
        seconds=round(time.monotonic() - began, 1),
    )
    if draw is not None:
        draw(evaluated)
    click.echo(json.dumps(described(evaluated)) if options.as_json else text(evaluated))


def _baselines(options: EvaluationOptions, n_items: int) -> "dict[str, Method]":
    """Return the chosen baselines; of the default ones those whose packages are there, and that fit into memory."""
    from replay.evaluation.baselines import BASELINES, MAX_PAIRED_ITEMS, PAIRED, baseline

    if options.baselines is None:
        found = {}
        for name in DEFAULT:
            if name in PAIRED and n_items > MAX_PAIRED_ITEMS:
                size = f"{4e-9 * n_items**2:.1f} GB"
                click.echo(
                    f"left out: {name}: weights of all pairs of {n_items:,} items take {size} and more; "
                    "--baselines names it all the same",
                    err=True,
                )
                continue
            try:
                found[name] = baseline(name)
            except SettingsError as error:
                click.echo(f"left out: {error}", err=True)
        return found
    named = {"all": tuple(BASELINES), "none": ()}.get(options.baselines, options.baselines.split(","))
    return {name.strip(): baseline(name.strip()) for name in dict.fromkeys(("popularity", *named))}


def _runs(
    name: str,
    method: "Method",
    split: "Split",
    options: EvaluationOptions,
    rerank: "Callable[[ItemScorer], ItemScorer] | None" = None,
) -> "tuple[MethodRun, ...]":
    """Fit and rank one method over the seeds, and say on stderr how long each run took."""
    from replay.evaluation.protocol import over_seeds

    def tell(run: "MethodRun") -> None:
        if not options.quiet:
            click.echo(f"{name}, seed {run.seed}: fitted in {run.fit_s:.1f} s, ranked in {run.rank_s:.1f} s", err=True)

    return over_seeds(method, split, range(options.seed, options.seed + options.seeds), options.k, tell, rerank)


def _our_runs(
    split: "Split", network: "NeuMFConfig", training: "TrainingConfig", options: EvaluationOptions
) -> "dict[str, tuple[MethodRun, ...]]":
    """Return our runs, and with weights of diversity those of the same fitted models re-ranked."""
    from model.reranking.diversified import DiversityConfig
    from replay.evaluation.neumf import TrainedNeuMF
    from replay.evaluation.reranked import RerankedScorer
    from replay.evaluation.scorers import RankerScorer

    config = DiversityConfig(options.mmr, options.calibration)

    def rerank(scorer: "ItemScorer") -> "ItemScorer":
        assert isinstance(scorer, RankerScorer), "ours asks its ranker"
        return RerankedScorer(scorer, split, config, options.k)

    with progress_bar(quiet=options.quiet) as progress:
        method = TrainedNeuMF(network, training, progress, options.threads)
        runs = _runs(OURS, method, split, options, rerank if config.is_on else None)
    again = tuple(run.reranked for run in runs if run.reranked is not None)
    return {OURS: runs} | ({RERANKED: again} if again else {})


def _blas_threads(threads: int) -> AbstractContextManager[object]:
    """Give products of arrays the chosen threads: those of the known methods are large, ours are small."""
    from threadpoolctl import threadpool_limits

    limited: AbstractContextManager[object] = threadpool_limits(threads, "blas")
    return limited


def _drawing(path: Path) -> "Callable[[EvaluationResult], None]":
    """Return a function that draws into a file; what it lacks is said now, before hours of training."""
    draw = drawing_module("eval: --plot", path, "replay.evaluation.plot").draw
    return lambda evaluated: draw(evaluated.summaries, path, evaluated.k, evaluated.title())
