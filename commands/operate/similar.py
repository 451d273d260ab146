"""``reelstream similar``: find an item by its title, and list what is similar to it."""

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from model.catalogue import Item
    from model.similar import SimilarItems
    from streams.state.lookups import Lookups

__all__ = ["similar"]

KINDS = {
    "content": "by content: genres, period, title, tags",
    "behaviour": "by behaviour: what the same users touch next to it",
    "both": "by both",
}
LEAST_TAKEN = 0.86  # of the title that was typed: so near, a slip is likelier than another film
LEAST_OFFERED = 0.5
OFFERED = 5
NOT_FOUND = 1


@click.command()
@click.argument("title")
@click.option("--item", "is_item", is_flag=True, help="TITLE is the item's id.")
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
    from streams.settings import Settings
    from streams.state.lookups import Lookups

    with connect_to_read(Settings.from_environment(redis=redis_url).redis) as client:
        lookups = Lookups(client)
        item, near = _by_id(lookups, title) if is_item else _by_title(lookups, title)
        if item is None:
            _refuse(title, near, as_json=as_json)
            click.get_current_context().exit(NOT_FOUND)
        answer = _answer(lookups, item, tuple(KINDS) if by == "all" else (by,), n)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print(answer)


def _by_id(lookups: "Lookups", item_id: str) -> "tuple[Item | None, list[Item]]":
    return lookups.items([item_id]).get(item_id), []


def _by_title(lookups: "Lookups", title: str) -> "tuple[Item | None, list[Item]]":
    """Return the item of a title, or None and those whose titles are nearest."""
    from model.intent.titles import TitleFinder

    finder = TitleFinder(lookups.catalogue())
    exact = finder.exactly(title)
    if exact is not None:
        return exact, []
    slipped = finder.by_one_slip(title)
    if slipped is not None:
        return slipped, []
    near = finder.find(title, OFFERED, LEAST_OFFERED)
    if near and near[0][1] >= LEAST_TAKEN:
        return near[0][0], []
    return None, [item for item, _ in near]


def _refuse(title: str, near: "list[Item]", *, as_json: bool) -> None:
    if as_json:
        offered = [{"item_id": item.item_id, "title": item.title, "year": item.year} for item in near]
        click.echo(json.dumps({"item": None, "did_you_mean": offered}, ensure_ascii=False))
        return
    hint = "; did you mean " + ", ".join(_named(item) for item in near) + "?" if near else ""
    click.echo(f"similar: a title of the catalogue is required, got {title!r}{hint}", err=True)


def _answer(lookups: "Lookups", item: "Item", kinds: tuple[str, ...], n: int) -> dict[str, Any]:
    found = lookups.similar(item.item_id)
    lists = {kind: () if found is None else _of(found, kind)[:n] for kind in kinds}
    described = lookups.items(item_id for ranked in lists.values() for item_id, _ in ranked)
    return {
        "item": _described(item),
        **{
            kind: [
                {"rank": rank, **_described(described[item_id]), "score": score}
                for rank, (item_id, score) in enumerate(ranked, 1)
                if item_id in described
            ]
            for kind, ranked in lists.items()
        },
    }


def _of(found: "SimilarItems", kind: str) -> tuple[tuple[str, float], ...]:
    ranked: tuple[tuple[str, float], ...] = getattr(found, kind)
    return ranked


def _described(item: "Item") -> dict[str, Any]:
    return {"item_id": item.item_id, "title": item.title, "year": item.year, "genres": item.genres}


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
