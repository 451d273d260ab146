"""``reelstream chaos``: break a stack of its own on purpose, and prove that the state came out right."""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.config_file import CONFIG_VARIABLE

if TYPE_CHECKING:
    from replay.chaos.run import Crew, Report
    from streams.settings import Settings
    from streams.stack.process import Server

__all__ = ["chaos"]


@click.command()
@click.option("--events", type=click.IntRange(min=100), default=50_000, show_default=True, help="Records to send.")
@click.option(
    "--kills", type=click.IntRange(min=0), default=9, show_default=True, help="Faults; 9 is one of each kind."
)
@click.option("--brokers", type=click.Choice(["1", "3"]), default="1", show_default=True, help="Kafka nodes.")
@click.option("--workers", type=click.IntRange(min=1, max=6), default=3, show_default=True, help="Most at once.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of stream and faults.")
@click.option(
    "--appendfsync",
    type=click.Choice(["always", "everysec"]),
    default="everysec",
    show_default=True,
    help="Of Valkey; with everysec its last second or two is taken away at each of its kills.",
)
@click.option(
    "--transactions",
    type=click.FloatRange(min=0, max=0.9),
    default=0.3,
    show_default=True,
    help="Share of the records that goes through transactions.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; progress goes to stderr anyway.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Folder for logs and data, kept.")
def chaos(
    *,
    events: int,
    kills: int,
    brokers: str,
    workers: int,
    seed: int,
    appendfsync: str,
    transactions: float,
    as_json: bool,
    keep: Path | None,
) -> None:
    """Break a stack of its own, and check the state afterwards.

    Everything is killed, paused and restarted while a stream is applied. Then the state is compared with a second
    computation. REELSTREAM_ variables are not heeded. Exit status 1 if anything differs.
    """
    import orjson

    from replay.chaos.run import ChaosConfig, run

    for name in [name for name in os.environ if name.startswith("REELSTREAM_")]:
        del os.environ[name]  # addresses and secrets of another cluster, which workers would inherit
    os.environ[CONFIG_VARIABLE] = ""  # nor do they read a file of them
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    fsync = "always" if appendfsync == "always" else "everysec"
    config = ChaosConfig(events, kills, int(brokers), workers, seed, fsync, transactions)  # type: ignore[arg-type]  # one of two
    with _folder(keep) as folder:
        report = run(config, folder, _crew(events), lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(orjson.dumps(report.as_dict()).decode())
    else:
        _show(report)
    sys.exit(1 if report.differences else 0)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="reelstream-chaos-") as folder:
        yield Path(folder)


def _crew(events: int) -> "Crew":
    """Say how workers and the trainer are started; a short run trains early and often."""
    from commands.parts.children import trainer_process, worker_process
    from replay.chaos.run import Crew

    rounds = str(max(300, min(3000, events // 20)))

    def named(slot: int) -> bool:
        """Give every other worker a fixed name in the group, so that both kinds of membership are broken."""
        return slot % 2 == 0

    def worker(settings: "Settings", slot: int, log: Path) -> "Server":
        return worker_process(settings, log, *(("--id", f"chaos-{slot}") if named(slot) else ()))

    def trainer(settings: "Settings", log: Path) -> "Server":
        return trainer_process(settings, log, "--every-events", rounds, "--first-events", rounds, "--every-s", "5")

    return Crew(worker, trainer, named)


def _show(report: "Report") -> None:
    config = report.config
    records = report.events + report.duplicates + report.withdrawals + report.rejected
    click.echo(
        f"\n{records:,} records: {report.events:,} events of {report.users:,} users, {report.withdrawn:,} of them "
        f"taken back by {report.withdrawals:,} withdrawals, {report.duplicates:,} duplicates, {report.rejected:,} bad; "
        f"{report.forgotten:,} forgettings, {report.merged:,} guests with an account; "
        f"{len(report.faults)} faults, {config.brokers} brokers, seed {config.seed}; "
        f"applied in {report.applied_s:.0f} s"
    )
    click.echo("transactions: " + ", ".join(f"{n:,} {end}" for end, n in report.transactions.items()))
    click.echo(report.guarantee)
    if report.restarts:
        click.echo(f"{len(report.restarts)} processes ended by themselves and were started again:")
        for line in report.restarts[:10]:
            click.echo(f"  {line}")
    click.echo(f"\n{'fault':<24} {'times':>5}")
    for kind in sorted({done.kind for done in report.faults}):
        click.echo(f"{kind:<24} {sum(done.kind == kind for done in report.faults):>5}")
    click.echo(f"\n{'what':<46} {'compared':>10} {'different':>10}")
    for row in report.rows:
        note = " (allowed)" if row.is_info and row.different else ""
        click.echo(f"{row.what:<46} {row.compared:>10,} {row.different:>10,}{note}")
    for row in report.rows:
        if row.different and not row.is_info:
            click.echo(f"\n{row.what}:")
            for example in row.examples:
                click.echo(f"  {example}")
    click.echo(f"\ndifferences: {report.differences}")
