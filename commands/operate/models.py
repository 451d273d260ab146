"""``reelstream model``: which model versions exist, what they scored, the way back to an older one, and clearing up."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal

import click
import orjson

from commands.groups import SuggestingGroup
from commands.parts.options import NAMED, address_options, given_settings
from commands.parts.telling import say_next

if TYPE_CHECKING:
    from redis import Redis

    from streams.reports.promoting import ServedVersion
    from streams.settings import Settings

__all__ = ["model"]

_PIPE_COLUMNS = 200  # a reader that is no terminal gets whole lines

_TOLD = ("hr@10", "popularity_hr@10", "champion_hr@10")  # of a decision's figures, by which it is judged at a glance

_because_option = click.option("--because", metavar="TEXT", help="Why; `model history` tells it.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(cls=SuggestingGroup)
def model() -> None:
    """List, check, compare, serve or delete model versions."""


@model.command("list")
@address_options
@_json_option
def list_versions(*, as_json: bool, **given: Any) -> None:
    """List the versions, newest first; the one that serves is marked *, and its anchor a."""
    from streams.reports.versions import versions_of

    settings = given_settings(given)
    with _redis(settings) as client:
        found = versions_of(client, settings.registry)
    if as_json:
        click.echo(orjson.dumps(found).decode())
    elif not found["versions"]:
        click.echo(f"no versions in {settings.registry}")
    else:
        _print_table(found["versions"], found["current"], found["anchor"])


@model.command()
@click.argument("version_id", metavar="[VERSION]", type=NAMED, required=False)
@address_options
@_json_option
def show(version_id: str | None, *, as_json: bool, **given: Any) -> None:
    """Show one version, by default the one that serves, and check its files."""
    from streams.reports.versions import version_of

    settings = given_settings(given)
    wanted = _whole_id(settings, version_id) if version_id else _required(_current(settings))
    with _redis(settings) as client:
        described = version_of(client, settings.registry, wanted)
    if as_json:
        click.echo(orjson.dumps(described).decode())
        return
    for name, value in described.items():
        lines = [f"{inner}: {one}" for inner, one in value.items()] if isinstance(value, dict) else [str(value)]
        click.echo(f"{name:<14}" + f"\n{'':<14}".join(lines or ["-"]))


@model.command()
@click.argument("version_id", metavar="[VERSION]", type=NAMED, required=False)
@address_options
@_because_option
@_json_option
def rollback(version_id: str | None, *, because: str | None, as_json: bool, **given: Any) -> None:
    """Serve an older version again, by default the parent of the one that serves.

    The version is loaded first, so a torn one is refused before anything changes. Running workers follow. It is its own
    anchor from then on: what follows is measured by it.
    """
    from commands.parts.running import person
    from streams.reports.promoting import roll_back

    settings = _settings(given)
    if version_id is None:
        _parent(settings, _required(_current(settings)))
    else:
        version_id = _whole_id(settings, version_id)
    served = asyncio.run(roll_back(settings, version_id, person(), because))
    _tell(served, "rolled_back", as_json=as_json)


@model.command()
@click.argument("version_id", metavar="VERSION", type=NAMED)
@address_options
@_because_option
@_json_option
def promote(version_id: str, *, because: str | None, as_json: bool, **given: Any) -> None:
    """Serve a stored version, whatever the gate said of it; a running trainer goes on from it.

    The version is loaded first, so a torn one is refused before anything changes. Running workers follow. It is its own
    anchor from then on: what follows is measured by it.
    """
    from commands.parts.running import person
    from streams.reports.promoting import promote_version

    settings = _settings(given)
    served = asyncio.run(promote_version(settings, _whole_id(settings, version_id), person(), because))
    _tell(served, "promoted", as_json=as_json)


@model.command()
@address_options
@click.option("-n", "n", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many decisions.")
@click.option("--moves", is_flag=True, help="Leave out rounds that changed nothing.")
@_json_option
def history(*, n: int, moves: bool, as_json: bool, **given: Any) -> None:
    """Show what was decided of versions, newest first: what, when, by whom and why."""
    from streams.reports.history import history_of

    with _redis(given_settings(given)) as client:
        found = history_of(client, n, moves_only=moves)
    if as_json:
        click.echo(orjson.dumps({"decisions": found}).decode())
        return
    if not found:
        click.echo("nothing was decided yet")
    for one in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one["ts"] / 1000))
        click.echo(f"{when}  {one['status']:<11}  {one['version'] or '-':<18}  by {one['by'] or '-'}")
        told = {name: one["metrics"][name] for name in _TOLD if name in one["metrics"]}
        if told:
            click.echo("    " + ", ".join(f"{name} {value:.4f}" for name, value in told.items()))
        if one["cause"]:
            click.echo(f"    {one['cause']}")


@model.command()
@click.argument("version_ids", metavar="[VERSION...]", type=NAMED, nargs=-1)
@address_options
@_json_option
def verify(version_ids: tuple[str, ...], *, as_json: bool, **given: Any) -> None:
    """Load versions, by default all, with every check that a worker makes; exit with 1 if one is broken.

    A version without a description is one whose writing never ended; nobody reads it and it is left out.
    """
    from streams.errors import RegistryError
    from streams.registry.registry import Registry

    registry = Registry(given_settings(given).registry)
    found: dict[str, str | None] = {}
    for version_id in map(registry.find_id, version_ids) if version_ids else registry.described():
        try:
            snapshot, _ = registry.load(version_id)
            snapshot.require_whole()
            found[version_id] = None
        except (RegistryError, ValueError) as error:
            found[version_id] = str(error)
        if not as_json:
            click.echo(f"{version_id}  {found[version_id] or 'whole'}")
    if as_json:
        click.echo(orjson.dumps({"versions": found}).decode())
    if any(found.values()):
        raise SystemExit(1)


@model.command()
@click.argument("before", metavar="VERSION", type=NAMED)
@click.argument("after", metavar="[VERSION]", type=NAMED, required=False)
@address_options
@_json_option
def diff(before: str, after: str | None, *, as_json: bool, **given: Any) -> None:
    """Show what changed from one version to another, by default to the one that serves.

    Rows are matched by id: added and removed ones are counted, and of those in both how far their weights moved.
    """
    from commands.operate.model_diff import difference, text
    from streams.registry.registry import Registry

    settings = given_settings(given)
    registry = Registry(settings.registry)
    later = registry.find_id(after) if after else _required(_current(settings))
    found = difference(registry.load(registry.find_id(before)), registry.load(later))
    click.echo(orjson.dumps(found).decode() if as_json else text(found))


@model.command()
@click.option("--keep", type=click.IntRange(min=1), default=50, show_default=True, help="Newest versions to keep.")
@address_options
@_json_option
def prune(keep: int, *, as_json: bool, **given: Any) -> None:
    """Delete old versions.

    The one that serves, its parent, its anchor, those of an experiment, and what any of these hold the changes to, are
    kept however old they are.
    """
    from streams.registry.versions import VersionStore

    settings = _settings(given)
    current = _current(settings)
    store = VersionStore(settings.registry)
    n_versions = len(store.list())
    removed = store.prune(keep, current, _pinned(settings))
    if as_json:
        click.echo(orjson.dumps({"removed": [version.version_id for version in removed]}).decode())
    else:
        click.echo(f"removed {len(removed)} of {n_versions} versions, {sum(v.size for v in removed) / 1e6:.1f} MB")


def _tell(served: "ServedVersion", status: Literal["promoted", "rolled_back"], *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(served).decode())
        return
    previous = served.previous or "no version"
    done = "promoted" if status == "promoted" else f"rolled back from {previous} to"
    instead = f" instead of {previous}" if status == "promoted" else ""
    click.echo(f"{done} {served.current}{instead}; workers follow by themselves")
    say_next("quality", why="how often its lists are right")


def _current(settings: "Settings") -> str | None:
    """Return the id of the version that serves, or None before the first promotion."""
    from streams.state.pointer import find_pointer

    with _redis(settings) as client:
        found = find_pointer(client)
    return None if found is None else found.version


def _pinned(settings: "Settings") -> "frozenset[str]":
    """Return the anchor, and the versions that an experiment compares."""
    from streams.state.experiments import find_experiment

    with _redis(settings) as client:
        found = find_experiment(client)
    anchor = _anchor(settings)
    return (frozenset() if found is None else found.versions) | (frozenset() if anchor is None else {anchor})


def _anchor(settings: "Settings") -> str | None:
    """Return the id of the version that the one that serves is measured by, or None where that is itself."""
    from streams.state.pointer import find_standing

    with _redis(settings) as client:
        return find_standing(client).anchor


def _settings(given: dict[str, Any]) -> "Settings":
    """Return the settings of a command that changes something; one with keys of before its prefix is refused."""
    from streams.serving.known_topics import require_renamed

    settings = given_settings(given)
    require_renamed(settings)
    return settings


def _redis(settings: "Settings") -> "Redis":
    from streams.redis.connection import connect_to_read

    return connect_to_read(settings.redis, prefix=settings.prefix)


def _whole_id(settings: "Settings", version_id: str) -> str:
    """Return the id of the version that was named by it, its beginning or its number."""
    from streams.registry.versions import VersionStore

    return VersionStore(settings.registry).find_id(version_id)


def _required(current: str | None) -> str:
    from streams.reports.versions import NO_VERSION

    if current is None:
        raise click.UsageError(NO_VERSION)
    return current


def _parent(settings: "Settings", current: str) -> str:
    from streams.registry.versions import VersionStore
    from streams.reports.versions import NO_PARENT

    parent = VersionStore(settings.registry).read(current).parent
    if parent is None:
        raise click.UsageError(NO_PARENT.format(current=current))
    return parent


def _print_table(versions: "list[dict[str, Any]]", current: str | None, anchor: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    now_ms = time.time_ns() // 1_000_000
    figures = sorted({name for version in versions for name in version["metrics"] if _is_hit_rate(name)})
    table = Table("", "version", "parent", "age", *figures, "size", box=None, pad_edge=False, header_style="bold")
    for version in versions:
        table.add_row(
            {current: "*", anchor: "a"}.get(version["version"], ""),
            version["version"],
            version["parent"] or "-",
            _age((now_ms - version["created_ms"]) // 1000),
            *(f"{version['metrics'][name]:.4f}" if name in version["metrics"] else "-" for name in figures),
            f"{version['bytes'] / 1e6:.1f} MB",
        )
    console = Console()
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    console.print(table)
    if current is not None and all(version["version"] != current for version in versions):
        console.print(f"serving {current}, which this registry does not hold")


def _is_hit_rate(metric: str) -> bool:
    return any(part.startswith("hr@") for part in metric.split("_"))


def _age(seconds: int) -> str:
    """Return a duration in its largest whole unit, such as ``3 h``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(0, seconds)} s"
