"""Versions without a forgotten user: under their own ids, whole, checked, and as good for everybody else."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from model.network.snapshot import Snapshot
from streams.errors import RegistryError
from streams.registry.forgotten import note_forgotten, read_forgotten
from streams.registry.registry import Registry
from tests.toy import toy_snapshot

ABOUT = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}


def grown(before, **rows):
    """Return a snapshot in which one item's factors and the rows of users differ, with one user more."""
    weights = dict(before.weights)
    width = weights["user_factors"].shape[1]
    weights["user_factors"] = np.concatenate([weights["user_factors"], np.full((1, width), 0.5, np.float32)])
    weights["item_factors"] = weights["item_factors"].copy()
    weights["item_factors"][0] += 1.0
    return Snapshot(before.config, weights, before.items, (*before.users, *rows["users"]), before.genres)


@pytest.fixture
def stored(tmp_path):
    """Return a registry with a whole version and two that hold changes, and their snapshots."""
    registry = Registry(str(tmp_path / "models"))
    first = toy_snapshot([f"i{n}" for n in range(400)], users=("ann", "ben"), item_genres=np.zeros((400, 1)))
    second = grown(first, users=("cat",))
    third = grown(second, users=("ann2",))
    versions = [registry.save(first, parent=None, **ABOUT)]
    for before, after in ((first, second), (second, third)):
        versions.append(registry.save(after, parent=versions[-1].version_id, onto=before, **ABOUT))
    assert [version.base is None for version in versions] == [True, False, False]
    return registry, versions, (first, second, third)


def test_a_user_leaves_every_version_and_no_id_changes(stored, tmp_path):
    """Rows of zeros stand in the user's places, all else is the same, and nothing on disk holds the name."""
    registry, versions, snapshots = stored
    assert set(registry.forget_users({"ann": "nobody-1"})) == {version.version_id for version in versions}
    for version, before in zip(versions, snapshots, strict=True):
        found, read = registry.load(version.version_id)
        assert (read.version_id, read.base, read.parent) == (version.version_id, None, version.parent)
        assert found.users == ("nobody-1", *before.users[1:])
        assert not found.weights["user_factors"][0].any()
        assert np.array_equal(found.weights["user_factors"][1:], before.weights["user_factors"][1:])
        assert np.array_equal(found.weights["item_factors"], before.weights["item_factors"])
        registry.verify(version.version_id)
    names = [orjson.dumps("ann"), b"ann\x00"]
    for path in (tmp_path / "models").rglob("*"):
        assert not path.is_file() or not any(name in path.read_bytes() for name in names)
    assert registry.forget_users({"ann": "nobody-1"}) == ()


def test_what_only_later_versions_hold_leaves_earlier_ones_alone(stored):
    """A version without the user is as it was, file by file, and so is what it rests on."""
    registry, versions, _ = stored
    assert registry.forget_users({"ann2": "nobody-2"}) == (versions[2].version_id,)
    assert [registry.read(version.version_id).base for version in versions] == [None, versions[0].version_id, None]


def test_where_the_store_fails_nothing_older_is_rewritten(stored):
    """A version that cannot be read for now keeps what it rests on; later all of them are rewritten."""
    registry, versions, _ = stored
    path = Path(registry.url) / versions[2].version_id / "version.json"
    content = path.read_bytes()
    path.unlink()
    path.mkdir()  # so that reading it fails as in a store that is away
    with pytest.raises(RegistryError, match="must be readable"):
        registry.forget_users({"ann": "nobody-1"})
    path.rmdir()
    path.write_bytes(content)
    assert registry.load(versions[2].version_id)[0].users[0] == "ann"
    assert len(registry.forget_users({"ann": "nobody-1"})) == 3


def test_files_of_earlier_contents_go(stored):
    """What a process that died in between has left is deleted; a file of another kind stays."""
    registry, versions, _ = stored
    folder = Path(registry.url) / versions[0].version_id
    for name in ("users.json", ".users_r1.json.0123456789abcdef", "README"):
        (folder / name).write_text("ann")
    registry.forget_users({"ann": "nobody-1"})
    (folder / "weights.safetensors").write_text("ann")
    assert registry.forget_users({"ann": "nobody-1"}) == ()
    names = {path.name for path in folder.iterdir()}
    assert names == {"README", "version.json", *registry.read(versions[0].version_id).files}


def test_a_file_that_cannot_be_deleted_is_told(stored):
    """It may hold the user, so the forgetting is not done."""
    registry, versions, _ = stored
    (Path(registry.url) / versions[1].version_id / "users.json").mkdir()
    with pytest.raises(RegistryError, match="must be deletable"):
        registry.forget_users({"ann": "nobody-1"})


def test_twice_rewritten_is_still_checked(stored):
    """Two users may go one after the other; a changed description is told all the same."""
    registry, versions, _ = stored
    registry.forget_users({"ann": "nobody-1"})
    registry.forget_users({"ben": "nobody-2"})
    found, _ = registry.load(versions[0].version_id)
    assert found.users == ("nobody-1", "nobody-2")
    path = Path(registry.url) / versions[0].version_id / "version.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"created_ms": 2}))
    with pytest.raises(RegistryError, match="must have content hash"):
        registry.load(versions[0].version_id)


def test_the_next_version_rests_on_a_rewritten_one(stored):
    """Changes to a rewritten version lead from it to what follows, also for a user who comes back."""
    registry, versions, snapshots = stored
    registry.forget_users({"ann": "nobody-1"})
    parent = snapshots[2].without_users({"ann": "nobody-1"})
    child = grown(parent, users=("ann",))
    version = registry.save(child, parent=versions[2].version_id, onto=parent, **ABOUT)
    assert version.base == versions[2].version_id
    assert registry.load(version.version_id)[0].users[-1] == "ann"


def test_what_was_carried_out_is_noted(tmp_path):
    """The note names nobody who was forgotten; one that was changed is told with the cure."""
    registry = Registry(str(tmp_path))
    assert read_forgotten(registry) == frozenset()
    note_forgotten(registry, {"forgotten:1"})
    assert read_forgotten(registry) == {"forgotten:1"}
    (tmp_path / "forgotten.json").write_text("[]")
    with pytest.raises(RegistryError, match="must list what was forgotten"):
        read_forgotten(registry)
