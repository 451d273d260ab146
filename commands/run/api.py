"""``reelstream api``: the process that answers over HTTP."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import orjson

from commands.parts.options import (
    address_options,
    given_settings,
    keys_option,
    metrics_address,
    metrics_options,
    partitions_option,
)
from commands.parts.running import log_level_option, log_to_stderr
from streams.errors import SettingsError

__all__ = ["api"]


@click.command()
@address_options
@partitions_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; another one needs keys.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@keys_option
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=1000,
    show_default=True,
    help="Requests and events a second of a key that has no rate of its own; 0 for no limit.",
)
@click.option(
    "--budget-ms",
    type=click.IntRange(1, 10_000),
    default=1000,
    show_default=True,
    help="What a fresh list may take, unless its request says so.",
)
@click.option(
    "--body-bytes", type=click.IntRange(1), default=2_000_000, show_default=True, help="Largest body of a request."
)
@click.option("--batch", type=click.IntRange(1), default=1000, show_default=True, help="Most events of a request.")
@click.option(
    "--time-s",
    type=click.FloatRange(min=0, min_open=True),
    default=30,
    show_default=True,
    help="Seconds that an answer may take; streams of lists have no end.",
)
@metrics_options
@click.option("--openapi", is_flag=True, help="Print the OpenAPI document and end.")
@log_level_option
def api(*, host: str, port: int, keys: Path, openapi: bool, log_level: str, **given: Any) -> None:
    """Answer over HTTP until stopped.

    It keeps nothing itself: start as many as needed. Without keys only this machine may ask.
    """
    settings = given_settings(given)
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise SettingsError("api: the extra `web` is required, got none; install it with pip install 'reelstream[web]'")
    if openapi:
        from web.app import api_document

        click.echo(orjson.dumps(api_document(settings), option=orjson.OPT_INDENT_2).decode())
        return
    from streams.kafka.topics import verify_topics
    from streams.serving.known_topics import require_renamed
    from web.api.keys import KeyFile
    from web.api.limits import ApiConfig
    from web.server import serve

    log_to_stderr(log_level)
    metrics_at = metrics_address(given)
    verify_topics(settings)
    require_renamed(settings)
    serve(settings, ApiConfig(host=host, port=port, **given), KeyFile(keys), metrics_at)
    sys.exit(0)
