"""``reelstream contracts``: what each topic carries, as JSON Schema and as one AsyncAPI document."""

from pathlib import Path

import click

__all__ = ["contracts"]

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("topic", required=False)
@click.option("--out", "-o", type=_FOLDER, help="Write all files into this folder instead.")
@click.option("--check", type=_FOLDER, help="Exit with 1 unless this folder holds these very files.")
@click.option("--since", type=_FOLDER, help="Exit with 1 if users of the older files in this folder would break.")
def contracts(topic: str | None, out: Path | None, check: Path | None, since: Path | None) -> None:
    """Print what topics carry, as JSON Schema or AsyncAPI.

    With TOPIC it is the JSON Schema of its values, without it the AsyncAPI document of all topics.

    It needs no server. Names of topics are without the prefix of an installation.
    """
    from streams.contracts.documents import ASYNCAPI, as_text, contract_files, schema_document, write_files

    if sum(given is not None for given in (topic, out, check, since)) > 1:
        raise click.UsageError("one of TOPIC, --out, --check and --since is required at most, got more.")
    if out is not None:
        for name in write_files(out):
            click.echo(out / name)
    elif check is not None:
        _check(check)
    elif since is not None:
        _compare(since)
    elif topic is None:
        click.echo(contract_files()[ASYNCAPI], nl=False)
    else:
        click.echo(as_text(schema_document(_known(topic))), nl=False)


def _known(topic: str) -> str:
    from streams.kafka.topics import TOPICS

    names = [one.name for one in TOPICS]
    if topic not in names:
        raise click.BadParameter(f"one of {', '.join(names)} is required, got {topic!r}.", param_hint="TOPIC")
    return topic


def _check(folder: Path) -> None:
    from streams.contracts.documents import stale_files
    from streams.errors import DataError

    stale = stale_files(folder)
    if stale:
        raise DataError(
            f"contracts: the files in {folder} must be those of this program, got others in {', '.join(stale)}; "
            f"write them with `reelstream contracts --out {folder}`"
        )
    click.echo(f"{folder} is up to date")


def _compare(folder: Path) -> None:
    from streams.contracts.compatibility import breaking_changes
    from streams.errors import DataError

    broken = breaking_changes(folder)
    if broken:
        raise DataError(f"contracts: what breaks for users of {folder}:\n  " + "\n  ".join(broken))
    click.echo(f"nothing breaks for users of {folder}")
