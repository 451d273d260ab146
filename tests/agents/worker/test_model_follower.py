"""Following the model pointer on a real Redis and a real registry: swap, refusal, rollback."""

import hashlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from safetensors.numpy import load, save

from agents.worker.app import Driver, join_worker
from agents.worker.model_follower import ModelFollower
from agents.worker.runtime import WorkerConfig
from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.retrieval import RetrievingRanker
from streams.kafka.publisher import Publisher
from streams.records.records import Origin
from streams.redis.connection import connect
from streams.redis.heartbeat import SignOfLife
from streams.registry.registry import Registry
from streams.registry.versions import FORMAT
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.lists import Serving, ServingConfig, Trigger
from streams.settings import Settings
from streams.state.store import ModelPointer, State
from tests.toy import toy_snapshot

PICKLE = b"\x80\x04cposix\nsystem\n\x93\x8c\x04true\x85R."  # os.system("true") to whoever unpickles it


@pytest.fixture
async def state(redis_url):
    """Return the installed state of an empty database."""
    client = connect(redis_url)
    installed = State(client)
    await installed.install()
    yield installed
    await client.aclose()


@pytest.fixture
def versions(tmp_path):
    """Return three stored versions of one small network."""
    snapshot = toy_snapshot(("a", "b", "c", "d"), seed=2)
    registry = Registry(str(tmp_path / "models"))
    return [
        registry.save(snapshot, parent=None, metrics={}, offsets={}, created_ms=n, seed=n, code_revision="test")
        for n in range(3)
    ]


@pytest.fixture
def worker(state, redis_url, tmp_path):
    """Return a worker that leads nobody and refreshes only when it is told to."""
    return worker_of(state, redis_url, tmp_path)


def worker_of(state, redis_url, tmp_path, **chosen):
    """Return a worker with some settings chosen."""
    settings = Settings("unused:1", redis_url, str(tmp_path / "models"), partitions=2, **chosen)
    driver = Driver(lambda: Publisher(None), frozenset, None)
    life = SignOfLife(connect(redis_url), "worker")
    return join_worker(settings, WorkerConfig(), state, None, life, driver)


def follower(worker):
    """Return the refresher that follows the pointer."""
    [found] = [refresher for refresher in worker.refreshers if type(refresher) is ModelFollower]
    return found


async def follow(worker, state, version):
    """Move the pointer to a version, look once, and return the version that serves then."""
    await state.move_model(ModelPointer(version.version_id, version.uri, 1))
    await follower(worker).refresh()
    assert worker.report.model_version == worker.current.recommender.version
    return worker.current.recommender.version


async def test_the_pointer_is_followed_forwards_and_back(worker, state, versions):
    """No pointer, no model; then the first version, the second, and the first again after a rollback."""
    await follower(worker).refresh()
    assert (worker.current.recommender.version, worker.current.recommender.ranker) == (None, None)
    for version in (versions[0], versions[1], versions[0]):
        assert await follow(worker, state, version) == version.version_id
    assert len(worker.current.recommender.ranker) == 4


async def test_a_withdrawn_version_is_let_go_of_and_a_lost_pointer_is_not(worker, state, versions, redis_url):
    """Without a pointer a version serves on; with one that names none it goes, and the next one is followed."""
    await follow(worker, state, versions[0])
    client = connect(redis_url)
    await client.delete("model:current")
    await follower(worker).refresh()
    assert worker.current.recommender.version == versions[0].version_id
    await state.move_model(ModelPointer("", "", 2))
    await follower(worker).refresh()
    assert (worker.current.recommender.version, worker.current.recommender.ranker) == (None, None)
    assert (worker.report.model_version, worker.current.recommender.lacks_model) == (None, False)
    assert await follow(worker, state, versions[1]) == versions[1].version_id
    await client.aclose()


async def test_the_same_version_is_loaded_once(worker, state, versions):
    """A second look at an unmoved pointer keeps the very ranker."""
    await follow(worker, state, versions[0])
    before = worker.current.recommender
    await follower(worker).refresh()
    assert worker.current.recommender is before


async def test_a_torn_version_is_refused_and_the_old_one_serves(worker, state, versions):
    """Pointed at a version whose weights were cut the worker keeps the first, and takes the third that is whole."""
    await follow(worker, state, versions[0])
    weights = Path(versions[1].uri) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert await follow(worker, state, versions[1]) == versions[0].version_id
    assert await follow(worker, state, versions[2]) == versions[2].version_id


def chained(tmp_path, n):
    """Store a whole version of 60 items and n that hold changes to the one before; return snapshots and versions."""
    registry = Registry(str(tmp_path / "models"))
    snapshots, versions = [many_items(60)], []
    about = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 1, "code_revision": "test"}
    versions.append(registry.save(snapshots[0], parent=None, **about))
    for step in range(n):
        factors = snapshots[-1].weights["item_factors"].copy()
        factors[step] += 1.0
        snapshots.append(replace(snapshots[-1], weights={**snapshots[-1].weights, "item_factors": factors}))
        parent = versions[-1].version_id
        versions.append(registry.save(snapshots[-1], parent=parent, onto=snapshots[-2], **about))
    return snapshots, versions


async def test_changes_are_taken_over_without_reading_the_whole(worker, state, tmp_path):
    """One version and then two at once come as the bytes of their changes, and what serves is what was stored."""
    snapshots, versions = chained(tmp_path, 3)
    for at, loaded, patched in ((0, 1, 0), (1, 1, 1), (3, 1, 2)):
        assert await follow(worker, state, versions[at]) == versions[at].version_id
        assert (worker.report.loaded, worker.report.patched) == (loaded, patched)
        assert (worker.report.sync_ms > 0) == (at > 0)  # nothing served before the first
        served = worker.current.recommender.ranker.snapshot.unpacked()
        assert all(np.array_equal(served.weights[name], weight) for name, weight in snapshots[at].weights.items())
    assert worker.report.sync_bytes == versions[2].size + versions[3].size
    assert worker.report.sync_ms > 10**12  # the pointer of `follow` says that it was moved at 1 ms after the epoch


async def test_the_counts_are_held_once_and_followed_from_there(worker, state, tmp_path):
    """What serves has the table of all pairs that it reads and no other counts; a change to them is taken over."""
    about = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    registry, first = Registry(str(tmp_path / "models")), toy_snapshot(("a", "b", "c", "d"), neighbours=2)
    changed = {name: first.weights[name].copy() for name in ("evidence.neighbours", "evidence.counts")}
    changed["evidence.neighbours"][1], changed["evidence.counts"][1] = (0, 3), (0.5, 2.0)
    second = replace(first, weights={**first.weights, **changed})
    kept = registry.save(first, parent=None, **about)
    then = registry.save(second, parent=kept.version_id, onto=first, **about)
    for version, stored in ((kept, first), (then, second)):
        assert await follow(worker, state, version) == version.version_id
        ranker = worker.current.recommender.ranker
        held = ranker.snapshot.weights
        assert not {"evidence.neighbours", "evidence.counts"} & held.keys()
        assert ranker._evidence._pairs is held["evidence.pairs"]
        found = ranker.snapshot.unpacked().weights
        assert all(found[name].tobytes() == weight.tobytes() for name, weight in stored.weights.items())
    assert worker.report.patched == 1


async def test_a_rollback_from_changes_reads_the_version_whole(worker, state, tmp_path):
    """Nothing leads back from a later version, so the older one is read from its files, and serves as it was."""
    snapshots, versions = chained(tmp_path, 2)
    await follow(worker, state, versions[2])
    assert await follow(worker, state, versions[1]) == versions[1].version_id
    assert (worker.report.loaded, worker.report.patched) == (2, 0)
    served = worker.current.recommender.ranker.snapshot.weights["item_factors"]
    assert np.array_equal(served, snapshots[1].weights["item_factors"])


async def test_torn_changes_are_refused_and_the_old_version_serves(worker, state, tmp_path):
    """A cut file of changes is no version; once it is whole again it serves."""
    _, versions = chained(tmp_path, 1)
    await follow(worker, state, versions[0])
    changes = Path(versions[1].uri) / "delta.safetensors"
    whole = changes.read_bytes()
    changes.write_bytes(whole[:-1])
    assert await follow(worker, state, versions[1]) == versions[0].version_id
    changes.write_bytes(whole)
    follower(worker)._retry_at = 0.0
    assert await follow(worker, state, versions[1]) == versions[1].version_id


def many_items(n):
    """Return a snapshot of n items."""
    return toy_snapshot([f"i{row}" for row in range(n)], seed=2)


async def test_a_large_catalogue_is_retrieved_from(state, redis_url, tmp_path):
    """Told to use faiss, a worker's list of 4000 items comes from an index of them, and is the exact one."""
    pytest.importorskip("faiss", reason="needs the extra large: pip install 'reelstream[large]'")
    snapshot = many_items(4000)
    stored = Registry(str(tmp_path / "models")).save(
        snapshot, parent=None, metrics={}, offsets={}, created_ms=1, seed=1, code_revision="test"
    )
    worker = worker_of(state, redis_url, tmp_path, retrieval="faiss")
    await follow(worker, state, stored)
    assert type(worker.current.recommender.ranker) is RetrievingRanker
    catalogue = Catalogue.of([Item(item_id, item_id, None, ("Drama",)) for item_id in snapshot.items])
    recommender = worker.current.recommender.with_catalogue(catalogue, ContentIndex(catalogue))
    recent = tuple(Interaction(f"i{row}", 60_000 - row, "watch", 1.0) for row in range(0, 50, 10))
    (draft,) = recommender.recommend([Profile("u", recent=recent)], 10)
    (exact,) = recommender.with_model(Ranker(snapshot), "exact").recommend([Profile("u", recent=recent)], 10)
    assert draft.mode == "personalized"
    assert [item.item_id for item in draft.items] == [item.item_id for item in exact.items]


async def test_without_faiss_a_large_catalogue_is_ranked_exactly(state, redis_url, tmp_path, monkeypatch, caplog):
    """Left to choose, a worker without the package scores all 50,000 items, and its log names the cure."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    snapshot = many_items(50_000)
    worker = worker_of(state, redis_url, tmp_path)
    loader = follower(worker)._loader
    assert type(loader.ranker(snapshot)) is Ranker
    assert "50000 items are scored for every list" in caplog.text
    assert "pip install 'reelstream[large]'" in caplog.text


def weights_of(version):
    """Return the path of a version's weights."""
    return Path(version.uri) / "weights.safetensors"


def forged(version, **changed):
    """Change a version's description, with an id that fits it again, and return what to point at."""
    body = orjson.loads((Path(version.uri) / "version.json").read_bytes()) | changed
    weights = weights_of(version).read_bytes()
    body["files"]["weights.safetensors"] = {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    folder = Path(version.uri).rename(Path(version.uri).with_name(f"v000777-{digest}"))
    (folder / "version.json").write_bytes(orjson.dumps(body))
    return ModelPointer(folder.name, str(folder), 1)


def changed_weights(version, change):
    """Change the bytes of a version's weights and make size, hash and id fit: only what they mean is wrong."""
    path = weights_of(version)
    path.write_bytes(change(path.read_bytes()))
    return forged(version)


def recounted(version, counts):
    """Put other counts of neighbours, or none, into a version."""

    def change(content):
        weights = load(content)
        held = counts(weights.pop("evidence.counts"))
        return save(weights if held is None else weights | {"evidence.counts": held})

    return changed_weights(version, change)


def described(version, **changed):
    """Forge a version whose snapshot is described otherwise."""
    details = orjson.loads((Path(version.uri) / "version.json").read_bytes())["details"]["snapshot"]
    return forged(version, details={"snapshot": details | changed})


def overwritten(version, content, name="weights.safetensors"):
    """Put other bytes in the place of a file."""
    (Path(version.uri) / name).write_bytes(content)
    return ModelPointer(version.version_id, version.uri, 1)


WIDE = {"factors": 2**40, "heads": 1}  # a network of terabytes
BREAKAGES = {
    "weights gone": lambda v: weights_of(v).unlink() or ModelPointer(v.version_id, v.uri, 1),
    "description empty": lambda v: overwritten(v, b"", "version.json"),
    "description of 17 MiB": lambda v: overwritten(v, b" " * (17 * 2**20), "version.json"),
    "weights too long": lambda v: overwritten(v, weights_of(v).read_bytes() + b"\x00"),
    "a pickle for weights": lambda v: overwritten(v, PICKLE),
    "a pickle that fits its hash": lambda v: changed_weights(v, lambda _: PICKLE),
    "a zip as torch.save writes it": lambda v: changed_weights(v, lambda _: b"PK\x03\x04" + bytes(100)),
    "cut weights that fit their hash": lambda v: changed_weights(v, lambda content: content[:-1]),
    "a header of 2**63 bytes": lambda v: changed_weights(v, lambda content: b"\xff" * 8 + content[8:]),
    "no counts": lambda v: recounted(v, lambda _: None),
    "counts of too few neighbours": lambda v: recounted(v, lambda counts: counts[:, 1:].copy()),
    "counts of too few items": lambda v: recounted(v, lambda counts: counts[1:].copy()),
    "counts in one row": lambda v: recounted(v, lambda counts: counts.reshape(-1)),
    "a newer format": lambda v: forged(v, format=FORMAT + 1),
    "no details": lambda v: forged(v, details=None),
    "no snapshot": lambda v: forged(v, details={}),
    "no offsets": lambda v: forged(v, offsets=[]),
    "a file outside the folder": lambda v: forged(v, files={"../../x.json": {"bytes": 1, "sha256": ""}}),
    "one item too many": lambda v: described(v, items=["a", "b", "c", "d", "e"]),
    "an item that is no text": lambda v: described(v, items=["a", "b", "c", {}]),
    "a shape that does not fit": lambda v: described(v, config={"factors": 8}),
    "a shape of terabytes": lambda v: described(v, config=WIDE),
    "endless blocks": lambda v: described(v, config={"blocks": 2**62}),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
async def test_whatever_is_wrong_with_a_version_the_old_one_serves(worker, state, versions, breakage):
    """A version that is torn, forged, or of another kind or size is refused; the first serves on, then the third."""
    await follow(worker, state, versions[0])
    before = worker.current.recommender
    await state.move_model(BREAKAGES[breakage](versions[1]))
    await follower(worker).refresh()
    assert worker.current.recommender is before
    assert await follow(worker, state, versions[2]) == versions[2].version_id


async def test_a_version_that_is_nowhere_makes_lists_degraded_until_it_appears(worker, state, versions, tmp_path):
    """Named but absent, with none loaded: reported, at fault, lists marked; when its folder appears it just serves."""
    folder, hidden = versions[0].uri, tmp_path / "hidden"
    shutil.move(folder, hidden)
    assert await follow(worker, state, versions[0]) is None
    report, missing = worker.report, versions[0].version_id
    assert (report.unloaded, worker.current.recommender.lacks_model) == (missing, True)
    assert report.fault.startswith(f"{missing} should serve and cannot be loaded, no version is loaded, lists are deg")
    [answer] = await lists_of(worker, [Profile("u", recent=(), mode="personalized")])
    assert (answer.recommendation.mode, answer.mode, answer.change) == ("degraded", "personalized", None)
    shutil.move(hidden, folder)
    follower(worker)._retry_at = 0.0
    assert await follow(worker, state, versions[0]) == missing
    assert (report.unloaded, report.fault, worker.current.recommender.lacks_model) == (None, None, False)
    [answer] = await lists_of(worker, [Profile("u", recent=())])
    assert answer.recommendation.mode == "cold_start"


async def lists_of(worker, profiles):
    """Return answers of what serves now."""
    scoring = BudgetedScorer(5.0, Breaker(BreakerConfig(), lambda: 0.0))
    serving = Serving(ServingConfig(), scoring, worker.state, lambda: 1)
    wanted = [(profile, Trigger.of_event(Origin("watch-events", 0, 1, 1), "e", 1)) for profile in profiles]
    try:
        return await serving.answer(worker.current.recommender, wanted)
    finally:
        scoring.close()


async def test_an_older_version_serves_on_and_that_is_reported(worker, state, versions):
    """With the first loaded and the second gone, lists are as before, and the report names what should serve."""
    await follow(worker, state, versions[0])
    shutil.move(versions[1].uri, f"{versions[1].uri}-hidden")
    assert await follow(worker, state, versions[1]) == versions[0].version_id
    assert (worker.report.unloaded, worker.current.recommender.lacks_model) == (versions[1].version_id, False)
    assert f"{versions[0].version_id} keeps serving" in worker.report.fault
    assert await follow(worker, state, versions[0]) == versions[0].version_id  # the pointer goes back
    assert (worker.report.unloaded, worker.report.fault) == (None, None)


async def test_a_version_is_read_from_where_its_pointer_says(worker, state, versions, tmp_path):
    """Where the worker's registry lacks it and its own location has it, it serves from there."""
    shutil.move(tmp_path / "models", tmp_path / "moved")
    pointer = ModelPointer(versions[0].version_id, str(tmp_path / "moved" / versions[0].version_id), 1)
    await state.move_model(pointer)
    await follower(worker).refresh()
    assert (worker.current.recommender.version, worker.report.fault) == (versions[0].version_id, None)


async def test_a_version_that_keeps_repeats_is_refused_where_they_are_dropped(worker, versions, state, tmp_path):
    """It was trained for other lists than are made here: the one before serves on, and log and health name the cure."""
    await follow(worker, state, versions[0])
    snapshot = toy_snapshot(("a", "b", "c", "d"), seed=2)
    other = Registry(str(tmp_path / "models")).save(
        replace(snapshot, config=replace(snapshot.config, repeats=True)),
        parent=None,
        metrics={},
        offsets={},
        created_ms=9,
        seed=9,
        code_revision="test",
    )
    assert await follow(worker, state, other) == versions[0].version_id
    assert "a version that was trained with repeats dropped is required" in worker.report.fault
    assert "REELSTREAM_KEEP_REPEATS=1" in worker.report.fault


async def test_a_version_that_keeps_repeats_serves_where_they_are_kept(state, redis_url, tmp_path):
    """The worker of such an installation takes it, lists touched items, and refuses a version without them."""
    worker = worker_of(state, redis_url, tmp_path, keep_repeats=True)
    snapshot = toy_snapshot(("a", "b", "c", "d"), seed=2)
    about = {"parent": None, "metrics": {}, "offsets": {}, "seed": 9, "code_revision": "test"}
    registry = Registry(str(tmp_path / "models"))
    kept = registry.save(replace(snapshot, config=replace(snapshot.config, repeats=True)), created_ms=1, **about)
    dropped = registry.save(snapshot, created_ms=2, **about)
    assert await follow(worker, state, kept) == kept.version_id
    assert await follow(worker, state, dropped) == kept.version_id
    catalogue = Catalogue.of([Item(item_id, item_id) for item_id in snapshot.items])
    recommender = worker.current.recommender.with_catalogue(catalogue, ContentIndex(catalogue))
    recent = tuple(Interaction(item_id, 60_000, "watch", 1.0) for item_id in "abc")
    for known in (recent, recent[:1]):
        (listed,) = recommender.recommend([Profile("u", recent=known)], 4)
        assert {item.item_id for item in listed.items} == set("abcd")
