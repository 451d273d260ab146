"""``reelstream topics``: make the topics and check them."""

from typing import Any

import click
import orjson

from commands.groups import SuggestingGroup
from commands.parts.options import address_options, given_settings, partitions_option
from commands.parts.telling import say_next

__all__ = ["topics"]


@click.group(cls=SuggestingGroup)
def topics() -> None:
    """Make the topics and check them."""


@topics.command()
@address_options
@partitions_option
@click.option("--replication", type=int, help="Copies of each partition. [REELSTREAM_REPLICATION]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def create(*, as_json: bool, **given: Any) -> None:
    """Create the topics that are missing; those that are there are checked, not changed."""
    from streams.kafka.topics import TOPICS, create_topics

    settings = given_settings(given)
    created = create_topics(settings)
    rows = [
        {
            "topic": settings.prefix + topic.name,
            "partitions": topic.partitions(settings),
            "cleanup": topic.configuration()["cleanup.policy"],
            "created": settings.prefix + topic.name in created,
        }
        for topic in TOPICS
    ]
    if as_json:
        click.echo(orjson.dumps({"topics": rows}).decode())
        return
    for row in rows:
        state = "created" if row["created"] else "there already"
        click.echo(f"{row['topic']:<40} {row['partitions']:>3} partitions  {row['cleanup']:<8} {state}")
    say_next("worker", why="answers events with lists; `reelstream trainer` learns from them")
