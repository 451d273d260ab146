"""``reelstream recommend``, ``profile`` and ``trending``: what Redis holds, as a table with titles or as JSON."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from commands.operate.asking import ask_for, item_of, wish_options, wishes_of
from commands.parts.options import USER_ID

if TYPE_CHECKING:
    from rich.console import Console

    from streams.state.lookups import FoundList, Lookups

__all__ = ["hot", "profile", "recommend"]

_UNKNOWN = "unknown item"

redis_option = click.option("--redis", "redis_url", metavar="URL", help="Redis to read; default REELSTREAM_REDIS.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
ItemRow = Mapping[str, Any]


@click.command()
@click.argument("user_id", metavar="USER", type=USER_ID)
@click.option("-n", "n", default=10, show_default=True, type=click.IntRange(1, 200), help="Longest list to show.")
@click.option("--follow", is_flag=True, help="Show each new list as it comes, until Ctrl-C.")
@click.option(
    "--every",
    "every_s",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0.05, 60),
    help="Seconds between two looks with --follow.",
)
@click.option("--fresh", is_flag=True, help="Ask for a list now, and wait for it; the options below say of what kind.")
@click.option(
    "--within",
    "within_s",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="Seconds to wait for it.",
)
@wish_options
@click.option("--kafka", help="Bootstrap addresses for --fresh; default REELSTREAM_KAFKA.")
@click.option("--prefix", help="Prefix of the topics for --fresh; default REELSTREAM_PREFIX.")
@redis_option
@json_option
def recommend(
    user_id: str,
    n: int,
    *,
    follow: bool,
    every_s: float,
    fresh: bool,
    redis_url: str | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Show the list last published for USER.

    For an unknown user it shows what is trending, and says so. With --fresh a list is made now, as it is asked for.
    """
    within_s, kafka, prefix = asked.pop("within_s"), asked.pop("kafka"), asked.pop("prefix")
    wishes = wishes_of(asked)
    if wishes and not fresh:
        raise click.UsageError(f"{', '.join(sorted(wishes))}: --fresh is required to ask for something")
    if fresh and follow:
        raise click.UsageError("--fresh and --follow: one of them is required, got both")
    show = _print_json if as_json else _print_list
    if fresh:
        with _lookups(redis_url) as lookups:
            for name in ("like", "exclude"):
                if name in wishes:
                    wishes[name] = [item_of(lookups, given) for given in wishes[name]]
            answer = ask_for(kafka, prefix, user_id, {"k": n, **wishes}, within_s)
            show(_recommendation(lookups, user_id, answer, n))
        return
    with _lookups(redis_url) as lookups:
        found = lookups.recommendation(user_id)
        show(_recommendation(lookups, user_id, None if found is None else found.record, n))
        if follow:
            _follow(
                lookups, user_id, found, lambda newer: show(_recommendation(lookups, user_id, newer.record, n)), every_s
            )


@click.command()
@click.argument("user_id", metavar="USER", type=USER_ID)
@click.option("-n", "n", default=10, show_default=True, type=click.IntRange(1, 200), help="Latest events to show.")
@redis_option
@json_option
def profile(user_id: str, n: int, redis_url: str | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Show what is known about USER.

    That is counters, mode, favourite genres and latest events.
    """
    from streams.reports.lookups import described_profile

    with _lookups(redis_url) as lookups:
        answer = described_profile(lookups, user_id, n)
        (_print_json if as_json else _print_profile)(answer)


@click.command()
@click.option("--genre", help="Only this genre, spelled as in the catalogue.")
@click.option("-n", "n", default=10, show_default=True, type=click.IntRange(1, 500), help="Longest list to show.")
@redis_option
@json_option
def hot(genre: str | None, n: int, redis_url: str | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags
    """Show what is trending, over everything or in one genre."""
    with _lookups(redis_url) as lookups:
        answer = _hot(lookups, genre, n)
        (_print_json if as_json else _print_hot)(answer)


@contextmanager
def _lookups(redis_url: str | None) -> Iterator["Lookups"]:
    from streams.redis.connection import connect_to_read
    from streams.settings import Settings
    from streams.state.lookups import Lookups

    settings = Settings.from_environment(redis=redis_url)
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        yield Lookups(client)


def _recommendation(lookups: "Lookups", user_id: str, record: Mapping[str, Any] | None, n: int) -> dict[str, Any]:
    from streams.reports.lookups import described_trending, list_with_titles

    if record is None:
        unknown = lookups.profile(user_id, 1) is None
        rows = described_trending(lookups, n)
        return {"user_id": user_id, "unknown": unknown, "mode": None, "model_version": None, "items": rows}
    return {**list_with_titles(lookups, record, n), "unknown": False}


def _hot(lookups: "Lookups", genre: str | None, n: int) -> dict[str, Any]:
    from streams.reports.lookups import described_trending

    return {"genre": genre, "genres": lookups.genres(), "items": described_trending(lookups, n, genre)}


def _follow(
    lookups: "Lookups",
    user_id: str,
    shown: "FoundList | None",
    show: Callable[["FoundList"], None],
    every_s: float,
) -> None:
    """Show the list whenever its bytes change, until the person interrupts."""
    try:
        while True:
            time.sleep(every_s)
            found = lookups.recommendation(user_id)
            if found is not None and (shown is None or found.body != shown.body):
                show(found)
                shown = found
    except KeyboardInterrupt:
        click.echo()


def _print_json(answer: Mapping[str, Any]) -> None:
    click.echo(json.dumps(answer, ensure_ascii=False))


def _print_list(answer: Mapping[str, Any]) -> None:
    user_id = answer["user_id"]
    if answer["unknown"]:
        heading = f"user {user_id} is unknown; this is what is trending"
    elif answer["mode"] is None:
        heading = f"user {user_id} has no list yet; this is what is trending"
    else:
        version = answer["model_version"] or "no model"
        heading = f"user {user_id}: {answer['mode']}, {version}, {_when(answer['published_ts'])}"
    _print_rows(heading, answer["items"])
    for sentence in answer.get("unfilled", ()):
        click.echo(f"not fulfilled: {sentence}")


def _print_hot(answer: Mapping[str, Any]) -> None:
    genre = answer["genre"]
    _print_rows("trending" if genre is None else f"trending in {genre}", answer["items"])
    if not answer["items"] and genre is not None:
        click.echo(f"genres that trend: {', '.join(answer['genres']) or 'none yet'}")


def _print_rows(heading: str, rows: Sequence[ItemRow]) -> None:
    from rich.table import Table

    if not rows:
        click.echo(f"{heading}: nothing yet")
        return
    table = Table("rank", "title", "year", "genres", "score", "why", title=heading, title_justify="left")
    for row in rows:
        table.add_row(
            str(row["rank"]),
            row["title"] or f"{_UNKNOWN} {row['item_id']}",
            str(row["year"] or ""),
            ", ".join(row["genres"]),
            f"{row['score']:.3f}",
            row["reason"],
        )
    _console().print(table)


def _print_profile(answer: Mapping[str, Any]) -> None:
    from rich.table import Table

    user_id = answer["user_id"]
    if answer["unknown"]:
        click.echo(f"user {user_id} is unknown: no event of theirs has been applied")
        return
    mean = "none" if answer["mean_rating"] is None else f"{answer['mean_rating']:.2f} stars on average"
    click.echo(f"user {user_id}: {answer['mode']}, {answer['seen']} items touched, {answer['hidden']} hidden")
    click.echo(f"{answer['watches']} watches, {answer['ratings']} ratings ({mean}), {answer['actions']} actions")
    click.echo(f"events from {_when(answer['first_ts'])} to {_when(answer['last_ts'])}")
    liked = ", ".join(f"{genre} {affinity:.2f}" for genre, affinity in answer["genres"].items())
    click.echo(f"genres: {liked or 'none known'}")
    table = Table("when", "title", "year", "what", "weight", title="latest events", title_justify="left")
    for row in answer["recent"]:
        title = row["title"] or f"{_UNKNOWN} {row['item_id']}"
        table.add_row(_when(row["ts"]), title, str(row["year"] or ""), row["kind"], f"{row['weight']:.2f}")
    _console().print(table)


def _console() -> "Console":
    """Return a console that writes titles as they are, without reading markup into them."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
