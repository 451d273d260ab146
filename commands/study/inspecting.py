"""``reelstream data inspect``: what would be read of a log, what looks wrong, and the command that reads it."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.parts.drawing import table
from commands.parts.log_options import as_words, log_options, taken_log_options
from streams.settings import Settings

if TYPE_CHECKING:
    from replay.datasets.inspecting import InspectedLog

__all__ = ["inspect"]

UNREADABLE = 1
MAX_CELL = 28


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@log_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(*, path: Path, as_json: bool, **given: Any) -> None:
    """Show what would be read of the log at PATH, a file, folder or zip.

    That is its layout, its columns and which of them are read as what, the first rows, times, scale, ties, repeated
    rows, what looks suspicious, and the command that reads it. Exit status 0: it can be read; 1: it cannot, and why.
    """
    from replay.datasets.inspecting import inspect_log

    options = taken_log_options(given)
    found = inspect_log(path, options, Settings.from_environment().kinds)
    command = shlex.join(["reelstream", "train", str(path), *as_words(found.cure or options)])
    is_known = found.error is None or found.cure is not None
    click.echo(
        json.dumps(_described(found, command if is_known else None))
        if as_json
        else _text(found, command if is_known else None)
    )
    if found.error is not None:
        sys.exit(UNREADABLE)


def _described(found: "InspectedLog", command: str | None) -> dict[str, Any]:
    return {
        "layout": found.layout,
        "form": found.form,
        "files": found.files,
        "parts": found.parts,
        "passed_over": found.passed_over,
        "first_rows": found.rows,
        "options_file": found.options_file,
        "item_file": found.item_file,
        **found.figures,
        "suspicious": found.suspicious,
        "error": found.error,
        "command": command,
    }


def _text(found: "InspectedLog", command: str | None) -> str:
    lines = [f"{', '.join(found.files)}: {found.layout}, {found.form}"]
    if found.options_file:
        lines.append(f"options from {found.options_file}")
    lines += [f"  {part:8} {column}" for part, column in found.parts.items()]
    if found.passed_over:
        lines.append(f"passed over: {', '.join(found.passed_over)}")
    lines.append(f"titles and genres: {found.item_file or ('the log itself' if 'title' in found.parts else 'none')}")
    if found.rows:
        header = tuple(found.rows[0])
        cells = [tuple(_short(row.get(name, "")) for name in header) for row in found.rows]
        lines += ["", table([tuple(_short(name) for name in header), *cells])]
    lines += _figures(found.figures)
    lines += [f"note: {one}" for one in found.suspicious]
    if found.error is not None:
        lines.append(f"cannot be read: {found.error}")
    if command is not None:
        lines.append(f"read it with: {command}")
    return "\n".join(lines)


def _figures(figures: dict[str, Any]) -> list[str]:
    if not figures:
        return []
    lines = [
        f"{figures['events']:,} events of {figures['users']:,} users with {figures['items']:,} items",
        f"from {figures['first']} to {figures['last']} ({figures['time_unit']})",
        f"{figures['ties']:,} events share a time with another of their user, {figures['duplicates']:,} repeat one",
    ]
    if figures["scale"] is not None:
        lines.append(f"ratings of {figures['scale']}, as stars {figures['stars']}")
    if figures["shares"] is not None:
        lines.append(f"weights {figures['shares']}")
    if figures["kinds"]:
        lines.append("kinds: " + ", ".join(f"{kind} {n:,}" for kind, n in figures["kinds"].items()))
    if figures["no_events"]:
        lines.append(f"{figures['no_events']:,} rows are no events")
    lines += [f"left out: {n:,} rows, {cause}" for cause, n in figures["left_out"].items()]
    return lines


def _short(cell: str) -> str:
    text = " ".join(str(cell).split())
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 3] + "..."
