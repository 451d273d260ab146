"""``reelstream trainer``: the process that learns from the events and promotes what is not worse."""

import logging
import os
from typing import Any

import click

from commands.parts.options import (
    address_options,
    given_settings,
    metrics_address,
    metrics_options,
    partitions_option,
)
from commands.parts.running import (
    STOP_S,
    limit_threads,
    log_level_option,
    log_to_stderr,
    lower_priority,
    require_torch,
    run_until_stopped,
)
from commands.parts.starting import only_one, require_servers
from streams.metrics.address import MetricsAddress
from streams.settings import Settings

__all__ = ["trainer"]


@click.command()
@address_options
@partitions_option
@click.option(
    "--every-events", type=click.IntRange(min=1), default=2000, show_default=True, help="New events that start a round."
)
@click.option(
    "--every-s",
    type=click.FloatRange(min=0.0),
    default=20.0,
    show_default=True,
    help="Seconds after which fewer will do.",
)
@click.option(
    "--first-events",
    type=click.IntRange(min=2),
    default=2000,
    show_default=True,
    help="Events needed for a first version.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Cores that training may use."
)
@metrics_options
@log_level_option
def trainer(*, threads: int, log_level: str, **given: Any) -> None:
    """Fine-tune on the events until stopped.

    A version that is not worse than the one that serves is promoted. Run one trainer per installation.
    """
    require_torch("trainer")
    settings = given_settings(given)
    log_to_stderr(log_level)
    address = metrics_address(given)
    require_servers("trainer", settings)
    with only_one("trainer", settings, "trainer", "an installation has one: end it first"):
        status = _learn(settings, threads, address, given)
    logging.shutdown()
    os._exit(status)  # an ordinary exit would wait for a training in its thread; what is not stored is read again


def _learn(settings: Settings, threads: int, address: MetricsAddress | None, given: dict[str, Any]) -> int:
    """Run the trainer until a signal ends it, and return the exit status; a training in its thread goes on."""
    import torch

    from agents.trainer.trainer import Trainer, TrainerConfig
    from streams.metrics.endpoint import process_registry, serve_metrics
    from streams.metrics.loop_life import LoopLife

    registry, life = process_registry("trainer"), LoopLife()
    serve_metrics("trainer", registry, address, life)

    torch.set_num_threads(threads)
    limit_threads(threads)
    lower_priority()

    return run_until_stopped(lambda: life.during(Trainer(settings, TrainerConfig(**given), registry).run()), STOP_S)
