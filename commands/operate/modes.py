"""``reelstream mode``: a user's mode as it is, and choosing it by hand."""

from typing import TYPE_CHECKING, Any, cast

import click
import orjson

from commands.parts.options import USER_ID
from commands.parts.telling import say_next

if TYPE_CHECKING:
    from redis import Redis

    from model.history import Mode
    from streams.settings import Settings

__all__ = ["mode"]

_AUTO = "auto"


@click.command()
@click.argument("user_id", metavar="USER", type=USER_ID)
@click.argument(
    "wanted",
    metavar="[cold_start|personalized|auto]",
    required=False,
    type=click.Choice(["cold_start", "personalized", _AUTO]),
)
@click.option("--redis", "redis_url", metavar="URL", help="Redis or Valkey; default REELSTREAM_REDIS.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def mode(user_id: str, wanted: str | None, *, redis_url: str | None, as_json: bool) -> None:
    """Show USER's mode, or choose it by hand.

    A choice holds from the user's next event on; auto lets the threshold decide again. Who was chosen to be
    personalised is so from the first item on that the model knows.
    """
    from streams.redis.connection import connect_to_read
    from streams.settings import Settings

    settings = Settings.from_environment(redis=redis_url)
    if wanted is not None:
        _require_renamed(settings)
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        if wanted is not None:
            _choose(client, user_id, wanted)
        found = _found(client, user_id)
    if as_json:
        click.echo(orjson.dumps(found).decode())
        return
    click.echo(_told(found, is_new=wanted is not None))
    if wanted is not None:
        say_next("recommend", user_id, "--follow", why="shows each new list as it comes")


def _require_renamed(settings: "Settings") -> None:
    from streams.serving.known_topics import require_renamed

    require_renamed(settings)


def _choose(client: "Redis", user_id: str, wanted: str) -> None:
    from streams.state.experiments import remove_override, store_override

    if wanted == _AUTO:
        remove_override(client, user_id)
    else:
        store_override(client, user_id, cast("Mode", wanted))


def _found(client: "Redis", user_id: str) -> dict[str, Any]:
    from streams.state.experiments import find_override
    from streams.state.lookups import Lookups

    profile = Lookups(client).profile(user_id, 1)
    return {
        "user_id": user_id,
        "unknown": profile is None,
        "mode": None if profile is None else profile.mode,
        "chosen": find_override(client, user_id),
    }


def _told(found: dict[str, Any], *, is_new: bool) -> str:
    by = "decided by the threshold" if found["chosen"] is None else f"{found['chosen']} was chosen by hand"
    now = "unknown, no event of theirs has been applied" if found["unknown"] else found["mode"]
    return f"user {found['user_id']}: {now}; {by}" + ("; it takes effect with the user's next event" if is_new else "")
