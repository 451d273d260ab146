"""The registry: versions are whole or absent, and nothing that was changed is trusted."""

import hashlib
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch

from model.network.shape import NeuMFConfig
from model.trainable.neumf import NeuMF
from streams.errors import RegistryError
from streams.records.codec import encode
from streams.records.records import ModelVersion
from streams.registry.registry import Registry
from streams.registry.versions import FORMAT, Lineage, VersionStore

LINEAGE = Lineage("v000001-0123abcd", {"hr_10": 0.25}, {"watch-events": {0: 7, 11: 3}}, 1_700_000_000_000, 42, "abc123")


def snapshot_of(n_items=5, n_users=3):
    """Return a small untrained snapshot."""
    genres = np.zeros((n_items, 2), dtype=np.float32)
    network = NeuMF(NeuMFConfig(), n_users, genres, generator=torch.Generator().manual_seed(3))
    items = tuple(f"i{n}" for n in range(n_items))
    return network.snapshot(items, tuple(f"u{n}" for n in range(n_users)), ("Drama", "War"))


def saved(registry, snapshot, **changed):
    """Store a snapshot with the lineage above, or with some of it changed."""
    lineage = {name: getattr(LINEAGE, name) for name in Lineage.__dataclass_fields__ if name != "base"}
    return registry.save(snapshot, **(lineage | changed))


@pytest.fixture(params=["local", "memory"])
def url(request, tmp_path):
    """Return an empty registry's URL on a local folder and on an in-memory file system."""
    return str(tmp_path / "models") if request.param == "local" else f"memory://models-{secrets.token_hex(4)}"


@pytest.fixture
def registry(tmp_path):
    """Return an empty registry in a local folder."""
    return Registry(str(tmp_path / "models"))


def file_of(version, name):
    """Return the path of a version's file in a local registry."""
    return Path(version.uri) / name


def test_an_empty_registry_lists_nothing(url):
    """A registry that was never written to has no versions and reading it creates nothing."""
    assert Registry(url).list() == ()
    assert Registry(url).list() == ()


def test_a_saved_snapshot_comes_back_equal(url):
    """What load returns has the same weights, bit for bit, the same ids and the same lineage."""
    snapshot = snapshot_of()
    version = saved(Registry(url), snapshot)
    loaded, found = Registry(url).load(version.version_id)
    assert found == version
    assert (loaded.config, loaded.items, loaded.users, loaded.genres) == (
        snapshot.config,
        snapshot.items,
        snapshot.users,
        snapshot.genres,
    )
    assert loaded.weights.keys() == snapshot.weights.keys()
    assert all(np.array_equal(loaded.weights[name], weight) for name, weight in snapshot.weights.items())
    assert {name: getattr(found, name) for name in Lineage.__dataclass_fields__} == {
        name: getattr(LINEAGE, name) for name in Lineage.__dataclass_fields__
    }


def test_long_vocabularies_rest_in_files_of_their_own(registry):
    """256 ids stay in version.json and 257 get a file, and both come back in order."""
    version = saved(registry, snapshot_of(n_items=257, n_users=256))
    assert set(version.files) == {"weights.safetensors", "items.json"}
    loaded, _ = registry.load(version.version_id)
    assert loaded.items == tuple(f"i{n}" for n in range(257))
    assert loaded.users == tuple(f"u{n}" for n in range(256))


def test_the_description_names_size_and_hash_of_each_file(registry):
    """Size and SHA-256 in version.json are those of the bytes on the disk."""
    version = saved(registry, snapshot_of())
    content = file_of(version, "weights.safetensors").read_bytes()
    stored = version.files["weights.safetensors"]
    assert (stored.bytes, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert version.size == sum(path.stat().st_size for path in Path(version.uri).iterdir()) - (
        file_of(version, "version.json").stat().st_size
    )


def test_versions_are_listed_newest_first(url):
    """Counters grow by one with each version, and the list starts with the highest."""
    registry = Registry(url)
    ids = [saved(registry, snapshot_of(), created_ms=at).version_id for at in (5, 6, 7)]
    assert [name[:7] for name in ids] == ["v000001", "v000002", "v000003"]
    assert [version.version_id for version in registry.list()] == ids[::-1]


def test_ids_beyond_six_digits_still_sort_by_counter(tmp_path):
    """After counter 999999 comes 1000000, and it is the newest although its text is the smaller."""
    archive = VersionStore(str(tmp_path))
    first = archive.put({}, {}, LINEAGE).version_id
    (tmp_path / first).rename(tmp_path / first.replace("v000001", "v999999"))
    archive.put({}, {}, LINEAGE)
    assert [version.counter for version in archive.list()] == [1_000_000, 999_999]


def test_two_writers_with_the_same_counter_keep_both(tmp_path):
    """A version written by another trainer at the same moment has another hash, so both exist."""
    apart = [VersionStore(str(tmp_path / name)) for name in ("a", "b")]
    one, other = (
        archive.put({"weights.safetensors": content}, {}, LINEAGE)
        for archive, content in zip(apart, (b"x", b"y"), strict=True)
    )
    assert one.counter == other.counter == 1
    assert one.version_id != other.version_id


def test_a_version_without_its_description_does_not_exist(registry):
    """Everything written but version.json is no version: not listed, not read, and its counter is not used again."""
    version = saved(registry, snapshot_of())
    file_of(version, "version.json").unlink()
    assert registry.list() == ()
    with pytest.raises(RegistryError, match=r"v000001-\w+', which has no version\.json"):
        registry.read(version.version_id)
    assert saved(registry, snapshot_of()).counter == 2


def test_a_killed_writer_leaves_whole_versions_or_none(tmp_path):
    """A process killed while it writes one version after another leaves only versions that verify."""
    program = (
        "import sys; from streams.registry.versions import VersionStore, Lineage\n"
        "archive = VersionStore(sys.argv[1])\n"
        "for n in range(10_000):\n"
        "    archive.put({'weights.safetensors': bytes(200_000), 'items.json': b'[]'}, {}, "
        "Lineage(None, {}, {}, n, 0, ''))\n"
        "    print(n, flush=True)\n"
    )
    root = Path(__file__).parents[3]
    for lines in (1, 4, 9):
        folder = tmp_path / str(lines)
        with subprocess.Popen([sys.executable, "-c", program, folder], cwd=root, stdout=subprocess.PIPE) as writer:
            for _ in range(lines):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        archive = VersionStore(str(folder))
        whole = archive.list()
        assert len(whole) >= lines
        assert [archive.verify(version.version_id) for version in whole] == list(whole)


@pytest.mark.parametrize("name", ["weights.safetensors", "items.json"])
def test_one_changed_byte_is_refused(registry, name):
    """A file whose last byte was changed is refused with its path, the expected and the actual hash."""
    version = saved(registry, snapshot_of(n_items=300))
    path = file_of(version, name)
    content = path.read_bytes()
    changed = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(changed)
    expected, got = (hashlib.sha256(of).hexdigest() for of in (content, changed))
    with pytest.raises(RegistryError, match=f"{name} must have SHA-256 '{expected}', got '{got}'"):
        registry.load(version.version_id)
    with pytest.raises(RegistryError, match=name):
        registry.verify(version.version_id)


def test_a_torn_file_is_refused(registry):
    """A file cut by one byte is refused with both sizes."""
    version = saved(registry, snapshot_of())
    path = file_of(version, "weights.safetensors")
    size = path.stat().st_size
    os.truncate(path, size - 1)
    with pytest.raises(RegistryError, match=f"must have bytes {size}, got {size - 1}"):
        registry.load(version.version_id)


def test_a_missing_file_is_refused(registry):
    """A version whose weights are gone is refused with their path."""
    version = saved(registry, snapshot_of())
    file_of(version, "weights.safetensors").unlink()
    with pytest.raises(RegistryError, match=r"weights\.safetensors must hold \d+ bytes"):
        registry.verify(version.version_id)


def test_an_edited_description_is_refused_and_left_out_of_the_list(registry):
    """A metric improved by hand no longer fits the id; the other versions stay listed."""
    kept = saved(registry, snapshot_of())
    edited = saved(registry, snapshot_of())
    path = file_of(edited, "version.json")
    path.write_bytes(path.read_bytes().replace(b"0.25", b"0.95"))
    with pytest.raises(RegistryError, match=r"version\.json must have content hash"):
        registry.read(edited.version_id)
    assert registry.list() == (kept,)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null", b"\xff"])
def test_a_torn_description_is_refused(registry, content):
    """Whatever is no JSON object with a format number is refused, never an unexpected error."""
    version = saved(registry, snapshot_of())
    file_of(version, "version.json").write_bytes(content)
    with pytest.raises(RegistryError, match=r"version\.json must be a JSON object with a format number"):
        registry.read(version.version_id)


@pytest.mark.parametrize("written", [FORMAT + 1, 0, "1", None, True])
def test_another_format_is_refused(registry, written):
    """A format above the known one, or no whole number, is refused and an upgrade is proposed."""
    version = saved(registry, snapshot_of())
    path = file_of(version, "version.json")
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"format": written}))
    with pytest.raises(RegistryError, match=rf"must have format 1 to {FORMAT}, got .*upgrade"):
        registry.load(version.version_id)


@pytest.mark.parametrize(
    "version_id", ["", "v1-0123abcd", "v000001-0123ABCD", "../v000001-0123abcd", "v000001-0123abcd/"]
)
def test_an_id_of_another_shape_is_refused(registry, version_id):
    """What is no version id is never used as a path."""
    with pytest.raises(RegistryError, match="a version id like"):
        registry.read(version_id)


def test_a_version_is_found_by_its_beginning_or_number(registry):
    """One that is alone in it is found; several are named, and what none has is refused."""
    first, second = (saved(registry, snapshot_of(), seed=seed).version_id for seed in (1, 2))
    assert [registry.find_id(given) for given in (first, "v000001", "v1", "1", "0002")] == [first] * 4 + [second]
    assert registry.find_id(second[:-2]) == second
    assert registry.find_id("v000009-00000000") == "v000009-00000000"  # a whole id is judged by who reads it
    with pytest.raises(RegistryError, match=f"got 'v0000', with which {second}, {first} begin"):
        registry.find_id("v0000")
    for given in ("", "v9", "x", "../v1"):
        with pytest.raises(RegistryError, match=r"its beginning or its number is required, got .*model list"):
            registry.find_id(given)


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_is_refused(registry, figure):
    """JSON has no NaN, so a metric that is not finite is refused before anything is written."""
    with pytest.raises(RegistryError, match="metric 'hr' must be finite"):
        saved(registry, snapshot_of(), metrics={"hr": figure})
    assert registry.list() == ()


def test_a_weight_that_is_not_finite_is_refused(registry):
    """A diverged network is never stored."""
    snapshot = snapshot_of()
    snapshot.weights["item_factors"][0, 0] = float("nan")
    with pytest.raises(RegistryError, match="weight 'item_factors' must be finite"):
        saved(registry, snapshot)


def test_files_that_are_no_snapshot_are_refused(registry):
    """A version of other content cannot be loaded as a model."""
    version = registry.put({"weights.safetensors": b"not weights"}, {"snapshot": {}}, LINEAGE)
    with pytest.raises(RegistryError, match="must hold a model snapshot"):
        registry.load(version.version_id)


@pytest.mark.parametrize("name", ["version.json", "../weights.safetensors", "weights.pkl", "a b.json"])
def test_a_file_name_that_leaves_the_folder_is_refused(registry, name):
    """Only plain names of JSON and safetensors files are stored, and never the description itself."""
    with pytest.raises(RegistryError, match="a file name like"):
        registry.put({name: b""}, {}, LINEAGE)


def test_an_unknown_protocol_is_refused():
    """A URL that fsspec does not know is told with the URL."""
    with pytest.raises(RegistryError, match="got 'nowhere://models'"):
        Registry("nowhere://models")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    """A file in the place of the registry's folder is a RegistryError that names the path."""
    (tmp_path / "models").write_text("a file")
    with pytest.raises(RegistryError, match="models"):
        saved(Registry(str(tmp_path / "models")), snapshot_of())


def test_no_temporary_file_is_left(registry):
    """After a save the version's folder holds its files and the description, nothing else."""
    version = saved(registry, snapshot_of())
    assert {path.name for path in Path(version.uri).iterdir()} == {"version.json", *version.files}


def test_a_versions_figures_can_be_published(registry):
    """Metrics and offsets are plain values that a record on a topic can carry."""
    version = saved(registry, snapshot_of())
    record = ModelVersion(version.version_id, "promoted", version.parent, version.uri, 5, version.metrics)
    assert orjson.loads(encode(record))["metrics"] == {"hr_10": 0.25}


def test_a_removed_version_is_gone_and_the_others_stay(url):
    """After removing, the version can neither be read nor removed again, and its neighbour verifies."""
    registry = Registry(url)
    gone, kept = (saved(registry, snapshot_of(), created_ms=at).version_id for at in (1, 2))
    registry.remove(gone)
    assert [version.version_id for version in registry.list()] == [kept]
    assert registry.verify(kept).version_id == kept
    with pytest.raises(RegistryError, match=r"has no version\.json"):
        registry.remove(gone)


def chain_of(registry, n):
    """Store a whole version and n that hold changes alone; return the snapshots and the versions."""
    snapshots, versions = [snapshot_of(n_items=60)], []
    versions.append(saved(registry, snapshots[0], parent=None))
    for step in range(n):
        weights = dict(snapshots[-1].weights)
        weights["item_factors"] = weights["item_factors"].copy()
        weights["item_factors"][step] += 1.0
        snapshots.append(replace(snapshots[-1], weights=weights))
        versions.append(saved(registry, snapshots[-1], parent=versions[-1].version_id, onto=snapshots[-2]))
    return snapshots, versions


def equal(one, other):
    """Tell whether two snapshots have the same ids and weights."""
    names = (one.items, one.users, one.genres) == (other.items, other.users, other.genres)
    return names and all(np.array_equal(weight, other.weights[name]) for name, weight in one.weights.items())


def test_a_version_can_hold_its_changes_alone(url):
    """Stored onto its parent, a version with one changed row is a small file, and loads as it was."""
    registry = Registry(url)
    snapshots, versions = chain_of(registry, 2)
    assert [version.base for version in versions] == [None, versions[0].version_id, versions[1].version_id]
    assert [set(version.files) for version in versions] == [{"weights.safetensors"}, *[{"delta.safetensors"}] * 2]
    assert (
        versions[2].size < versions[0].size / 100
    )  # one row of 128 floats beside 60 and 3 of them, and 60 x 1,024 counts
    assert [registry.changes_since_whole(version.version_id) for version in versions] == [0, 1, 2]
    for snapshot, version in zip(snapshots, versions, strict=True):
        assert equal(registry.load(version.version_id)[0], snapshot)


def test_large_changes_are_stored_whole(registry):
    """Where most of the weights changed, the parent is not worth reading."""
    before = snapshot_of(n_items=60)
    first = saved(registry, before, parent=None)
    weights = {
        name: np.asarray(weight + np.float32(1)) if weight.dtype == np.float32 else weight
        for name, weight in before.weights.items()
    }
    second = saved(registry, replace(before, weights=weights), parent=first.version_id, onto=before)
    assert (second.base, set(second.files)) == (None, {"weights.safetensors"})


def test_another_snapshot_than_before_is_stored_whole(registry):
    """A snapshot that does not go on from the one at hand (its items differ) is no change of it."""
    first = saved(registry, snapshot_of(n_items=60), parent=None)
    other = replace(snapshot_of(n_items=60), items=tuple(f"other{n}" for n in range(60)))
    assert saved(registry, other, parent=first.version_id, onto=snapshot_of(n_items=60)).base is None


def test_following_reads_what_lies_between(registry):
    """From a snapshot at hand two versions back, two small files are read, and the changed rows are told."""
    snapshots, versions = chain_of(registry, 3)
    followed = registry.follow(versions[3].version_id, (versions[1].version_id, snapshots[1]))
    assert equal(followed.snapshot, snapshots[3])
    assert (followed.version, followed.changed.tolist()) == (versions[3], [1, 2])
    assert followed.size == versions[2].size + versions[3].size


def test_a_gap_is_read_whole(registry):
    """From a snapshot that no change leads on from, the whole of the version is read, and no rows are told."""
    snapshots, versions = chain_of(registry, 2)
    for held in (None, ("v000099-00000000", snapshots[1]), (versions[2].version_id, snapshots[2])):
        followed = registry.follow(versions[1].version_id, held)
        assert equal(followed.snapshot, snapshots[1])
        assert (followed.changed, followed.size) == (None, versions[0].size + versions[1].size)


def test_a_snapshot_that_is_not_what_it_is_called_is_read_anew(registry, caplog):
    """Changes that lead elsewhere from what is at hand are told by their checksum, and the whole is read."""
    snapshots, versions = chain_of(registry, 1)
    wrong = replace(snapshots[0], weights={**snapshots[0].weights, "item_bias": np.ones(60, np.float32)})
    followed = registry.follow(versions[1].version_id, (versions[0].version_id, wrong))
    assert equal(followed.snapshot, snapshots[1])
    assert followed.changed is None
    assert "version.refetched" in caplog.text


def test_changes_without_their_base_are_refused(registry):
    """A version whose base is gone cannot be loaded, and the error names the one that is missing."""
    _, versions = chain_of(registry, 1)
    registry.remove(versions[0].version_id)
    for read in (registry.load, registry.verify):
        with pytest.raises(RegistryError, match=versions[0].version_id):
            read(versions[1].version_id)


def test_pruning_spares_what_kept_versions_rest_on(registry):
    """Of a chain and older whole versions, those that the newest needs to be read stay, and the pinned one."""
    old = [saved(registry, snapshot_of(n_items=n), parent=None).version_id for n in (5, 6)]
    _, versions = chain_of(registry, 3)
    removed = registry.prune(1, None, pinned=[old[1]])
    assert [version.version_id for version in removed] == [old[0]]
    assert {version.version_id for version in registry.list()} == {
        old[1],
        *(version.version_id for version in versions),
    }


def test_a_version_of_the_first_format_is_read(registry):
    """A description without a base, as format 1 has it, is one of a whole version."""
    version = saved(registry, snapshot_of())
    path = file_of(version, "version.json")
    body = orjson.loads(path.read_bytes())
    del body["base"]
    body["format"] = 1
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    path.parent.rename(path.parent.with_name(f"v000001-{digest}"))
    (path.parent.with_name(f"v000001-{digest}") / "version.json").write_bytes(orjson.dumps(body))
    assert registry.read(f"v000001-{digest}").base is None
    assert equal(registry.load(f"v000001-{digest}")[0], snapshot_of())


def test_nothing_is_pruned_where_a_base_cannot_be_read(registry):
    """A torn description in the middle of a chain hides what the newest rests on, so all versions stay."""
    _, versions = chain_of(registry, 4)
    path = file_of(versions[2], "version.json")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(RegistryError, match=versions[2].version_id):
        registry.prune(1, versions[4].version_id)
    path.write_bytes(whole)
    assert len(registry.list()) == 5
    assert registry.prune(1, versions[4].version_id) == ()


def test_a_folder_with_an_absurd_number_is_told_before_anything_is_written(registry):
    """After eighteen nines there is no next counter: the error says so, and no folder is left behind."""
    path = Path(registry.url) / f"v{'9' * 18}-00000000"
    path.mkdir(parents=True)
    with pytest.raises(RegistryError, match="remove the folder of the highest one"):
        saved(registry, snapshot_of())
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_nothing_behind(small_disk):
    """Of two files of 40 kB the second does not fit: the error says so, nothing stays, and a small one is stored."""
    archive = VersionStore(str(small_disk.path / "models"))
    two = {"first.json": b"1" * 40_000, "second.json": b"2" * 40_000}
    with pytest.raises(RegistryError, match=r"second\.json must be writable \(40000 bytes\), got .*No space left"):
        archive.put(two, {}, replace(LINEAGE, parent=None))
    assert list(small_disk.path.rglob("*.json")) == []
    assert list((small_disk.path / "models").iterdir()) == []
    version = archive.put({"first.json": b"1"}, {}, replace(LINEAGE, parent=None))
    assert archive.verify(version.version_id) == version


def test_where_a_pointer_says_its_version_is_names_another_registry(tmp_path, registry):
    """The folder of a version elsewhere is a registry; a location here, or one that is no version's, is none."""
    other = Registry(str(tmp_path / "other"))
    version = saved(other, snapshot_of(), parent=None)
    assert registry.elsewhere(version.version_id, version.uri).read(version.version_id) == version
    assert other.elsewhere(version.version_id, version.uri) is None
    for uri in ("", version.version_id, f"{other.url}/v000009-00000000", f"nothing://x/{version.version_id}"):
        assert registry.elsewhere(version.version_id, uri) is None
