"""``reelstream dead-letters``: what died and why, one letter in full, and sending letters back when they are mended."""

import importlib.util
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.groups import SuggestingGroup
from commands.parts.options import address_options, given_settings
from commands.parts.telling import say_next

if TYPE_CHECKING:
    from streams.dead_letters.reading import Letter, LetterFilter, LetterSummary, ListedLetter, ReadProgress
    from streams.dead_letters.replaying import Change, MendedRecord, RefusedLetter, ReplayOutcome
    from streams.settings import Settings

__all__ = ["dead_letters"]

SHOWN_BYTES = 1024  # of a value that is no JSON; --raw writes all of it
SHOWN_JSON_CHARACTERS = 16 * 1024  # characters
BYTES_PER_LINE = 16  # bytes of a line of hexadecimal
PREVIEW_CHARACTERS = 160  # characters of a value before and after mending
MAX_EXAMPLES = 3  # of mended records in a rehearsal, and of refused ones of each cause
COLUMNS = 200  # a reader that is no terminal gets whole lines
PROGRESS_AFTER_S = 1.0  # reading that takes longer shows how far it is
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class _MomentOrAge(click.ParamType):
    """A point in time, as milliseconds since the epoch: an ISO date or time (UTC unless it says), or how long ago."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        ago = re.fullmatch(r"(\d{1,9})([smhd])", value)
        if ago:
            return time.time_ns() // 1_000_000 - int(ago[1]) * _UNITS[ago[2]]
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"must be an ISO date or time, or an age such as 10m, 2h or 3d, got {value!r}", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _filter_options(command: Any) -> Any:
    """Add the options that choose letters."""
    for option in (
        click.option("--until", type=_MomentOrAge(), help="Only letters written before, as --since."),
        click.option("--since", type=_MomentOrAge(), help="Only letters written since: 2026-11-21T08:00, 2h, 10m."),
        click.option("--topic", help="Only letters from this topic, with or without the prefix."),
        click.option("--cause", "causes", multiple=True, help="Only letters of this cause; repeat for several."),
    ):
        command = option(command)
    return command


@click.group("dead-letters", cls=SuggestingGroup)
def dead_letters() -> None:
    """List, show or replay records that broke their contract.

    They can be mended by a Python function before they are sent back.
    """


@dead_letters.command("list")
@address_options
@_filter_options
@click.option("-n", "n", default=20, show_default=True, type=click.IntRange(0, 1000), help="Newest letters to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_letters(*, n: int, as_json: bool, **given: Any) -> None:
    """Count dead letters by cause and topic, and show the newest; each record that died counts once."""
    from streams.dead_letters.reading import LetterFilter, LetterReader, summarize

    settings, wanted = _chosen(given)
    with LetterReader(settings) as reader, _progress("reading") as progress:
        summary = summarize(reader.entries(wanted.since_ms, progress), wanted, n)
        foreign = reader.foreign
    if as_json:
        click.echo(json.dumps(_summary_as_json(summary, foreign), ensure_ascii=False))
    else:
        _print_summary(
            summary, foreign, settings.prefix, "no dead letters" + " like these" * (wanted != LetterFilter())
        )


@dead_letters.command()
@click.argument("letter_id", metavar="PARTITION:OFFSET")
@address_options
@click.option("--raw", is_flag=True, help="Write the value's bytes as they are, and nothing else.")
def show(letter_id: str, *, raw: bool, **given: Any) -> None:
    """Show one letter: where the record stood, why it died, its headers, and its value."""
    from streams.dead_letters.reading import LetterReader

    partition, offset = _position(letter_id)
    with LetterReader(given_settings(given)) as reader:
        letter = reader.find(partition, offset)
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.buffer.flush()
        return
    _print_letter(letter)


@dead_letters.command()
@click.argument("letter_ids", metavar="[PARTITION:OFFSET]...", nargs=-1)
@address_options
@_filter_options
@click.option("--map", "function", metavar="FILE.py:FUNCTION", help="Mend each value with this Python function.")
@click.option("--dry-run", is_flag=True, help="Send nothing; show what would be sent and what would not.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay(letter_ids: Sequence[str], *, function: str | None, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Send letters back to the topic they died on, all that the options choose or those that are named.

    FUNCTION gets the JSON value (or bytes, where they are no JSON) and returns the mended one, bytes to be sent as
    they are, or None to leave the letter out. What still breaks its contract is not sent. What was replayed is
    noted and not sent a second time. Exit status 1 if the broker refused a record; the others are sent.
    """
    from streams.dead_letters.reading import LetterReader
    from streams.dead_letters.replaying import mend_wanted, replayed_origins

    change = None if function is None else _load(function)
    settings, wanted = _chosen(given, letter_ids)
    with LetterReader(settings) as notes, _progress("what was replayed") as progress:
        before = replayed_origins(notes.entries(None, progress))
    with LetterReader(settings) as reader, _progress("replaying") as progress:
        entries = reader.entries(wanted.since_ms, progress)
        results = mend_wanted(entries, wanted, before, change, settings.prefix, settings.kinds)
        account = _ReplayAccount()
        sent = account.rehearse(results) if dry_run else account.send(settings, results)
    if as_json:
        click.echo(json.dumps(account.as_json(sent), ensure_ascii=False))
    else:
        account.tell(sent, dry_run=dry_run)
    sys.exit(1 if (account.outcome is None and letter_ids) or not account.is_whole else 0)


class _ReplayAccount:
    """What a replay did, with the first few examples of each kind."""

    def __init__(self) -> None:
        self.outcome: ReplayOutcome | None = None
        self.mended: list[MendedRecord] = []
        self.refused: dict[str, list[RefusedLetter]] = {}
        self.is_whole = True  # the broker took whatever it was offered

    def rehearse(self, results: "Iterable[tuple[ReplayOutcome, MendedRecord | RefusedLetter | None]]") -> int:
        """Take note of everything and send nothing."""
        for _ in self._noting(results):
            pass
        return 0

    def send(
        self, settings: "Settings", results: "Iterable[tuple[ReplayOutcome, MendedRecord | RefusedLetter | None]]"
    ) -> int:
        """Send what keeps its contract, and return how many records that were."""
        from streams.dead_letters.replaying import LetterSender

        with LetterSender(settings) as sender:
            for record in self._noting(results):
                sender.send(record)
        if self.outcome:
            self.outcome.refused.update(one.cause for one in sender.refused)
        for refused in sender.refused[:MAX_EXAMPLES]:
            self.refused.setdefault(refused.cause, []).append(refused)
        self.is_whole = not sender.refused
        return sender.sent

    def _noting(
        self, results: "Iterable[tuple[ReplayOutcome, MendedRecord | RefusedLetter | None]]"
    ) -> "Iterator[MendedRecord]":
        from streams.dead_letters.replaying import MendedRecord, RefusedLetter

        for outcome, result in results:
            self.outcome = outcome
            if isinstance(result, MendedRecord):
                if len(self.mended) < MAX_EXAMPLES:
                    self.mended.append(result)
                yield result
            elif isinstance(result, RefusedLetter):
                examples = self.refused.setdefault(result.cause, [])
                if len(examples) < MAX_EXAMPLES:
                    examples.append(result)

    def as_json(self, sent: int) -> dict[str, Any]:
        """Return the counts and the examples."""
        outcome = self.outcome
        return {
            "fit": outcome.fit if outcome else 0,
            "sent": sent,
            "replayed_before": outcome.before if outcome else 0,
            "left_out": outcome.left_out if outcome else 0,
            "refused": dict(outcome.refused) if outcome else {},
            "examples": {
                "mended": [
                    {
                        "id": one.letter.letter_id,
                        "topic": one.topic,
                        "key": _text(one.key),
                        "before": _preview(one.letter.value),
                        "after": _preview(one.value),
                    }
                    for one in self.mended
                ],
                "refused": [
                    {"id": one.letter.letter_id, "cause": cause, "reason": _printable(one.reason)}
                    for cause, examples in self.refused.items()
                    for one in examples
                ],
            },
        }

    def tell(self, sent: int, *, dry_run: bool) -> None:
        """Print the account for people."""
        if self.outcome is None:
            click.echo("no such letters")
            return
        if dry_run:
            for one in self.mended:
                click.echo(f"{one.letter.letter_id} -> {one.topic}, key {_text(one.key)}")
                click.echo(f"  before {_preview(one.letter.value)}")
                click.echo(f"  after  {_preview(one.value)}")
        for cause, examples in self.refused.items():
            click.echo(f"not sent, {cause}: {self.outcome.refused[cause]}")
            for refused in examples:
                click.echo(f"  {refused.letter.letter_id} {_printable(refused.reason)}")
        words = f"{self.outcome.fit} would be sent" if dry_run else f"{sent} sent"
        click.echo(
            f"{words}, {self.outcome.before} replayed before, {self.outcome.left_out} left out, "
            f"{self.outcome.refused.total()} not fit"
        )
        if dry_run and self.outcome.fit:
            click.echo("next: the same command without --dry-run", err=True)


def _chosen(given: dict[str, Any], letter_ids: Sequence[str] = ()) -> "tuple[Settings, LetterFilter]":
    """Take the filter options out of a command's arguments; return the settings and the filter."""
    from streams.dead_letters.reading import LetterFilter

    causes, topic, since, until = (given.pop(name) for name in ("causes", "topic", "since", "until"))
    settings = given_settings(given)
    if topic is not None and not topic.startswith(settings.prefix):
        topic = settings.prefix + topic
    named = frozenset("{}:{}".format(*_position(letter_id)) for letter_id in letter_ids)
    return settings, LetterFilter(frozenset(causes), topic, since, until, named)


def _position(letter_id: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", letter_id, re.ASCII)
    if not found:
        raise click.BadParameter(
            f"PARTITION:OFFSET is required, as `reelstream dead-letters list` prints them, got {letter_id!r}"
        )
    return int(found[1]), int(found[2])


def _load(name: str) -> "Change":
    """Return the function that ``FILE.py:FUNCTION`` names; the file is run as a module."""
    path, _, attribute = name.rpartition(":")
    spec = importlib.util.spec_from_file_location("reelstream_map", path) if path.endswith(".py") else None
    if spec is None or spec.loader is None:
        raise click.BadParameter(f"--map must be FILE.py:FUNCTION, got {name!r}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise click.BadParameter(f"--map must name a file that runs, got {type(error).__name__}: {error}") from error
    function: Change | None = getattr(module, attribute, None)
    if not callable(function):
        raise click.BadParameter(f"--map must name a function of {path}, got {attribute!r}")
    return function


@contextmanager
def _progress(what: str) -> "Iterator[ReadProgress]":
    """Show on a terminal's stderr how far a long reading is, and leave nothing behind."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    began = time.monotonic()
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, visible=False)

        def progress(read: int, total: int) -> None:
            bar.update(task, completed=read, total=total, visible=time.monotonic() - began > PROGRESS_AFTER_S)

        yield progress


def _summary_as_json(summary: "LetterSummary", foreign: int) -> dict[str, Any]:
    return {
        "letters": summary.letters,
        "deliveries": summary.deliveries,
        "replayed": summary.replayed,
        "foreign": foreign,
        "causes": dict(summary.causes),
        "topics": dict(summary.topics),
        "first": None if summary.first_ms is None else _when(summary.first_ms),
        "last": None if summary.last_ms is None else _when(summary.last_ms),
        "newest": [_row(listed) for listed in summary.newest],
    }


def _row(listed: "ListedLetter") -> Mapping[str, Any]:
    letter = listed.letter
    return {
        "id": letter.letter_id,
        "written": _when(letter.timestamp),
        "topic": letter.origin.topic,
        "partition": letter.origin.partition,
        "offset": letter.origin.offset,
        "key": _text(letter.key),
        "bytes": letter.cut_from or len(letter.value or b""),
        "cause": letter.cause,
        "reason": _printable(letter.reason),
        "copies": listed.copies,
        "replayed": listed.replayed,
    }


def _print_summary(summary: "LetterSummary", foreign: int, prefix: str, none: str) -> None:
    from rich.console import Console
    from rich.table import Table

    if foreign:
        click.echo(f"{foreign} records that Reelstream did not write are left out", err=True)
    if summary.first_ms is None or summary.last_ms is None:
        click.echo(none)
        return
    click.echo(
        f"{summary.letters} dead letters from {_when(summary.first_ms)} to {_when(summary.last_ms)}, "
        f"{summary.replayed} of them replayed"
    )
    if summary.deliveries > summary.letters:
        click.echo(f"{summary.deliveries - summary.letters} further copies of them, sent again after a crash")
    click.echo("by cause: " + ", ".join(f"{_printable(cause)} {n}" for cause, n in summary.causes.items()))
    click.echo("by topic: " + ", ".join(f"{_printable(topic)} {n}" for topic, n in summary.topics.items()))
    table = Table(box=None, pad_edge=False)
    for name in ("id", "written", "from", "key", "bytes", "cause"):
        table.add_column(name, no_wrap=True)  # what `show` and `replay` are told stays whole
    table.add_column("reason", overflow="fold", min_width=20)
    table.add_column("")
    for row in map(_row, summary.newest):
        marks = ["replayed"] * row["replayed"] + [f"{row['copies']} copies"] * (row["copies"] > 1)
        table.add_row(
            row["id"],
            row["written"],
            f"{row['topic'].removeprefix(prefix)}:{row['partition']}:{row['offset']}",
            _short(row["key"] or "-", 24),
            str(row["bytes"]),
            row["cause"],
            row["reason"],
            ", ".join(marks),
        )
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = COLUMNS
    console.print(table)
    if summary.newest:
        say_next("dead-letters", "show", summary.newest[0].letter.letter_id)


def _print_letter(letter: "Letter") -> None:
    origin = letter.origin
    click.echo(f"letter   {letter.letter_id}, written {_when(letter.timestamp)}")
    click.echo(f"record   {_printable(origin.topic)} partition {origin.partition} offset {origin.offset}")
    click.echo(f"key      {_text(letter.key) or '-'}")
    click.echo(f"cause    {_printable(letter.cause)}")
    click.echo(f"reason   {_printable(letter.reason)}")
    click.echo("headers  " + ", ".join(f"{_printable(name)}={_text(value)}" for name, value in letter.headers.items()))
    if letter.value is None:
        click.echo("value    none (null)")
        return
    cut = "" if letter.cut_from is None else f", cut off from {letter.cut_from}"
    click.echo(f"value    {len(letter.value)} bytes{cut}")
    click.echo(_pretty(letter.value))


def _pretty(value: bytes) -> str:
    """Return JSON indented, without frame and envelope, or the beginning of anything else in hexadecimal."""
    from streams.records.wrapping import open_json

    try:
        text = orjson.dumps(open_json(value), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _hexadecimal(value)
    more = (
        ""
        if len(text) <= SHOWN_JSON_CHARACTERS
        else f"\n... {len(text) - SHOWN_JSON_CHARACTERS} more characters; --raw writes the value"
    )
    return "\n".join(map(_printable, text[:SHOWN_JSON_CHARACTERS].split("\n"))) + more


def _hexadecimal(value: bytes) -> str:
    shown = value[:SHOWN_BYTES]
    lines = [
        f"{at:08x}  {part.hex(' '):<{3 * BYTES_PER_LINE}} {_ascii(part)}"
        for at in range(0, len(shown), BYTES_PER_LINE)
        for part in [shown[at : at + BYTES_PER_LINE]]
    ]
    if len(value) > SHOWN_BYTES:
        lines.append(f"... {len(value) - SHOWN_BYTES} more bytes; --raw writes them all")
    return "\n".join(lines)


def _ascii(data: bytes) -> str:
    return "".join(chr(byte) if chr(byte).isprintable() and byte < 128 else "." for byte in data)  # noqa: PLR2004 - ASCII


def _printable(text: str) -> str:
    """Return text that cannot move the cursor or turn the line round: whatever does not print is escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _text(data: bytes | None) -> str | None:
    return None if data is None else _printable(data.decode(errors="backslashreplace"))


def _preview(value: bytes | None) -> str:
    return "nothing" if value is None else _short(_text(value[: 4 * PREVIEW_CHARACTERS]) or "''", PREVIEW_CHARACTERS)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
