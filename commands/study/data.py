"""``reelstream data``: fetch recorded logs, see which are kept here, and look at any other."""

import json

import click

from commands.groups import SuggestingGroup
from commands.parts.telling import say_next, waiting
from commands.study.inspecting import inspect

__all__ = ["data"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=SuggestingGroup)
def data() -> None:
    """Fetch MovieLens, list what is kept, and inspect any log."""


data.add_command(inspect)


@data.command()
@click.argument("name")
@json_option
def get(*, name: str, as_json: bool) -> None:
    """Fetch NAME (see `data list`), check it, and keep it; at once if it is kept already."""
    from replay.datasets.fetch import fetch
    from replay.datasets.readers import read_dataset

    with waiting(f"fetching {name}") as say:
        place = fetch(name)
        say("reading it")
        found = read_dataset(name)
    frame = found.interactions
    facts = {
        "name": name,
        "path": str(place),
        "format": found.origin.format,
        "sha256": found.origin.sha256,
        "users": int(frame["user_id"].nunique()),
        "items": len(found.catalogue),
        "ratings": len(frame),
    }
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo(
            f"{name}: {facts['ratings']:,} ratings, {facts['users']:,} users, {facts['items']:,} items in {place}"
        )
        say_next("train", name)


@data.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the known releases, and where those that were fetched are kept."""
    from replay.datasets.fetch import RELEASES, cached

    rows = [
        {"name": name, "ratings": release.rows, "summary": release.summary, "path": str(cached(name) or "") or None}
        for name, release in RELEASES.items()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        ratings = f"{row['ratings']:,}" if row["ratings"] else "varies"
        click.echo(f"{row['name']:16} {ratings:>10}  {row['summary']}  [{row['path'] or 'not fetched'}]")
