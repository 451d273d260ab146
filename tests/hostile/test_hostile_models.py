"""Model files that somebody cut, changed or made: the very version is loaded or none, and nothing in them is run."""

import ast
import random
from pathlib import Path

import pytest

from streams.errors import RegistryError
from streams.registry.registry import Registry
from tests.hostile.model_files import SMALL, SnapshotTarget
from tests.toy import toy_snapshot

ROOT = Path(__file__).parents[2]
OWN = ("agents", "benchmarks", "commands", "model", "replay", "streams")
RUNS_WHAT_IT_READS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
LOADERS = {("torch", "load"), ("torch", "save"), ("np", "load"), ("numpy", "load"), ("pd", "read_pickle")}
RUNNERS = {"eval", "exec", "compile", "__import__"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a registry with one version, and the bytes of its files."""
    registry = Registry(str(tmp_path_factory.mktemp("models")))
    snapshot = toy_snapshot(("a", "b", "c"), **SMALL)
    version = registry.save(snapshot, parent=None, metrics={}, offsets={}, created_ms=1, seed=1, code_revision="x")
    files = {path: path.read_bytes() for path in Path(version.uri).iterdir()}
    yield registry, version.version_id, files
    for path, content in files.items():
        path.write_bytes(content)


def refused_with(stored, path, content):
    """Return whether the version is refused with other bytes in one file; the file is put back."""
    registry, version_id, files = stored
    path.write_bytes(content)
    try:
        registry.load(version_id)
    except RegistryError:
        return True
    finally:
        path.write_bytes(files[path])
    return False


def test_every_prefix_of_the_description_is_refused(stored):
    """However a copy of version.json was cut, the version is not loaded."""
    [(path, content)] = [(path, content) for path, content in stored[2].items() if path.name == "version.json"]
    assert [n for n in range(len(content)) if not refused_with(stored, path, content[:n])] == []


def test_every_interesting_prefix_of_the_weights_is_refused(stored):
    """Nothing, part of the header's length, of the header, of the numbers, and all but a byte: each is refused."""
    [(path, content)] = [(path, content) for path, content in stored[2].items() if path.suffix == ".safetensors"]
    header = 8 + int.from_bytes(content[:8], "little")
    cuts = {*range(10), header - 1, header, header + 1, header + 4, *range(0, len(content), 97), len(content) - 1}
    assert [n for n in sorted(cuts) if not refused_with(stored, path, content[:n])] == []


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_refused(stored, flip):
    """A byte with its lowest, its highest or all bits turned is noticed wherever it lies, unless it is no content."""
    registry, version_id, files = stored
    whole, _ = registry.load(version_id)
    for path, content in files.items():
        for at in range(0, len(content), 1 if path.name == "version.json" else 7):
            other = content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]
            if not refused_with(stored, path, other):
                path.write_bytes(other)
                found, _ = registry.load(version_id)
                path.write_bytes(content)
                assert (found.items, found.config) == (whole.items, whole.config)
                assert content[at : at + 1].isspace()  # indentation is no content


def test_a_file_of_gigabytes_is_refused_unread(stored):
    """Weights blown up to 64 GiB (a sparse file) are refused by their size at once, with both sizes told."""
    registry, version_id, files = stored
    [path] = [path for path in files if path.suffix == ".safetensors"]
    with path.open("r+b") as file:
        file.truncate(64 * 2**30)
    try:
        with pytest.raises(RegistryError, match=f"must have bytes {len(files[path])}, got {64 * 2**30}"):
            registry.load(version_id)
    finally:
        path.write_bytes(files[path])


def test_a_huge_description_is_refused_after_16_mib(stored):
    """A version.json of 64 GiB (a sparse file) is refused for its size and never held in memory."""
    registry, version_id, files = stored
    [path] = [path for path in files if path.name == "version.json"]
    with path.open("r+b") as file:
        file.truncate(64 * 2**30)
    try:
        with pytest.raises(RegistryError, match="must have at most 16777216 bytes, got 16777217"):
            registry.load(version_id)
    finally:
        path.write_bytes(files[path])


@pytest.mark.parametrize("seed", range(4))
def test_made_up_damage_is_refused_and_runs_nothing(seed):
    """Five hundred seeded inputs of the fuzz target, half of them with hashes that fit: no crash, no code run."""
    rng, target = random.Random(seed), SnapshotTarget()
    for _ in range(500):
        target(rng.randbytes(rng.randrange(1, 120)))


def test_the_audit_would_see_code_that_runs():
    """The target's audit hook raises when something is unpickled while it watches: its silence means something."""
    import pickle  # noqa: PLC0415 - to show that this very import is noticed when used

    target = SnapshotTarget()
    target._watching = True
    try:
        with pytest.raises(AssertionError, match=r"pickle\.find_class|import"):
            pickle.loads(b"cposix\ngetpid\n)R.")  # noqa: S301 - our own bytes, and the hook stops them
    finally:
        target._watching = False


def test_no_module_of_ours_reads_what_could_run():
    """No import of pickle, marshal, yaml and their like, no torch.load, numpy.load, read_pickle, eval or exec."""
    for path in [ROOT / "reelstream.py", *(path for name in OWN for path in sorted((ROOT / name).rglob("*.py")))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert RUNS_WHAT_IT_READS.isdisjoint(alias.name.split(".")[0] for alias in node.names), where
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in RUNS_WHAT_IT_READS, where
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in LOADERS, where
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in RUNNERS, where
            elif isinstance(node, ast.keyword):
                assert node.arg != "allow_pickle", where
