"""``reelstream prequential``: does learning help? Every event is first tested, then learnt, over a whole log."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.training import progress_bar, training_of
from streams.errors import DataError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from replay.prequential.beside import Beside
    from replay.prequential.outcome import Outcome
    from replay.prequential.run import Run

__all__ = ["Options", "prequential"]

FILE = click.Path(dir_okay=False, path_type=Path)
RIVALS = ("popularity", "decayed popularity", "co-occurrence", "isgd")


@dataclass(frozen=True, slots=True)
class Options:
    """What was typed."""

    dataset: str
    least_stars: float
    warm_up: float
    limit: int | None
    every: int
    epochs: int
    seed: int
    rivals: str
    frozen: bool
    threads: int
    checkpoint: Path | None
    report: Path | None
    quiet: bool
    as_json: bool


@click.command()
@click.argument("dataset")
@click.option(
    "--least-stars", type=click.FloatRange(0.0, 5.0), default=0.0, help="Leave out events that were rated lower."
)
@click.option(
    "--warm-up", type=click.FloatRange(0.0, 0.9), default=0.2, show_default=True, help="Share that is learnt untested."
)
@click.option("--limit", type=click.IntRange(min=2), help="Take the earliest so many events.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=5000,
    show_default=True,
    help="Events between two rounds.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), default=18, show_default=True, help="Of the first training, on the warm-up."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of ties and of all chance.")
@click.option("--rivals", default=",".join(RIVALS), show_default=True, metavar="NAMES", help="Comma list, or `none`.")
@click.option("--frozen/--no-frozen", default=True, show_default=True, help="Also run a model that stops learning.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Cores for the learning model.",
)
@click.option("--checkpoint", type=FILE, help="Keep the run here, and go on from it; removed at the end.")
@click.option("--report", type=FILE, help="Write curves and tables: a page (.html) or a picture (.png, .svg).")
@click.option("--quiet", is_flag=True, help="Show no progress on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def prequential(**given: Any) -> None:
    """Replay DATASET, a name of `data list` or a path: test each event on the list of its moment, then learn it.

    Lists come from what a worker calls, learning from what a trainer calls; trending is merged every
    100 events. Rivals and the frozen model run beside it in a second process.
    """
    options = Options(**given)
    draw = _reporting(options.report)
    run, about = _run(options)
    names = _beside_names(options)
    began = time.monotonic()
    with _progress(options, run) as show:
        tracks = _all_tracks(options, run, names, about, show)
    from replay.prequential.outcome import FROZEN, ONLINE, Outcome  # noqa: PLC0415 - keeps --help fast

    ordered = {name: tracks[name] for name in sorted(names, key=lambda name: name != FROZEN)}
    outcome = Outcome(run.stream, run.tally, run.marks, {ONLINE: run.tally.ranks} | ordered, run.config.road.serving.k)
    _tell(outcome, options, about | {"seconds": round(time.monotonic() - began, 1)}, draw)
    if options.checkpoint is not None:
        options.checkpoint.unlink(missing_ok=True)


def _run(options: Options) -> "tuple[Run, dict[str, Any]]":
    """Return a run that has not begun, and what tells it from others."""
    import torch  # noqa: PLC0415 - keeps --help fast

    from model.rounds import RoundConfig  # noqa: PLC0415 - same
    from replay.prequential.run import Run, RunConfig  # noqa: PLC0415 - same
    from replay.prequential.stream import Stream  # noqa: PLC0415 - same
    from replay.readers import read_dataset  # noqa: PLC0415 - same

    torch.set_num_threads(options.threads)
    dataset = read_dataset(options.dataset, seed=options.seed)
    stream = Stream.of(dataset, warm_up=options.warm_up, least_stars=options.least_stars, limit=options.limit)
    rounds = replace(RoundConfig(), first=training_of(stream.warm, options.epochs))
    config = RunConfig(round_every=options.every, seed=options.seed, rounds=rounds)
    about = {
        "data": {"name": dataset.name, "file": dataset.origin.file, "sha256": dataset.origin.sha256},
        "events": len(stream),
        "least_stars": options.least_stars,
        "warm_up_share": options.warm_up,
        "seed": options.seed,
        "config": json.loads(json.dumps(asdict(config))),
    }
    return Run(stream, config), about


def _beside_names(options: Options) -> list[str]:
    from replay.prequential.outcome import FROZEN  # noqa: PLC0415 - keeps --help fast
    from replay.prequential.rivals import RIVALS as KNOWN  # noqa: PLC0415 - same

    names = [] if options.rivals == "none" else [name.strip() for name in options.rivals.split(",")]
    if unknown := [name for name in names if name not in KNOWN]:
        raise SettingsError(f"prequential: --rivals must be among {', '.join(KNOWN)}, got {', '.join(unknown)}")
    return [*dict.fromkeys(names), *([FROZEN] if options.frozen else [])]


def _all_tracks(
    options: Options, run: "Run", names: list[str], about: dict[str, Any], show: "Callable[[Beside], None]"
) -> dict[str, Any]:
    """Run everything to the end and return the ranks of what ran beside."""
    from replay.prequential.beside import Beside  # noqa: PLC0415 - keeps --help fast
    from replay.prequential.keeping import keep, restore  # noqa: PLC0415 - same

    kept = None if options.checkpoint is None else restore(options.checkpoint, run, about)
    tracks = {} if kept is None else {name: ranks for name, ranks in kept.tracks.items() if name in names}
    with Beside(run.stream, run.config, [name for name in names if name not in tracks]) as beside:
        first = _first(options, run) if kept is None else kept.first
        beside.freeze(first)
        while run.done < len(run.stream):
            run.block()
            show(beside)
            if run.is_due():
                run.round()
                beside.collect()
                if options.checkpoint is not None:
                    keep(options.checkpoint, run, first, tracks | beside.found, about)
        while not beside.collect(wait_s=0.5):
            show(beside)
        return tracks | beside.found


def _first(options: Options, run: "Run") -> Any:
    """Warm up and return the first version."""
    run.warm_up(run.stream.warm)
    with progress_bar(quiet=options.quiet) as progress:
        try:
            run.round(progress=progress)
        except ValueError as error:
            raise DataError(f"prequential: {error}") from error
    champion = run.learner.champion
    if champion is None:
        raise DataError(
            "prequential: a first version no worse than popularity is required after the warm-up, got a worse one; "
            "warm up on more events"
        )
    return champion


@contextmanager
def _progress(options: Options, run: "Run") -> "Iterator[Callable[[Beside], None]]":
    """Yield what moves two bars on stderr: the learning model with its hit rate, and what runs beside it."""
    if options.quiet:
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - keeps --help fast
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - same

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    bars = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
    tasks: list[Any] = []

    def show(beside: "Beside") -> None:
        if not tasks:
            bars.start()
            tasks.append(bars.add_task("test, then learn", total=len(run.stream), said=""))
            tasks.append(bars.add_task("beside", total=beside.of, said="", visible=beside.of > 0))
        bars.update(tasks[0], completed=run.done, said=_said(run))
        bars.update(tasks[1], completed=beside.done)

    try:
        yield show
    finally:
        bars.stop()


def _said(run: "Run") -> str:
    """Return the hit rate so far and the rounds."""
    import numpy as np  # noqa: PLC0415 - keeps --help fast

    tests = int(np.searchsorted(run.stream.tests, run.done))
    hits = np.isfinite(run.tally.ranks[:tests])
    rate = f"HR@10 {hits.mean():.3f}, last 5,000 {hits[-5000:].mean():.3f}" if tests else ""
    return f"{rate}, round {len(run.marks)}"


def _reporting(path: Path | None) -> "Callable[[Outcome, str], None]":
    """Return what writes the report, so that what is missing is told before the run and not after it."""
    if path is None:
        return lambda *_: None
    try:
        from replay.prequential.picture import draw, figure_of  # noqa: PLC0415 - imports matplotlib
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"prequential: --report requires the package {error.name!r}, got none: pip install 'reelstream[eval]'"
        ) from error
    if path.suffix not in (".html", ".png", ".svg"):
        raise SettingsError(f"prequential: --report requires a file ending in .html, .png or .svg, got {path.name!r}")
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"prequential: --report requires a file in a folder that exists, got {str(path)!r}")

    def write(outcome: "Outcome", heading: str) -> None:
        if path.suffix != ".html":
            draw(outcome, path, heading)
            return
        from commands.prequential_text import page  # noqa: PLC0415 - keeps --help fast

        picture = StringIO()
        figure_of(outcome, heading).savefig(picture, format="svg")
        path.write_text(page(outcome, heading, picture.getvalue()), encoding="utf-8")

    return write


def _tell(
    outcome: "Outcome", options: Options, about: dict[str, Any], report: "Callable[[Outcome, str], None]"
) -> None:
    from commands.prequential_text import described, text, title  # noqa: PLC0415 - keeps --help fast

    heading = title(outcome, options.least_stars)
    report(outcome, heading)
    click.echo(json.dumps(described(outcome, about)) if options.as_json else text(outcome, heading))
