"""``reelstream archiver``: the process that keeps accepted events as Parquet files."""

import logging
import os
import signal
from typing import Any

import click

from commands.parts.options import (
    address_options,
    archive_option,
    given_settings,
    metrics_address,
    metrics_options,
    partitions_option,
)
from commands.parts.running import exit_after, log_level_option, log_to_stderr
from streams.errors import StreamError
from streams.metrics.address import MetricsAddress
from streams.settings import Settings

__all__ = ["archiver"]

STOP_S = 9.5  # the archiver's own limits add up to nine seconds


@click.command()
@address_options
@partitions_option
@archive_option
@click.option(
    "--every-events",
    type=click.IntRange(min=1),
    default=50_000,
    show_default=True,
    help="Records of a partition that fill a file.",
)
@click.option(
    "--every-s",
    type=click.FloatRange(min=0.0),
    default=60.0,
    show_default=True,
    help="Seconds after which fewer will do.",
)
@metrics_options
@log_level_option
def archiver(*, url: str, every_events: int, every_s: float, log_level: str, **given: Any) -> None:
    """Write accepted events to Parquet files until stopped.

    Each event is written once. Several archivers share the partitions.
    """
    from streams.kafka.topics import verify_topics

    settings = given_settings(given)
    log_to_stderr(log_level)
    address = metrics_address(given)
    verify_topics(settings)
    status = 0
    try:
        _run(settings, url, every_events, every_s, address)
    except StreamError as error:
        click.echo(f"reelstream: {error}", err=True)
        status = 1
    logging.shutdown()
    os._exit(status)  # an ordinary exit would wait for a store that hangs; what is not written is read again


def _run(settings: Settings, url: str, every_events: int, every_s: float, address: MetricsAddress | None) -> None:
    """Archive until a signal comes."""
    import asyncio

    from agents.archiver.archiver import Archiver, ArchiverConfig
    from streams.metrics.endpoint import process_registry, serve_metrics
    from streams.metrics.loop_life import LoopLife

    registry, life = process_registry("archiver"), LoopLife()
    serve_metrics("archiver", registry, address, life)

    async def keep() -> None:
        config = ArchiverConfig(every_events=every_events, every_s=every_s)
        running = Archiver(settings, url, config, registry)

        def end() -> None:
            exit_after(STOP_S)
            running.stop()

        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, end)
        await running.run()

    asyncio.new_event_loop().run_until_complete(life.during(keep()))  # `asyncio.run` would wait for a store that hangs
