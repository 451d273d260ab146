"""Build the documentation as a site: `make docs`, or `python -m docs.site.build build/docs`.

Zensical builds it: MkDocs Material's successor, by the same people, which renders docstrings by mkdocstrings. Here its
input is laid out: the pages as they lie in the repository, so that their links hold on the site as well, and two parts
that are made from the code, the schemas of the records and the reference of the packages. The order of the pages is
that of the index, docs/README.md.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from streams.contracts.documents import schema_document
from streams.contracts.json_types import Schema
from streams.contracts.messages import topic_messages

ROOT = Path(__file__).parents[2]
SETTINGS = Path(__file__).with_name("zensical.toml")
PACKAGES = ("model", "streams", "agents", "replay", "web")  # what other programs might import, or a contributor reads
FOLDERS = ("docs", "examples", "contracts", "benchmarks")
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "findings/README.md")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "site", "*.py[cod]")
SCHEMAS = "reference/schemas.md"
MAX_TOLD = 2**62  # of a limit; beyond it is the width of an integer, and nothing to be told
_LIMITS = {"minimum": "from", "maximum": "to", "maxLength": "characters up to", "maxItems": "entries up to"}
SECTIONS = (  # title, and the pages or folders of it
    ("Home", ("README.md", "docs/README.md")),
    ("Tutorial", ("docs/tutorial", "examples")),
    ("How-to", ("docs/how-to",)),
    ("Operate", ("docs/operate",)),
    ("Reference", ("docs/reference", "docs/glossary.md")),
    ("Explanation", ("docs/explanation", "docs/figures.md", "benchmarks/learning")),
    ("Contribute", ("CONTRIBUTING.md", "docs/architecture.md", "docs/decisions.md", "findings", "CHANGELOG.md")),
)


def lay_out(folder: Path) -> Path:
    """Write everything that the generator reads into a folder, and return its settings."""
    source = folder / "source"
    shutil.rmtree(folder, ignore_errors=True)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=NOT_COPIED)
    for name in FILES:
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    (source / "docs" / SCHEMAS).write_text("\n".join(_schemas()), "utf-8")
    rooms = list(_python_pages(source))
    text = SETTINGS.read_text("utf-8").replace('"ROOT', f'"{ROOT}')
    navigation = f"nav = {_as_toml(_navigation(source, rooms))}\n"
    settings = folder / "zensical.toml"
    settings.write_text(text.replace("[project.theme]\n", f"{navigation}\n[project.theme]\n", 1), "utf-8")
    return settings


def build(folder: Path) -> int:
    """Build the site in a folder and return the exit status, which is not 0 after any warning.

    What is wrong with a link ends a strict build. What is wrong with a docstring is only printed, so it is looked for.
    """
    settings = lay_out(folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(settings)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as building:
        lines = [*building.stdout] if building.stdout else []
    sys.stdout.writelines(lines)
    return building.returncode or int(any(line.startswith("griffe: ") for line in lines))


def _schemas() -> Iterator[str]:
    """Give the lines of the page of schemas: a table of fields and an example for each topic."""
    yield from ("# Schemas", "", "Made from the [contracts](contracts.md).", "")
    for message in topic_messages():
        schema = schema_document(message.topic)
        file = f"../../contracts/{message.topic}.schema.json"
        yield from (f"## {message.topic}", "", f"{schema['description']} [As JSON Schema]({file}).", "")
        yield from ("| field | type | |", "|---|---|---|")
        required = set(schema.get("required", []))
        for name, field in schema["properties"].items():
            mark = "" if name in required else "?"
            yield f"| `{name}`{mark} | {_kind(field)} | {field['description']} |"
        yield from ("", "```json", json.dumps(message.example, indent=2, ensure_ascii=False), "```", "")


def _kind(field: Schema) -> str:
    """Return the type of a field with its limits, in words."""
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    words = " or ".join(str(kind) for kind in kinds)
    if "enum" in field:
        words += ": " + ", ".join(f"`{one}`" for one in field["enum"] if one is not None)
    limits = [
        f"{word} {field[name]:g}" for name, word in _LIMITS.items() if name in field and abs(field[name]) < MAX_TOLD
    ]
    return f"{words}; {', '.join(limits)}" if limits else words


def _python_pages(source: Path) -> Iterator[str]:
    """Write a page for each room of the packages, and give their paths."""
    for package in PACKAGES:
        rooms: dict[Path, list[Path]] = {}
        for file in sorted((ROOT / package).rglob("*.py")):
            rooms.setdefault(file.parent, []).append(file)
        for room, files in rooms.items():
            name = ".".join(room.relative_to(ROOT).parts)
            modules = [f"{name}.{file.stem}" for file in files if file.stem != "__init__"]
            path = f"docs/reference/python/{name}.md"
            lines = [f"# {name}", "", f"::: {name}", "    options:", "      members: false", ""]
            lines += [line for module in modules for line in (f"::: {module}", "")]
            (source / path).parent.mkdir(exist_ok=True)
            (source / path).write_text("\n".join(lines), "utf-8")
            yield path


def _navigation(source: Path, rooms: Iterable[str]) -> list[object]:
    """Return the sections with their pages, in the order in which the index names them."""
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    named = [Path(ROOT / "docs", link).resolve() for link in re.findall(r"\]\(([^)#]+\.md)", index)]
    places = {str(path.relative_to(ROOT)): place for place, path in enumerate(named)}
    sections: list[object] = []
    for title, parts in SECTIONS:
        pages: list[object] = [page for part in parts for page in _pages(source, part, places)]
        if title == "Reference":
            pages.append({"Python": sorted(rooms)})
        sections.append({title: pages})
    return sections


def _pages(source: Path, part: str, places: dict[str, int]) -> list[str]:
    if part.endswith(".md"):
        return [part]
    found = [path.relative_to(source).as_posix() for path in (source / part).glob("*.md")]
    return sorted(found, key=lambda page: (not page.endswith("README.md"), places.get(page, len(places)), page))


def _as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_as_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_as_toml(one) for one in value) + "]"
    return json.dumps(value)


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs").resolve()))
