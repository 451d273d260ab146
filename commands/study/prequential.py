"""``reelstream prequential``: does learning help? Every event is first tested, then learnt, over a whole log."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.parts.drawing import drawing_module, require_folder
from commands.parts.options import diversity_options, impression_discount_option
from commands.parts.prequential_options import (
    PreparedReplay,
    StreamOptions,
    learn_first_version,
    prepare_replay,
    stream_options,
)
from commands.parts.running import require_torch
from commands.parts.telling import progress_lines, say_next
from streams.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from replay.prequential.outcome import PrequentialOutcome
    from replay.prequential.run import PrequentialRun
    from replay.prequential.second_process import SecondProcess

__all__ = ["prequential"]

FILE = click.Path(dir_okay=False, path_type=Path)
STREAM_BASELINES = ("popularity", "decayed popularity", "co-occurrence", "isgd")


@click.command()
@click.argument("dataset")
@stream_options
@diversity_options
@impression_discount_option
@click.option("--rivals", metavar="NAMES", help=f"Comma list, or `none`. [default: {','.join(STREAM_BASELINES)}]")
@click.option("--frozen/--no-frozen", default=True, show_default=True, help="Also run a model that stops learning.")
@click.option("--checkpoint", type=FILE, help="Keep the run here, and go on from it; removed at the end.")
@click.option("--report", type=FILE, help="Write curves and tables: a page (.html) or a picture (.png, .svg).")
def prequential(
    dataset: str,
    *,
    mmr: float,
    calibration: float,
    impression_discount: float,
    rivals: str | None,
    frozen: bool,
    checkpoint: Path | None,
    report: Path | None,
    **given: Any,
) -> None:
    """Test each event of a log on the list of its moment.

    Then it is learnt. DATASET is a name of `data list` or a path. Lists come from what a worker calls, learning from
    what a trainer calls; trending is merged every 100 events. Rivals and the frozen model run in a second process.
    With --mmr, --calibration or --impression-discount each list is made a second time, re-ranked as a worker does,
    beside the one by score.
    """
    require_torch("prequential")
    from model.reranking.diversified import DiversityConfig

    options = StreamOptions.taken(given)
    write = _reporting(report)
    names = _names(rivals, frozen=frozen)
    if checkpoint is not None:
        require_folder("prequential: --checkpoint", checkpoint)
    replayed = prepare_replay(dataset, options, DiversityConfig(mmr, calibration, impression_discount))
    names = _possible(names, replayed, are_named=rivals is not None)
    began = time.monotonic()
    from replay.prequential.list_figures import ListFigures
    from replay.prequential.outcome import FROZEN, ONLINE, RERANKED, PrequentialOutcome
    from replay.prequential.run import PrequentialRun

    run = PrequentialRun(replayed.stream, replayed.config)
    with _progress(run, quiet=options.quiet) as show:
        tracks = _all_tracks(run, names, replayed.about, checkpoint, show, quiet=options.quiet)
    ordered = {name: tracks[name] for name in sorted(names, key=lambda name: name != FROZEN)}
    mine = {ONLINE: run.track} | ({} if run.reranked is None else {RERANKED: run.reranked})
    outcome = PrequentialOutcome(
        run.stream,
        run.track,
        run.marks,
        {name: track.ranks for name, track in mine.items()} | ordered,
        run.config.road.serving.k,
        {name: ListFigures.of(run.stream, track.items) for name, track in mine.items()},
    )
    _tell(outcome, options, replayed.about | {"seconds": round(time.monotonic() - began, 1)}, write)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    if not options.as_json:
        say_next("tune-threshold", dataset, why="from how many events on personalised lists are the better ones")


def _names(rivals: str | None, *, frozen: bool) -> list[str]:
    """Return what runs beside, in the order in which it runs."""
    from replay.prequential.baselines import STREAM_BASELINES as KNOWN
    from replay.prequential.outcome import FROZEN

    rivals = rivals or ",".join(STREAM_BASELINES)
    names = [] if rivals == "none" else [name.strip() for name in rivals.split(",")]
    if unknown := [name for name in names if name not in KNOWN]:
        raise SettingsError(f"prequential: --rivals must be among {', '.join(KNOWN)}, got {', '.join(unknown)}")
    return [*dict.fromkeys(names), *([FROZEN] if frozen else [])]


def _possible(names: list[str], replayed: PreparedReplay, *, are_named: bool) -> list[str]:
    """Return the names without one that holds too many pairs of items; that is told, and refused where it was named."""
    from replay.prequential.baseline_ranks import MAX_ITEMS

    n_items = len(replayed.stream.catalogue)
    if "co-occurrence" not in names or n_items <= MAX_ITEMS:
        return names
    required = f"co-occurrence requires at most {MAX_ITEMS:,} items, got {n_items:,}"
    if are_named:
        others = ",".join(name for name in STREAM_BASELINES if name != "co-occurrence")
        raise SettingsError(f"prequential: {required}; leave it out with --rivals '{others}'")
    click.echo(f"left out: {required}", err=True)
    return [name for name in names if name != "co-occurrence"]


def _all_tracks(
    run: "PrequentialRun",
    names: list[str],
    about: dict[str, Any],
    checkpoint: Path | None,
    show: "Callable[[SecondProcess], None]",
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Run everything to the end and return the ranks of what ran beside."""
    from replay.prequential.checkpoint import keep, restore
    from replay.prequential.second_process import SecondProcess

    kept = None if checkpoint is None else restore(checkpoint, run, about)
    tracks = {} if kept is None else {name: ranks for name, ranks in kept.tracks.items() if name in names}
    with SecondProcess(run.stream, run.config, [name for name in names if name not in tracks]) as beside:
        if kept is None:
            learn_first_version(run, quiet=quiet)
        first = run.learner.champion if kept is None else kept.first
        beside.freeze(first)

        def keep_all() -> None:
            if checkpoint is not None:
                keep(checkpoint, run, first, tracks | beside.found, about)

        keep_all()
        for mark in run.blocks():
            show(beside)
            if mark is not None:
                beside.collect()
                keep_all()
        found = len(beside.found)
        while not beside.collect(wait_s=0.5):
            show(beside)
            if len(beside.found) > found:
                found = len(beside.found)
                keep_all()
        return tracks | beside.found


@contextmanager
def _progress(run: "PrequentialRun", *, quiet: bool) -> "Iterator[Callable[[SecondProcess], None]]":
    """Yield a function that moves two bars on stderr: the learning model with its hit rate, and what runs beside it."""
    if quiet:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    console = Console(stderr=True)
    bars = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
    tasks: list[Any] = []
    told = [_told(run)]  # in between blocks alone: within one its parts do not agree

    def show(beside: "SecondProcess") -> None:
        if not tasks:
            bars.start()
            tasks.append(bars.add_task("test, then learn", total=len(run.stream), said=""))
            tasks.append(bars.add_task("beside", total=beside.of, said="", visible=beside.of > 0))
        told[0] = _told(run)
        bars.update(tasks[0], completed=run.done, said=_said(run))
        bars.update(tasks[1], completed=beside.done)

    try:
        with progress_lines(lambda: told[0]):
            yield show
    finally:
        bars.stop()


def _told(run: "PrequentialRun") -> str:
    return f"prequential: {run.done:,} of {len(run.stream):,} events, {_said(run)}"


def _said(run: "PrequentialRun") -> str:
    """Return the hit rate so far, once there is one, and the rounds."""
    import numpy as np

    tests = int(np.searchsorted(run.stream.tests, run.done))
    hits = np.isfinite(run.track.ranks[:tests])
    rates = [f"HR@10 {hits.mean():.3f}", f"last 5,000 {hits[-5000:].mean():.3f}"] if tests else []
    return ", ".join([*rates, f"round {len(run.marks)}"])


def _reporting(path: Path | None) -> "Callable[[PrequentialOutcome, str], None]":
    """Return a function that writes the report; what it lacks is said now, before the run."""
    if path is None:
        return lambda *_: None
    picture = drawing_module("prequential: --report", path, "replay.prequential.picture")
    if path.suffix not in (".html", ".png", ".svg"):
        raise SettingsError(f"prequential: --report requires a file ending in .html, .png or .svg, got {path.name!r}")

    def write(outcome: "PrequentialOutcome", heading: str) -> None:
        if path.suffix != ".html":
            picture.draw(outcome, path, heading)
            return
        from commands.parts.prequential_report import page

        drawn = StringIO()
        picture.figure_of(outcome, heading).savefig(drawn, format="svg")
        path.write_text(page(outcome, heading, drawn.getvalue()), encoding="utf-8")

    return write


def _tell(
    outcome: "PrequentialOutcome",
    options: StreamOptions,
    about: dict[str, Any],
    report: "Callable[[PrequentialOutcome, str], None]",
) -> None:
    from commands.parts.prequential_report import described, text, title

    heading = title(outcome, options.least_stars)
    report(outcome, heading)
    click.echo(json.dumps(described(outcome, about)) if options.as_json else text(outcome, heading))
