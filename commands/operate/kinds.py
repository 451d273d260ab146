"""``reelstream kinds``: which kinds of events there are, and what each says, as a table or as JSON."""

import json
from dataclasses import asdict

import click

__all__ = ["kinds"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def kinds(*, as_json: bool) -> None:
    """Show which kinds of events there are, and what each says.

    REELSTREAM_KINDS names the file that the table is read from; a file that cannot be used is told in one line.
    """
    from commands.parts.drawing import table
    from streams.settings import Settings

    found = Settings.from_environment().kinds
    if as_json:
        click.echo(json.dumps({"file": found.file or None, "kinds": [asdict(row) for row in found.rows]}))
        return
    rows = [(row.name, f"{row.weight:g}", "yes" if row.is_positive else "no", row.effect or "") for row in found.rows]
    click.echo(table([("kind", "weight", "positive", "effect"), *rows]), nl=False)
    click.echo(f"from {found.file}" if found.file else "the defaults, as REELSTREAM_KINDS names no file")
