"""``reelstream scorekeeper``: the process that counts how often lists are right, and rolls back what drifts."""

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
from commands.parts.running import STOP_S, log_level_option, log_to_stderr, lower_priority, run_until_stopped
from commands.parts.starting import only_one, require_servers

__all__ = ["scorekeeper"]


@click.command()
@address_options
@partitions_option
@click.option(
    "--guard/--no-guard",
    default=True,
    show_default=True,
    help="Serve the parent again where personalised lists are clearly behind popularity.",
)
@metrics_options
@log_level_option
def scorekeeper(*, guard: bool, log_level: str, **given: Any) -> None:
    """Test every event against the list before it until stopped.

    Run one scorekeeper per installation.
    """
    settings = given_settings(given)
    log_to_stderr(log_level)
    address = metrics_address(given)
    require_servers("scorekeeper", settings)
    with only_one("scorekeeper", settings, "scorekeeper", "an installation has one: end it first"):
        from agents.scorekeeper.scorekeeper import Scorekeeper, ScorekeeperConfig
        from streams.metrics.endpoint import process_registry, serve_metrics
        from streams.metrics.loop_life import LoopLife

        registry, life = process_registry("scorekeeper"), LoopLife()
        serve_metrics("scorekeeper", registry, address, life)
        lower_priority()
        config = ScorekeeperConfig(guard=guard)
        status = run_until_stopped(lambda: life.during(Scorekeeper(settings, config, registry).run()), STOP_S)
    logging.shutdown()
    os._exit(status)  # an ordinary exit would wait for a registry that hangs; what is not stored is read again
