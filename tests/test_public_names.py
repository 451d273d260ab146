"""Every module says what it is and what is public; every test says what it proves. Each test lists all offenders."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "commands", "model", "replay", "streams", "web")
MODULES = [ROOT / "reelstream.py", *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
DESCRIBED = ("agents", "commands", "model", "replay", "streams", "web")


def name_of(path):
    """Return a file's name as people look it up."""
    return str(path.relative_to(ROOT))


@cache
def tree_of(path):
    """Return a file's syntax tree."""
    return ast.parse(path.read_text("utf-8"))


@pytest.fixture(scope="module", autouse=True)
def _trees_go():
    """Keep the trees, hundreds of megabytes, for the tests of this module alone."""
    yield
    tree_of.cache_clear()


def listed_names(tree):
    """Return the names of ``__all__`` in order, or None where there is none."""
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return [element.value for element in node.value.elts]
    return None


def public_definitions(tree):
    """Return the functions and classes that a module defines for others: no underscore, no subcommand of a group."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not any(is_subcommand(decorator) for decorator in node.decorator_list)
    }


def is_subcommand(decorator):
    """Tell whether a decorator registers with a click group, as in ``@topics.command()``."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (
        isinstance(called, ast.Attribute)
        and called.attr in {"command", "group"}
        and isinstance(called.value, ast.Name)
        and called.value.id != "click"
    )


def all_bound_names(tree):
    """Return every name that a module defines or imports, those it passes on included."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def dotted(path):
    """Return a file's module name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_taken(tree):
    """Give (module, name) for each name that a module takes from another, by import or as its attribute."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.module, alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield modules[node.value.id], node.attr


def wrong_in_all(path):
    """Give what is wrong with a module's ``__all__``."""
    tree = tree_of(path)
    listed = listed_names(tree)
    if listed is None:
        yield "has no __all__"
        return
    bound = all_bound_names(tree)
    for name in sorted(public_definitions(tree) - set(listed)):
        yield f"does not list {name}"
    for name in listed:
        if listed.count(name) > 1:
            yield f"lists {name} twice"
        if name.startswith("_"):
            yield f"lists {name}, which is private"
        if name not in bound:
            yield f"lists {name}, which it does not hold"


def test_all_lists_what_is_public():
    """``__all__`` names each public function and class, and nothing that the module does not hold."""
    assert [f"{name_of(path)} {wrong}" for path in MODULES for wrong in wrong_in_all(path)] == []


def test_modules_take_only_what_is_public():
    """Whatever a module takes from another of ours, constants included, stands in that one's ``__all__``."""
    public = {dotted(path): set(listed_names(tree_of(path)) or ()) for path in MODULES}
    unlisted = [
        f"{name_of(path)} takes {module}.{name}"
        for path in MODULES
        for module, name in names_taken(tree_of(path))
        if module in public and f"{module}.{name}" not in public and name not in public[module]
    ]
    assert unlisted == []


def test_class_names_are_unique_in_a_package():
    """No two modules of one package define a public class of the same name."""
    places = defaultdict(list)
    for path in MODULES:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[path.relative_to(ROOT).parts[0], node.name].append(name_of(path))
    assert [f"{name} is in {', '.join(paths)}" for (_, name), paths in places.items() if len(paths) > 1] == []


def test_modules_say_what_they_are():
    """Each module opens with a docstring."""
    assert [name_of(path) for path in MODULES + BENCHMARKS if not ast.get_docstring(tree_of(path))] == []


def test_a_room_names_its_files():
    """The docstring of each folder's ``__init__`` names every module and folder in it."""
    unnamed = [
        f"{name_of(room)} does not name {inside.stem}"
        for room in MODULES
        if room.name == "__init__.py" and room.relative_to(ROOT).parts[0] in DESCRIBED
        for inside in sorted(room.parent.iterdir())
        if (inside.suffix == ".py" or (inside / "__init__.py").exists()) and inside != room
        if f"``{inside.stem}``" not in (ast.get_docstring(tree_of(room)) or "")
    ]
    assert unnamed == []


def test_tests_say_what_they_prove():
    """Each test function has a docstring of one sentence: it ends with a period, and nothing follows it."""
    unsaid = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in TESTS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not is_one_sentence(ast.get_docstring(node) or "")
    ]
    assert unsaid == []


def is_one_sentence(text):
    """Tell whether a docstring is one paragraph that ends with a period."""
    return text.endswith(".") and "\n\n" not in text


def test_no_test_uses_a_mock():
    """Tests replace nothing inside the code they prove: ``unittest.mock`` is imported nowhere."""
    mocking = [
        f"{name_of(path)}:{node.lineno} imports {name}"
        for path in TESTS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imported_names(node)
        if name.startswith(("unittest.mock", "mock", "pytest_mock"))
    ]
    assert mocking == []


def imported_names(node):
    """Return the modules that an import statement names, and what it takes from them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names]


def test_the_tests_folders_are_no_packages():
    """No ``__init__.py`` lies under tests, because it would shadow the package of the same name."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []
