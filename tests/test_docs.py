"""What the pages say is so: their commands exist, their links lead somewhere, and the files they name are there.

Nothing is started here. A command is parsed by the very command line, so one that needs hours or servers is checked
like any other. Those that can be run are run by ``test_readme.py``.
"""

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import click
import pytest

from model.catalogue import Item
from model.hints import UserHints
from reelstream import cli
from streams.kafka.topics import TOPICS
from streams.records.codec import (
    decode_action,
    decode_hints,
    decode_item,
    decode_rating,
    decode_request,
    decode_watch,
)
from streams.records.data_requests import DataRequest, decode_data_request
from streams.records.records import (
    Action,
    ListedItem,
    ModeChange,
    ModelVersion,
    Rating,
    Recommendation,
    Request,
    Watch,
    Withdrawal,
)
from streams.setting_table import SETTINGS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
LINKED = (
    *PAGES,
    ROOT / "CHANGELOG.md",
    *sorted(page for part in ("findings", "benchmarks", "examples") for page in (ROOT / part).rglob("*.md")),
)
PACKAGES = ("agents", "commands", "model", "replay", "streams", "web")
OWN = (*PACKAGES, "benchmarks", "docs", "examples", "findings", "tests")

OTHERS_PROGRAMS = {
    "curl",
    "docker",
    "du",
    "find",
    "kafka-transactions.sh",
    "kubectl",
    "pip",
    "redis-cli",
    "source",
    "uv",
}
SEPARATORS = {"&&", "||", "|", ";", "&"}
README_LINES = 150


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its lines, and the number of the first of them."""

    page: Path
    language: str
    lines: tuple[str, ...]
    line: int

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Shown:
    """A piece of a page: a command line or a span of code, and where it stands."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.text}"


def blocks(page: Path) -> Iterator[Block]:
    """Give the fenced blocks of a page."""
    opened: tuple[int, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if not line.lstrip().startswith("```"):
            inside.append(line)
        elif opened is None:
            opened, inside = (number + 1, line.strip().removeprefix("```")), []
        else:
            yield Block(page, opened[1], tuple(inside), opened[0])
            opened = None


def command_lines(page: Path) -> Iterator[Shown]:
    """Give the command lines of a page: what stands behind a prompt in a console block."""
    for block in blocks(page):
        if block.language == "console":
            for number, line in enumerate(block.lines, block.line):
                if line.startswith("$ "):
                    yield Shown(page, number, line[2:])


def spans(page: Path) -> Iterator[Shown]:
    """Give the spans of code in a page's text."""
    fenced = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            for found in re.findall(r"`([^`]+)`", line):
                yield Shown(page, number, found)


COMMAND_LINES = tuple(shown for page in PAGES for shown in command_lines(page))
SPANS = tuple(shown for page in PAGES for shown in spans(page))


def simple_commands(line: str) -> Iterator[list[str]]:
    """Give the single commands of a shell line, without variables that are set for them and without redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    is_target = False
    for token in (*lexer, ";"):
        if token in SEPARATORS:
            if words:
                yield words
            words = []
        elif token in {">", "<"}:
            is_target = True
        elif is_target:
            is_target = False
        elif words or not re.match(r"[A-Z_]+=", token):
            words.append(token)


def complaint(words: Sequence[str]) -> str | None:
    """Return what is wrong with a command, None if it would be taken."""
    program, *arguments = words
    if program == "export":
        return None if all(re.match(r"[A-Z_]+=", argument) for argument in arguments) else "export takes NAME=VALUE"
    if program in CHECKS:
        return CHECKS[program](arguments)
    return None if program in OTHERS_PROGRAMS or (ROOT / program).exists() else f"{program} is no program known here"


def _reelstream(arguments: Sequence[str]) -> str | None:
    command: click.Command = cli
    path, rest = "reelstream", list(arguments)
    while isinstance(command, click.Group):
        name = rest.pop(0) if rest else ""
        found = command.get_command(click.Context(command), name)
        if found is None:
            return f"{path} has no command {name!r}"
        command, path = found, f"{path} {name}"
    try:
        command.make_context(path, rest)
    except click.UsageError as error:
        return error.format_message()
    return None


def _make(arguments: Sequence[str]) -> str | None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    given = [one.partition("=")[0] for one in arguments if "=" in one]
    unknown = [name for name in given if f"$({name})" not in makefile]
    if unknown:
        return f"the Makefile does not read {unknown}"
    done = subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr


def _python(arguments: Sequence[str]) -> str | None:
    if list(arguments[:2]) == ["-m", "pytest"]:
        return _pytest(arguments[2:])
    target, *rest = arguments[1:] if arguments[0] == "-m" else arguments
    file = ROOT / (f"{target.replace('.', '/')}.py" if arguments[0] == "-m" else target)
    if not file.is_file():
        return f"there is no {file.relative_to(ROOT)}"
    text = file.read_text("utf-8")
    missing = [one for one in rest if one.startswith("-") and f'"{one.partition("=")[0]}' not in text]
    return f"{file.relative_to(ROOT)} has no options {missing}" if missing else None


def _pytest(arguments: Sequence[str]) -> str | None:
    missing = [one for one in arguments if not one.startswith("-") and not (ROOT / one).exists()]
    return f"there is no {', '.join(missing)}" if missing else None


CHECKS = {"reelstream": _reelstream, "make": _make, "python": _python, "pytest": _pytest}


def test_every_command_line_would_be_taken(tmp_path, monkeypatch):
    """Each command in a console block exists, with the options and arguments that it is given."""
    monkeypatch.chdir(tmp_path)
    for shown in COMMAND_LINES:
        for archive in re.findall(r"(?<= )[\w.-]+\.zip", shown.text):  # some commands take only a file that there is
            (tmp_path / archive).touch()
    wrong = [
        f"{shown}\n    {found}"
        for shown in COMMAND_LINES
        for words in simple_commands(shown.text)
        if (found := complaint(words)) is not None
    ]
    assert wrong == []
    assert len(COMMAND_LINES) > 50


def test_commands_stand_behind_a_prompt():
    """No block of another form holds a command of ours, where the test above would not see it."""
    wrong = [
        f"{block}: {line}"
        for page in PAGES
        for block in blocks(page)
        for line in block.lines
        if (re.match(r"\s*(reelstream|make|python|pytest) ", line) and not line.startswith("reelstream: "))
        or (line.startswith("$ ") and block.language != "console")
    ]
    assert wrong == []


def test_commands_in_the_text_exist():
    """A span that begins with ``reelstream`` names a command that there is, and only options that it has."""
    wrong = [f"{shown}\n    {found}" for shown in SPANS if (found := _unknown_in(shown.text)) is not None]
    assert wrong == []


def _unknown_in(span: str) -> str | None:
    words = re.findall(r"[^\s\[\]|]+", span)
    if not words or words.pop(0) != "reelstream":
        return None
    command: click.Command = cli
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z-]+", words[0]):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"there is no command {words[0]!r}"
        command = found
        words.pop(0)
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    missing = [word for word in words if word.startswith("-") and word not in known | {"--help"}]
    return f"there is no option {missing}" if missing else None


def test_python_commands_in_the_text_exist():
    """A span that begins with ``python`` or ``pytest`` names files that there are, and options that they have."""
    wrong = [
        f"{shown}\n    {found}"
        for shown in SPANS
        if shown.text.startswith(("python -m ", "python benchmarks", "python tests", "pytest "))
        if (found := complaint(shlex.split(shown.text))) is not None
    ]
    assert wrong == []


def test_every_command_is_on_its_page():
    """docs/reference/commands.md names every command of the command line."""
    page = DOCS / "reference" / "commands.md"
    named = {shown.text.split()[1] for shown in spans(page) if shown.text.startswith("reelstream ")}
    assert set(cli.list_commands(click.Context(cli))) - named == set()


def test_every_variable_is_on_its_page():
    """Each variable that the sources read is in docs/reference/settings.md, or in docs/how-to/security.md."""
    pages = "".join((DOCS / page).read_text("utf-8") for page in ("reference/settings.md", "how-to/security.md"))
    read = {name for text in sources() for name in re.findall(r"REELSTREAM_[A-Z_]*[A-Z]", text)}
    assert {name for name in read if f"`{name}`" not in pages} == set()
    assert "REELSTREAM_REDIS" in read


def test_every_variable_has_its_key_in_the_file():
    """Each variable that the sources read is in streams/setting_table.py, and its key in docs/reference/settings.md."""
    page = (DOCS / "reference" / "settings.md").read_text("utf-8")
    read = {name for text in sources() for name in re.findall(r"REELSTREAM_[A-Z_]*[A-Z]", text)}
    assert read - {one.variable for one in SETTINGS} == {"REELSTREAM_CONFIG"}
    assert [one.name for one in SETTINGS if one.table != "kafka" and f"`{one.name}`" not in page] == []
    assert all(
        re.match(rf"REELSTREAM_KAFKA_{one.key.upper()}|REELSTREAM_KAFKA$", one.variable)
        for one in SETTINGS
        if one.table == "kafka"
    )


def test_the_first_screen_shows_what_goes_in_and_what_comes_out():
    """The README's event keeps its contract, and its list, which that event led to, has all fields and no other."""
    event, listed = ("\n".join(block.lines) for block in blocks(README) if block.language == "json")
    watch, recommendation = decode_watch(event.encode()), json.loads(listed)
    assert set(recommendation) == {field.name for field in fields(Recommendation)}
    assert all(set(item) == {field.name for field in fields(ListedItem)} for item in recommendation["items"])
    assert recommendation["trigger"]["event_id"] == watch.event_id
    assert recommendation["user_id"] == watch.user_id


def test_the_records_page_names_every_field():
    """docs/reference/records.md has each field of each record, and its examples keep their contracts."""
    page = DOCS / "reference" / "records.md"
    named = {shown.text for shown in spans(page)}
    kinds = (
        Watch,
        Rating,
        Action,
        Withdrawal,
        DataRequest,
        Request,
        Recommendation,
        ListedItem,
        ModeChange,
        ModelVersion,
    )
    assert [f"{kind.__name__}.{one.name}" for kind in kinds for one in fields(kind) if one.name not in named] == []
    examples = ["\n".join(block.lines).encode() for block in blocks(page) if block.language == "json"]
    watch, rating, action, back, item, profile, asked, request, wishes = examples
    assert decode_watch(back) == Withdrawal("w-1", "ann", 1795863702113, "e-1007")
    assert decode_watch(watch).interaction().kind == "watch"
    assert decode_rating(rating).interaction().kind == "rate"
    assert decode_action(action).kind == "hide"
    assert isinstance(decode_item(None, item), Item)
    assert isinstance(decode_hints(None, profile), UserHints)
    assert isinstance(decode_data_request(None, asked), DataRequest)
    assert decode_request(request).strict
    assert decode_request(wishes).wishes.years == (2000, None)


def test_the_topics_page_names_every_topic():
    """The table of docs/reference/topics.md has the topics that are made, in their order."""
    page = (DOCS / "reference" / "topics.md").read_text("utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE) == [topic.name for topic in TOPICS]


def test_the_readme_is_short():
    """The README has at most 150 lines."""
    assert len(README.read_text("utf-8").splitlines()) <= README_LINES


def test_every_link_leads_somewhere():
    """Each link to a file of ours names one, and each anchor a heading of it."""
    wrong = []
    for page in LINKED:
        for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(page)):
            if target.startswith(("http://", "https://", "mailto:")):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or not file.is_relative_to(ROOT):
                wrong.append(f"{page.relative_to(ROOT)}: {target} is not there")
            elif anchor and anchor not in anchors(file):
                wrong.append(f"{page.relative_to(ROOT)}: {target} has no such heading")
    assert wrong == []


def _without_code(page: Path) -> str:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return frozenset(slug if n == 0 else f"{slug}-{n}" for slug, last in found.items() for n in range(last + 1))


def test_the_index_names_every_page():
    """docs/README.md links to each page of docs."""
    index = DOCS / "README.md"
    targets = re.findall(r"\]\(([^)#\s]+)", index.read_text("utf-8"))
    linked = {(DOCS / target).resolve() for target in targets}
    assert {str(page.relative_to(ROOT)) for page in DOCS.rglob("*.md") if page not in {*linked, index}} == set()


def test_every_file_that_is_named_is_there():
    """A span that is a path of ours, or the dotted name of a module of ours, names what there is."""
    wrong = [str(shown) for shown in SPANS if not _is_there(shown.text)]
    assert wrong == []


def _is_there(span: str) -> bool:
    if re.fullmatch(rf"({'|'.join(OWN)})/[\w./-]*", span):
        return (ROOT / span).exists()
    if re.fullmatch(rf"({'|'.join(OWN)})(\.\w+)+", span):
        return is_module_or_member(span) or any(f'"{span} ' in text for text in sources())  # such as `model.refused`
    return True


@cache
def sources() -> tuple[str, ...]:
    """Return the text of every module of ours."""
    return tuple(file.read_text("utf-8") for part in PACKAGES for file in (ROOT / part).rglob("*.py"))


def is_module_or_member(dotted: str) -> bool:
    """Tell whether a dotted name is a module of ours, or a name that one defines at its top level."""
    path = ROOT / dotted.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module, _, name = dotted.rpartition(".")
    file = (ROOT / module.replace(".", "/")).with_suffix(".py")
    return file.is_file() and name in top_level_names(file)


def top_level_names(file: Path) -> set[str]:
    """Return what a module defines or imports at its top level."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def test_every_page_that_the_code_names_is_there():
    """A page of docs that a docstring, a comment or a message names is a page that there is."""
    files = [file for part in OWN for kind in ("*.py", "*.lua") for file in (ROOT / part).rglob(kind)]
    named = {
        f"{file.relative_to(ROOT)}: {page}"
        for file in (*files, ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / "reelstream.py")
        for page in re.findall(r"docs/[\w/-]+\.md", file.read_text("utf-8"))
        if not (ROOT / page).exists()
    }
    assert named == set()


@pytest.mark.parametrize("page", ["architecture.md", "glossary.md"])
def test_every_class_that_is_named_is_there(page):
    """A span that is a name in two words joined, such as ``StateRecovery``, is a class of ours."""
    classes = {name for text in sources() for name in re.findall(r"^class (\w+)", text, re.MULTILINE)}
    named = [shown for shown in spans(DOCS / page) if re.fullmatch(r"([A-Z][a-z]+){2,}", shown.text)]
    assert [str(shown) for shown in named if shown.text not in classes] == []


def test_python_that_is_shown_imports_what_there_is():
    """The imports of our packages in Python blocks name modules that are there, and what they define."""
    wrong = [
        f"{block}: {node.module}.{alias.name}"
        for page in PAGES
        for block in blocks(page)
        if block.language == "python"
        for node in ast.walk(ast.parse("\n".join(block.lines)))
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in OWN
        for alias in node.names
        if not is_module_or_member(f"{node.module}.{alias.name}")
    ]
    assert wrong == []


def test_the_law_sees_what_is_wrong():
    """What does not exist is complained about: a command, an option, an argument, a target, a file."""
    wrong = (
        "reelstream recomend ann",
        "reelstream model",
        "reelstream hot --gerne x",
        "reelstream recommend",
        "make tset",
        "make demo QUIK=1",
        "python -m benchmarks.nothing",
        "pytest tests/nothing.py",
        "sl",
    )
    assert [line for line in wrong for words in simple_commands(line) if complaint(words) is None] == []
    assert list(simple_commands("A=1 reelstream hot > out.txt && make test # all")) == [
        ["reelstream", "hot"],
        ["make", "test"],
    ]
