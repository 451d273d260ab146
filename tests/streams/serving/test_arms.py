"""The arms of an experiment in one worker, on a real Redis and a real registry: what is loaded, shared and let go."""

import gc
import weakref

import pytest

from agents.worker.app import Driver, join_worker
from agents.worker.model_follower import ModelFollower
from agents.worker.refresh import RefreshConfig
from agents.worker.refreshers import OverridesAndExperiment
from agents.worker.runtime import WorkerConfig
from model.catalogue import Catalogue, Item
from model.experiment import Arm, Experiment
from model.history import Interaction, Profile
from model.network.blend import Blend
from model.ranking.cold_start import Trending
from model.ranking.content import ContentIndex
from streams.kafka.publisher import Publisher
from streams.redis.heartbeat import SignOfLife
from streams.registry.registry import Registry
from streams.serving.lists import Serving, ServingConfig, Trigger
from streams.settings import Settings
from streams.state.experiments import encode_experiment
from streams.state.store import ModelPointer, State
from tests.toy import toy_snapshot

ITEMS = tuple(f"i{n}" for n in range(12))
CATALOGUE = Catalogue.of(Item(item, item, None, ("Drama",)) for item in ITEMS)
USERS = [f"u{n}" for n in range(30)]


class AtLeisure:
    """Scores at once."""

    async def within_budget(self, score, fallback, *, is_urgent=True):  # noqa: ARG002 - a scorer's signature
        """Return the scores."""
        return score()


@pytest.fixture
def versions(tmp_path):
    """Return the ids of three stored versions of different weights."""
    registry, found = Registry(str(tmp_path / "models")), []
    for seed in range(3):
        snapshot = toy_snapshot(ITEMS, seed=seed)
        found.append(
            registry.save(
                snapshot, parent=None, metrics={}, offsets={}, created_ms=1, seed=seed, code_revision="test"
            ).version_id
        )
    return found


@pytest.fixture
async def worker(client, redis_url, tmp_path):
    """Return a worker that looks only when it is told to."""
    settings = Settings("unused:1", redis_url, str(tmp_path / "models"), partitions=2)
    state = State(client)
    await state.install()
    driver = Driver(lambda: Publisher(None), frozenset, None)
    config = WorkerConfig(refresh=RefreshConfig(retry_s=0.0))
    made = join_worker(settings, config, state, None, SignOfLife(client, "worker"), driver)
    made.current.recommender = made.current.recommender.with_catalogue(
        CATALOGUE, ContentIndex(CATALOGUE)
    ).with_trending(Trending.of((item, float(12 - n)) for n, item in enumerate(ITEMS)))
    yield made
    made.thread.shutdown()


async def refresh(worker, kind):
    """Let the one refresher of a class look once."""
    [found] = [refresher for refresher in worker.refreshers if type(refresher) is kind]
    await found.refresh()


async def serve(worker, version):
    """Let the worker follow the pointer to a version."""
    await worker.state.move_model(ModelPointer(version, "somewhere", 1))
    await refresh(worker, ModelFollower)


async def run(worker, client, a, b, name="depth"):
    """Store an experiment of two arms in equal shares and let the worker look; return the experiment."""
    experiment = Experiment(name, 0.5, a, b, 1)
    await client.set("experiment:current", encode_experiment(experiment))
    await refresh(worker, OverridesAndExperiment)
    return experiment


async def lists(worker, known=5, mode="cold_start"):
    """Return by user the answer to thirty users who know so many items; the order of the answers is checked."""
    recent = tuple(Interaction(item, 1000 - n, "watch", 1.0) for n, item in enumerate(ITEMS[:known]))
    wanted = [(Profile(user, watches=known, recent=recent, mode=mode), Trigger.of_request("r", 1)) for user in USERS]
    serving = Serving(ServingConfig(k=3, explain=len(USERS)), AtLeisure(), worker.state, lambda: 1)
    answers = await worker.arms.answer(serving, worker.current.recommender, wanted)
    assert [answer.recommendation.user_id for answer in answers] == USERS
    return {answer.recommendation.user_id: answer for answer in answers}


def by_arm(answers, told):
    """Return the set of what lists tell, by arm."""
    found = {}
    for answer in answers.values():
        found.setdefault(answer.recommendation.arm, set()).add(told(answer.recommendation))
    return found


async def test_each_arm_is_served_by_its_version(worker, client, versions):
    """Users of b get the pinned version, those of a what serves, and a follows the pointer while b stays."""
    await serve(worker, versions[0])
    experiment = await run(worker, client, Arm("a"), Arm("b", version=versions[1]))
    answers = await lists(worker)
    assert {user: answer.recommendation.arm for user, answer in answers.items()} == {
        user: experiment.arm_of(user).name for user in USERS
    }
    assert {answer.recommendation.experiment for answer in answers.values()} == {"depth"}
    assert by_arm(answers, lambda one: one.model_version) == {"a": {versions[0]}, "b": {versions[1]}}
    await serve(worker, versions[2])
    assert by_arm(await lists(worker), lambda one: one.model_version) == {"a": {versions[2]}, "b": {versions[1]}}
    assert worker.report.experiment == "depth"


async def test_each_arm_ranks_with_its_own_weights(worker, client, versions):
    """A list of arm b is the one that everybody gets when its version serves all."""
    await serve(worker, versions[0])
    await run(worker, client, Arm("a"), Arm("b", version=versions[1]))
    compared = await lists(worker)
    await client.delete("experiment:current")
    await refresh(worker, OverridesAndExperiment)
    await serve(worker, versions[1])
    alone = await lists(worker)
    on_b = [user for user in USERS if compared[user].recommendation.arm == "b"]
    assert on_b
    assert all(compared[user].recommendation.items == alone[user].recommendation.items for user in on_b)
    assert {alone[user].recommendation.arm for user in USERS} == {None}


async def test_a_version_that_serves_is_not_loaded_twice(worker, client, versions):
    """Pinned while it serves a version is the very ranker that serves, and stays so when the pointer moves on."""
    await serve(worker, versions[0])
    ranker = worker.current.recommender.ranker
    await run(worker, client, Arm("a"), Arm("b", version=versions[0]))
    assert worker.arms._pinned == {versions[0]: ranker}
    await serve(worker, versions[1])
    await refresh(worker, OverridesAndExperiment)
    assert worker.arms._pinned == {versions[0]: ranker}
    assert by_arm(await lists(worker), lambda one: one.model_version) == {"a": {versions[1]}, "b": {versions[0]}}


async def test_a_pinned_version_is_let_go_at_the_end(worker, client, versions):
    """After the experiment nothing holds the second ranker any more, and lists name no arm."""
    await serve(worker, versions[0])
    await run(worker, client, Arm("a"), Arm("b", version=versions[1]))
    await lists(worker)
    pinned = weakref.ref(worker.arms._pinned[versions[1]])
    await client.delete("experiment:current")
    await refresh(worker, OverridesAndExperiment)
    gc.collect()
    assert pinned() is None
    assert by_arm(await lists(worker), lambda one: one.model_version) == {None: {versions[0]}}
    assert worker.report.experiment is None


async def test_a_version_that_cannot_be_loaded_is_replaced_by_what_serves(worker, client, versions, tmp_path, caplog):
    """Torn, the pinned version is refused and b's lists name the one that made them; mended, it is taken."""
    weights = tmp_path / "models" / versions[1] / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    await serve(worker, versions[0])
    await run(worker, client, Arm("a"), Arm("b", version=versions[1]))
    assert by_arm(await lists(worker), lambda one: one.model_version) == {"a": {versions[0]}, "b": {versions[0]}}
    assert f"{versions[0]} serves in its place" in caplog.text
    weights.write_bytes(whole)
    await refresh(worker, OverridesAndExperiment)
    assert by_arm(await lists(worker), lambda one: one.model_version) == {"a": {versions[0]}, "b": {versions[1]}}


async def test_each_arm_has_its_own_threshold(worker, client, versions):
    """With two known items b is personalised at 2 and a at 3 is not; at 1 item both fall back."""
    await serve(worker, versions[0])
    await run(worker, client, Arm("a"), Arm("b", personalize_at=2))
    assert by_arm(await lists(worker, 2), lambda one: one.mode) == {"a": {"cold_start"}, "b": {"personalized"}}
    kept = by_arm(await lists(worker, 2, "personalized"), lambda one: one.mode)
    assert kept == {"a": {"personalized"}, "b": {"personalized"}}  # both demote below 2
    assert by_arm(await lists(worker, 1, "personalized"), lambda one: one.mode) == {
        "a": {"cold_start"},
        "b": {"cold_start"},
    }


async def test_a_higher_threshold_takes_nobody_back(worker, client, versions):
    """With four known items a user who was personalised stays so where a cold one needs nine: taken back is below 2."""
    await serve(worker, versions[0])
    await run(worker, client, Arm("a"), Arm("b", personalize_at=9))
    assert by_arm(await lists(worker, 5), lambda one: one.mode) == {"a": {"personalized"}, "b": {"cold_start"}}
    kept = by_arm(await lists(worker, 4, "personalized"), lambda one: one.mode)
    assert kept == {"a": {"personalized"}, "b": {"personalized"}}


async def test_each_arm_explores_as_it_says(worker, client, versions):
    """Arm b leaves one of three places to chance, arm a none."""
    await serve(worker, versions[0])
    await run(worker, client, Arm("a"), Arm("b", explore=1))
    explored = by_arm(await lists(worker), lambda one: [item.source for item in one.items].count("exploration"))
    assert explored == {"a": {0}, "b": {1}}


async def test_trending_reaches_the_arms(worker, client, versions):
    """A newer hot list is that of both arms, and what was found out about their models is kept."""
    await serve(worker, versions[0])
    await run(worker, client, Arm("a"), Arm("b", version=versions[1]))
    await lists(worker)
    listed = worker.arms._made["b"].__dict__["_listed"]
    worker.current.recommender = worker.current.recommender.with_trending(Trending.of([("i11", 9.0)]))
    answers = await lists(worker, 0)
    assert by_arm(answers, lambda one: one.items[0].item_id) == {"a": {"i11"}, "b": {"i11"}}
    assert worker.arms._made["b"].__dict__["_listed"] is listed


async def test_what_cannot_be_understood_changes_nothing_else(worker, client, versions, caplog):
    """A garbled experiment is none and a garbled mode keeps those known; each is told once, and lists go on."""
    await serve(worker, versions[0])
    await client.hset("modes:chosen", "u0", "cold_start")
    await refresh(worker, OverridesAndExperiment)
    await client.set("experiment:current", b"{")
    await client.hset("modes:chosen", "u1", "warm")
    for _ in range(2):
        await refresh(worker, OverridesAndExperiment)
    answers = await lists(worker)
    assert by_arm(answers, lambda one: one.model_version) == {None: {versions[0], None}}
    assert [user for user in USERS if answers[user].recommendation.mode == "cold_start"] == ["u0"]
    assert (caplog.text.count("experiment.misread"), caplog.text.count("modes.misread")) == (1, 1)


async def test_a_mode_chosen_by_hand_holds_in_every_arm_until_it_is_taken_back(worker, client, versions):
    """Both arms honour it at the worker's next look, and the threshold decides again afterwards."""
    await serve(worker, versions[0])
    experiment = await run(worker, client, Arm("a"), Arm("b", personalize_at=9))
    one = {side: next(user for user in USERS if experiment.arm_of(user).name == side) for side in ("a", "b")}
    await client.hset("modes:chosen", mapping={one["a"]: "cold_start", one["b"]: "personalized"})
    await refresh(worker, OverridesAndExperiment)
    answers = await lists(worker)
    assert (answers[one["a"]].mode, answers[one["b"]].mode) == ("cold_start", "personalized")
    assert worker.report.chosen == 2
    assert (answers[one["b"]].change.previous, answers[one["b"]].change.mode) == ("cold_start", "personalized")
    await client.delete("modes:chosen")
    await refresh(worker, OverridesAndExperiment)
    answers = await lists(worker)
    assert (answers[one["a"]].mode, answers[one["b"]].mode) == ("personalized", "cold_start")


async def test_an_experiment_may_end_while_a_batch_is_answered(worker, client, versions):
    """The users of both arms are answered though the experiment ended between the two."""

    class Ending(AtLeisure):
        async def within_budget(self, score, fallback, *, is_urgent=True):  # noqa: ARG002 - a scorer's signature
            await client.delete("experiment:current")
            await refresh(worker, OverridesAndExperiment)
            return await super().within_budget(score, fallback)

    await serve(worker, versions[0])
    await run(worker, client, Arm("a"), Arm("b", explore=1))
    serving = Serving(ServingConfig(k=3), Ending(), worker.state, lambda: 1)
    wanted = [(Profile(user, recent=()), Trigger.of_request("r", 1)) for user in USERS]
    answers = await worker.arms.answer(serving, worker.current.recommender, wanted)
    assert {answer.recommendation.arm for answer in answers} == {"a", "b"}


async def test_lists_stay_degraded_where_no_version_can_be_loaded(worker, client, versions):
    """An arm without a version of its own is as degraded as all else, and nobody's mode changes; the other serves."""
    current = worker.current
    current.recommender = current.recommender.without_model()
    await run(worker, client, Arm("a"), Arm("b", versions[0]))
    answers = await lists(worker, mode="personalized")
    assert by_arm(answers, lambda told: (told.mode, told.model_version)) == {
        "a": {("degraded", None)},
        "b": {("personalized", versions[0])},
    }
    assert all(answer.change is None for answer in answers.values())


async def test_each_version_hands_over_where_it_has_learnt_to(worker, client, tmp_path):
    """At three known items the lists of one version are personalised, those of one that hands over at four are not."""
    early, late = Blend(), Blend()
    for blend, cold in ((early, slice(0, 0)), (late, slice(1, 4))):
        blend.tests[1:] = 100.0
        blend.hits[0, 1:], blend.hits[1, 1:] = 10.0, 60.0
        blend.hits[0, cold], blend.hits[1, cold] = 60.0, 10.0
    registry, saved = Registry(str(tmp_path / "models")), []
    about = {"parent": None, "metrics": {}, "offsets": {}, "created_ms": 1, "code_revision": "test"}
    for seed, blend in enumerate((early, late)):
        saved.append(registry.save(toy_snapshot(ITEMS).with_blend(blend), seed=seed, **about).version_id)
    await run(worker, client, Arm("a", saved[0]), Arm("b", saved[1]))
    assert by_arm(await lists(worker, known=3), lambda told: (told.mode, told.model_version)) == {
        "a": {("personalized", saved[0])},
        "b": {("cold_start", saved[1])},
    }
    assert by_arm(await lists(worker, known=4), lambda told: told.mode) == {
        "a": {"personalized"},
        "b": {"personalized"},
    }
