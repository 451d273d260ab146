"""Hostile model files: the very version is loaded or none, and nothing in them is ever run.

``SnapshotTarget`` takes any bytes, reads them as decisions, damages or forges one version, and raises AssertionError
where an invariant does not hold. ``tests.hostile.fuzz`` feeds it from a coverage-guided fuzzer, the tests from a seeded
generator.
"""

import sys
from hashlib import sha256
from typing import Any

import numpy as np
import orjson
from fsspec.implementations.memory import MemoryFileSystem

from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker
from streams.errors import RegistryError
from streams.registry.registry import Registry
from streams.registry.versions import DESCRIPTION
from tests.hostile.choices import LITERALS, Choices, edited
from tests.toy import toy_snapshot

__all__ = ["SMALL", "SnapshotTarget"]

SMALL: dict[str, Any] = {
    "history_length": 3,
    "factors": 2,
    "mlp_factors": 2,
    "genre_factors": 2,
    "text_width": 2,
    "neighbours": 2,
    "hidden": (2, 2),
    "heads": 1,
}  # a shape of few bytes, so that damage reaches each of them

RUNS_CODE = frozenset({"exec", "compile", "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork"}) | {
    *("subprocess.Popen", "ctypes.dlopen", "marshal.loads", "marshal.load", "code.__new__", "import", "os.remove"),
}
PICKLE = b"\x80\x04cposix\nsystem\n\x93\x8c\x04true\x85R."


class SnapshotTarget:
    """A model version with something wrong in its files: refused, or the very version, and no code is ever run."""

    def __init__(self) -> None:
        self._snapshot = toy_snapshot(("a", "b", "c"), users=("u", "v"), **SMALL)
        self._url = "memory://hostile"
        self._registry = Registry(self._url)
        figures: dict[str, Any] = {"parent": None, "metrics": {}, "offsets": {"watch-events": {0: 5}}}
        saved = self._registry.save(self._snapshot, **figures, created_ms=1, seed=1, code_revision="x")
        self._folder = f"/hostile/{saved.version_id}"
        self._id = saved.version_id
        names = (DESCRIPTION, "weights.safetensors")
        self._files = {name: MemoryFileSystem().cat_file(f"{self._folder}/{name}") for name in names}
        self._watching = False
        sys.addaudithook(self._audit)
        Ranker(self._registry.load(self._id)[0]).warm_up()

    def __call__(self, data: bytes) -> None:
        """Load one changed version: as it lies there, or with id and hashes made to fit what was changed."""
        choices = Choices(data)
        way = choices.number(3)
        files = dict(self._files)
        name = choices.one_of(tuple(files))
        files[name] = _wrong_file(choices, files[name])
        if way == 0:
            self._load(self._id, files, exact=True)
            return
        self._load(*_forged(files), exact=False)

    def _load(self, version_id: str, files: dict[str, bytes], *, exact: bool) -> None:
        memory = MemoryFileSystem()
        folder = f"/hostile/{version_id}"
        for name, content in files.items():
            memory.pipe_file(f"{folder}/{name}", content)
        self._watching = True
        try:
            found, version = self._registry.load(version_id)
            if exact:
                assert _equal(found, self._snapshot), "something else was loaded"
            assert version.version_id == version_id
            _serve(found)
        except RegistryError as error:
            assert len(str(error)) < 100_000  # noqa: PT017 - the invariant is about the message
        finally:
            self._watching = False
            memory.rm(folder, recursive=True)

    def _audit(self, event: str, arguments: Any) -> None:
        if self._watching and event in RUNS_CODE:
            raise AssertionError(f"{event} {arguments!r:.200} while a model was loaded")


def _serve(snapshot: Snapshot) -> None:
    """Do what a worker does with a loaded version; it takes these errors as a refusal."""
    try:
        Ranker(snapshot).warm_up()
    except (ValueError, FloatingPointError):
        return


def _equal(one: Snapshot, other: Snapshot) -> bool:
    return (one.config, one.items, one.users, one.genres) == (
        other.config,
        other.items,
        other.users,
        other.genres,
    ) and all(np.array_equal(one.weights[name], weight) for name, weight in other.weights.items())


def _wrong_file(choices: Choices, content: bytes) -> bytes:
    way = choices.number(5)
    if way == 0:
        return bytes(content[: choices.number(min(65_535, len(content)))])
    if way == 1:
        return bytes(
            choices.one_of((b"", PICKLE, PICKLE + content, content + PICKLE, content * 2, b"PK\x03\x04" + content))
        )
    if way == 2 and not content.startswith(b"{"):
        size = int.from_bytes(content[:8], "little")
        header = _wrong_json(choices, content[8 : 8 + size])
        return len(header).to_bytes(8, "little") + header + content[8 + size :]
    if way in {2, 3} and content.startswith(b"{"):
        return _wrong_json(choices, content)
    return edited(choices, content)


def _wrong_json(choices: Choices, content: bytes) -> bytes:
    """Return JSON with one value, at any depth, replaced by a hostile literal."""
    whole = orjson.loads(content)
    at: Any = whole
    while True:
        names: list[Any] = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not names:
            break
        name = choices.one_of(names[:256])
        if isinstance(at[name], dict | list) and at[name] and choices.number(3):
            at = at[name]
            continue
        if choices.number(3) == 0 and isinstance(at, dict):
            del at[name]
        else:
            at[name] = "put here"
        break
    return orjson.dumps(whole).replace(b'"put here"', choices.one_of(LITERALS))


def _forged(files: dict[str, bytes]) -> tuple[str, dict[str, bytes]]:
    """Return the id and the files of a version whose hashes fit its changed content, as a careful forger makes it."""
    try:
        body = orjson.loads(files[DESCRIPTION])
        for name, stored in body["files"].items():
            if name in files:
                stored.update(bytes=len(files[name]), sha256=sha256(files[name]).hexdigest())
    except (ValueError, TypeError, KeyError, AttributeError):
        return "v000009-00000000", files
    digest = sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    return f"v000009-{digest}", files | {DESCRIPTION: orjson.dumps(body)}
