"""``reelstream tune-threshold``: from how many events on a user should get personalised lists, measured on a log."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.parts.drawing import drawing_module
from commands.parts.prequential_options import StreamOptions, learn_first_version, prepare_replay, stream_options
from commands.parts.telling import progress_lines, say_next
from streams.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from replay.prequential.run import PrequentialRun
    from replay.prequential.threshold import ModeHitRates, Proposal

__all__ = ["tune_threshold"]


@click.command("tune-threshold")
@click.argument("dataset")
@stream_options
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Past events up to which users are tested.",
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw both hit rates into this PNG file.")
def tune_threshold(dataset: str, *, most: int, plot: Path | None, **given: Any) -> None:
    """Propose --personalize-at from what a log shows.

    DATASET is replayed twice, with cold-start lists only and with personalised ones. Each event of a user with at most
    --most past events is tested on the list of its moment, then learnt. The proposal is the threshold with most hits;
    its range comes from drawing users anew a thousand times. Where no version ever serves there is no proposal, and the
    exit status is 1.
    """
    options = StreamOptions.taken(given)
    draw = _drawing(plot)
    replayed = prepare_replay(dataset, options)
    import numpy as np

    from model.ranking.modes import ModeConfig
    from replay.prequential.run import PrequentialRun
    from replay.prequential.threshold import always_cold, always_personalised, low_history, mode_hit_rates, propose

    began = time.monotonic()
    stream = low_history(replayed.stream, most)
    cold_pass = PrequentialRun(stream, always_cold(replayed.config))
    personalised_pass = PrequentialRun(stream, always_personalised(replayed.config))
    cold = _hits(cold_pass, "cold start", options)
    personalised = _hits(personalised_pass, "personalised", options)
    served = _served(personalised_pass)
    present = ModeConfig().personalize_at
    proposal = propose(stream, cold, personalised, present, np.random.default_rng(options.seed))
    groups = mode_hit_rates(stream, cold, personalised)
    draw(groups, proposal)
    if options.as_json:
        told = {"proposal": asdict(proposal), "present": present, "by_past_events": [asdict(one) for one in groups]}
        told |= {"tests_with_a_version": served}
        click.echo(json.dumps(replayed.about | told | {"seconds": round(time.monotonic() - began, 1)}))
    else:
        click.echo(_text(groups, proposal, present, replayed.stream.name))
        click.echo(f"a version served at {served:,} of {len(personalised):,} tests; at the others both lists are cold")
        say_next("worker", "--personalize-at", str(proposal.threshold))


def _served(run: "PrequentialRun") -> int:
    """Return at how many tests a version served.

    Raises
    ------
    DataError
        If at none: both passes made the same lists then, and speak for no threshold.
    """
    served = int((run.track.versions > 0).sum())
    if not served:
        tried = ", ".join(f"{mark.decision} after {mark.events:,} events" for mark in run.marks)
        raise DataError(
            "tune-threshold: a version that serves is required to compare with cold start, got none in "
            f"{len(run.marks)} rounds ({tried}); take a longer log, or more --epochs"
        )
    return served


def _hits(run: "PrequentialRun", name: str, options: StreamOptions) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Run a pass to its end and return bool (T,), which tests its lists hit."""
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    if run.config.round_every:
        learn_first_version(run, quiet=options.quiet)
    else:
        run.warm_up(run.stream.warm)
    console, of = Console(stderr=True), len(run.stream)
    with (
        progress_lines(lambda: f"threshold: {name}, {run.done:,} of {of:,} events", quiet=options.quiet),
        Progress(console=console, disable=options.quiet or not console.is_terminal) as bar,
    ):
        task = bar.add_task(name, total=of)
        for _ in run.blocks():
            bar.update(task, completed=run.done)
    return np.isfinite(run.track.ranks)


def _text(groups: "Sequence[ModeHitRates]", proposal: "Proposal", present: int, name: str) -> str:
    lines = [f"{name}: HR@10 by number of past events", "", " past   tests    cold  personalised"]
    for one in groups:
        mark = "  <- proposed threshold" if one.past_events == proposal.threshold else ""
        lines.append(f"{one.past_events:5} {one.tests:7,}  {one.cold:.4f}        {one.personalised:.4f}{mark}")
    lines.append("")
    lines.append(
        f"proposed: --personalize-at {proposal.threshold} (95 % of the draws of users: {proposal.low} to "
        f"{proposal.high}), HR@10 {proposal.hit_rate:.4f} over these tests"
    )
    lines.append(
        f"over the present {present}: {proposal.gain:+.4f} ({proposal.gain_low:+.4f} to {proposal.gain_high:+.4f})"
    )
    return "\n".join(lines)


def _drawing(path: Path | None) -> "Callable[[Sequence[ModeHitRates], Proposal], None]":
    """Return a function that draws; what it lacks is said now, before the run."""
    if path is None:
        return lambda *_: None
    draw = drawing_module("tune-threshold: --plot", path, "replay.prequential.picture").draw_threshold
    return lambda groups, proposal: draw(groups, proposal, path)
