"""``reelstream similar``: find an item by its title, and list what is similar to it."""

import json
from typing import TYPE_CHECKING, Any

import click

from commands.operate.asking import item_of
from commands.parts.options import NAMED

if TYPE_CHECKING:
    from model.catalogue import Item
    from streams.state.lookups import Lookups

__all__ = ["similar"]

KINDS = {
    "content": "by content: genres, period, title, tags",
    "behaviour": "by behaviour: what the same users touch next to it",
    "both": "by both",
}
NOT_FOUND = 1


@click.command()
@click.argument("title", type=NAMED)
@click.option("--item", "is_item", is_flag=True, help="TITLE is the item's id, or its beginning.")
@click.option("--by", type=click.Choice([*KINDS, "all"]), default="all", show_default=True, help="Which lists to show.")
@click.option("-n", "n", default=10, show_default=True, type=click.IntRange(1, 20), help="Longest list to show.")
@click.option("--redis", "redis_url", metavar="URL", help="Redis to read; default REELSTREAM_REDIS.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def similar(title: str, *, is_item: bool, by: str, n: int, redis_url: str | None, as_json: bool) -> None:
    """List the items that are similar to the one called TITLE.

    Any spelling will do: with the year or without, with a slip of the pen. Exit status 1 says that no title is near
    enough; the nearest ones are named then.
    """
    from streams.redis.connection import connect_to_read
    from streams.reports.items import described_similar
    from streams.settings import Settings
    from streams.state.lookups import Lookups

    settings = Settings.from_environment(redis=redis_url)
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        lookups = Lookups(client)
        item, near = _found(lookups, title, is_item=is_item)
        if item is None:
            _refuse(title, near, as_json=as_json)
            click.get_current_context().exit(NOT_FOUND)
        answer = described_similar(lookups, item, tuple(KINDS) if by == "all" else (by,), n)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print(answer)


def _found(lookups: "Lookups", title: str, *, is_item: bool) -> "tuple[Item | None, list[Item]]":
    from model.intent.titles import TitleFinder
    from streams.reports.items import find_by_title

    if is_item:
        item_id = item_of(lookups, title)
        return lookups.items([item_id]).get(item_id), []
    return find_by_title(TitleFinder(lookups.catalogue()), title)


def _refuse(title: str, near: "list[Item]", *, as_json: bool) -> None:
    if as_json:
        offered = [{"item_id": item.item_id, "title": item.title, "year": item.year} for item in near]
        click.echo(json.dumps({"item": None, "did_you_mean": offered}, ensure_ascii=False))
        return
    hint = "; did you mean " + ", ".join(_named(item) for item in near) + "?" if near else ""
    click.echo(f"similar: a title of the catalogue is required, got {title!r}{hint}", err=True)


def _named(item: "Item") -> str:
    return f"{item.title!r}" if item.year is None else f"{item.title!r} ({item.year})"


def _print(answer: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    item = answer["item"]
    click.echo(f"similar to {item['title']} ({item['year'] or 'year unknown'}; item {item['item_id']})")
    console = Console(markup=False, highlight=False, emoji=False)
    for kind, heading in KINDS.items():
        if kind not in answer:
            continue
        if not answer[kind]:
            click.echo(f"{heading}: nothing yet")
            continue
        table = Table("rank", "title", "year", "genres", "score", title=heading, title_justify="left")
        for row in answer[kind]:
            shown = (str(row["rank"]), row["title"], str(row["year"] or ""), ", ".join(row["genres"]))
            table.add_row(*shown, f"{row['score']:.3f}")
        console.print(table)
