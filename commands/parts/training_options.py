"""What the commands that train share: their options, and the progress bar on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from commands.parts.telling import progress_lines

if TYPE_CHECKING:
    from model.training.fit import Progress, Step, TrainingConfig

__all__ = ["EPOCHS", "progress_bar", "run_options", "training_of", "training_options"]

EPOCHS = 18  # on the NCF split more still help a little; 12 lose half a point of HR@10
NEGATIVES = 8  # the paper's 4, half of them popular, are worth 0.004 of NDCG@10 less, and 0.009 less among all items
POPULAR = 0.75
LARGE = 300_000  # events from which larger batches leave enough steps
LONG = 4_000_000  # events up to which a step has 64 windows; from there on it grows with the log
MAX_BATCH = 512  # windows; each step moves all rows of all tables, of 200,000 users for a fifth of a second
EPOCH_EVENTS = 8_000_000  # that an epoch predicts at most: of a longer log a random part, another one each time
PREPARING = "training: counting what the log holds"  # until the first step; of a long log for many minutes
FINISHING = "training: all steps done, learning the blend and ranking"  # of a long log for minutes too
F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """Add ``--seed``, ``--threads``, ``--quiet`` and ``--json``."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--quiet", is_flag=True, help="Show no progress on stderr."),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Cores for the arithmetic; more help only while nobody else uses them.",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is random."),
    ):
        command = option(command)
    return command


def training_options(command: F) -> F:
    """Add ``--epochs``, ``--negatives`` and those of :func:`run_options`."""
    for option in (
        run_options,
        click.option(
            "--negatives",
            type=click.IntRange(min=1),
            default=NEGATIVES,
            show_default=True,
            help="Items sampled for each event, three of four by popularity.",
        ),
        click.option(
            "--epochs", type=click.IntRange(min=1), default=EPOCHS, show_default=True, help="Passes over the data."
        ),
    ):
        command = option(command)
    return command


def training_of(events: int, epochs: int = EPOCHS, negatives: int = NEGATIVES) -> "TrainingConfig":
    """Return how a whole log of so many events is trained on."""
    from model.training.fit import TrainingConfig

    batch = min(MAX_BATCH, 64 * max(1, -(-events // LONG))) if events > LARGE else 32
    return TrainingConfig(epochs=epochs, batch=batch, epoch_events=EPOCH_EVENTS, negatives=negatives, popular=POPULAR)


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator["Progress | None"]:
    """Yield a call-back that moves a bar on stderr, elsewhere than on a terminal lines; or None to stay quiet."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    last: list[Step] = []

    def said() -> str:
        if not last:
            return PREPARING
        return FINISHING if last[-1].number == last[-1].of else f"training: {_said(last[-1])}"

    with (
        progress_lines(said),
        Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
        ) as bar,
    ):
        task = bar.add_task(PREPARING, total=None, said="")

        def show(step: "Step") -> None:
            last[:] = [step]
            description = FINISHING if step.number == step.of else "training"
            bar.update(
                task, description=description, completed=step.number, total=step.of, said=f"steps, loss {step.loss:.3f}"
            )

        yield show


def _said(step: "Step") -> str:
    return f"step {step.number:,} of {step.of:,}, loss {step.loss:.3f}"
