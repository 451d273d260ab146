"""What the commands of long-running processes share: their log, and an end that is certain."""

import logging
import os
import sys
import threading

import click

__all__ = ["end_within", "log_level_option", "log_to_stderr"]

HUNG_STATUS = 75  # EX_TEMPFAIL of sysexits: start me again
_NOISY = ("aiokafka", "faust", "mode", "aiokafka.consumer.group_coordinator")

log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="What to log on stderr.",
)


def log_to_stderr(level: str) -> None:
    """Log from this level on; the libraries below us only from warnings on."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def end_within(seconds: float) -> None:
    """End the process for certain after some seconds, whatever hangs."""
    timer = threading.Timer(seconds, os._exit, (HUNG_STATUS,))
    timer.daemon = True
    timer.start()
