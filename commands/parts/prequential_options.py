"""What the commands that replay a log through the model share: their options, and the run that these describe."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from commands.parts.log_options import log_options, read_log, taken_log_options
from commands.parts.options import repeats_option
from commands.parts.running import limit_threads, require_torch
from commands.parts.telling import waiting
from commands.parts.training_options import EPOCHS, progress_bar, run_options, training_of

if TYPE_CHECKING:
    from model.reranking.diversified import DiversityConfig
    from replay.datasets.options import LogOptions
    from replay.prequential.run import PrequentialConfig, PrequentialRun
    from replay.prequential.stream import Stream

__all__ = ["PreparedReplay", "StreamOptions", "learn_first_version", "prepare_replay", "stream_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """The values that were given for ``stream_options``."""

    least_stars: float
    warm_up: float
    limit: int | None
    repeats: bool
    every: int
    epochs: int
    seed: int
    threads: int
    quiet: bool
    as_json: bool
    log: "LogOptions"

    @classmethod
    def taken(cls, given: dict[str, Any]) -> Self:
        """Take these options out of a command's arguments."""
        own = {field.name: given.pop(field.name) for field in fields(cls) if field.name != "log"}
        return cls(**own, log=taken_log_options(given))


@dataclass(frozen=True, slots=True)
class PreparedReplay:
    """A stream, how it is replayed, and what identifies this replay among others."""

    stream: "Stream"
    config: "PrequentialConfig"
    about: dict[str, Any]


def stream_options(command: F) -> F:
    """Add the options of :class:`StreamOptions`."""
    for option in (
        run_options,
        log_options,
        repeats_option,
        click.option(
            "--epochs",
            type=click.IntRange(min=1),
            default=EPOCHS,
            show_default=True,
            help="Of the first training, on the warm-up.",
        ),
        click.option(
            "--every",
            type=click.IntRange(min=1),
            default=5000,
            show_default=True,
            help="Events between two rounds of learning.",
        ),
        click.option("--limit", type=click.IntRange(min=2), help="Take the earliest so many events."),
        click.option(
            "--warm-up",
            type=click.FloatRange(0.0, 0.9),
            default=0.2,
            show_default=True,
            help="Share that is learnt untested.",
        ),
        click.option(
            "--least-stars",
            type=click.FloatRange(0.0, 5.0),
            default=0.0,
            help="Leave out events that were rated lower.",
        ),
    ):
        command = option(command)
    return command


def prepare_replay(dataset: str, options: StreamOptions, diversity: "DiversityConfig | None" = None) -> PreparedReplay:
    """Read a log and say how it is replayed.

    diversity : the weights that lists are made with a second time, if they are.

    Raises
    ------
    DataError
        If the log cannot be read, or has nothing to learn from or to test.
    """
    require_torch("prequential")
    import torch

    from model.network.shape import NeuMFConfig
    from model.reranking.diversified import DiversityConfig
    from model.training.rounds import RoundConfig
    from replay.prequential.run import PrequentialConfig
    from replay.prequential.stream import Stream

    torch.set_num_threads(options.threads)
    limit_threads(options.threads)
    with waiting(f"reading {dataset}", quiet=options.quiet):
        log = read_log(dataset, seed=options.seed, options=options.log, quiet=options.quiet)
    stream = Stream.of(
        log, warm_up=options.warm_up, least_stars=options.least_stars, limit=options.limit, repeats=options.repeats
    )
    network = NeuMFConfig(repeats=options.repeats)
    rounds = RoundConfig(network=network, first=training_of(stream.warm, options.epochs))
    config = PrequentialConfig(
        round_every=options.every, seed=options.seed, rounds=rounds, diversity=diversity or DiversityConfig()
    )
    about = {
        "data": {
            "name": log.name,
            "file": log.origin.file,
            "sha256": log.origin.sha256,
            "left_out": dict(log.left_out),
        },
        "events": len(stream),
        "least_stars": options.least_stars,
        "repeats": {"kept": options.repeats, "events": stream.repeated},
        "warm_up_share": options.warm_up,
        "seed": options.seed,
        "config": json.loads(json.dumps(asdict(config))),
    }
    return PreparedReplay(stream, config, about)


def learn_first_version(run: "PrequentialRun", *, quiet: bool) -> None:
    """Warm a run up and let it learn its first version; if it gets none, later rounds try again."""
    run.warm_up(run.stream.warm)
    with progress_bar(quiet=quiet) as progress:
        run.round(progress=progress)
    if run.learner.champion is None and not quiet:
        click.echo(
            "the warm-up led to no version that is as good as popularity; cold start until a round does", err=True
        )
