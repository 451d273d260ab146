"""The trainer as a process, on a real Kafka and a real Redis: promoted, announced, killed and taken up again."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
from kafka import KafkaConsumer, TopicPartition

from agents.retry import Retry
from agents.trainer.events import TrainingEvents
from agents.trainer.report import TrainerReport
from agents.trainer.schedule import RoundSchedule
from agents.trainer.trainer import TRAINER_GROUP, Trainer, TrainerConfig
from model.catalogue import Catalogue
from model.metrics.paired_lead import PairedLead
from model.training.fit import TrainingConfig
from model.training.rounds import RoundConfig, train
from model.training.standing import Standing
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.reader import EventReader
from streams.redis.heartbeat import RENEW_S
from streams.registry.registry import Registry
from streams.state.pointer import ModelStanding
from tests.toy import SHAPE, toy_snapshot

N_ITEMS = 80
TS = 1_700_000_000_000
UNCOUNTING = ("history", "gmf")  # parts of a network without co-occurrence, which knows something before any training


def send_catalogue(installation, n):
    """Send films without genres, so that only the order of events can be learnt."""
    installation.send_all(
        "catalog-items",
        [(f"i{at}", {"item_id": f"i{at}", "title": f"Film {at}", "genres": []}) for at in range(n)],
    )


def chains(users, length, seed):
    """Return watches in order of time: each user goes from some item to the next, which popularity cannot know."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, N_ITEMS, users)
    return [
        (
            f"u{seed}-{user}",
            {
                "event_id": f"{seed}-{user}-{step}",
                "user_id": f"u{seed}-{user}",
                "item_id": f"i{(starts[user] + step) % N_ITEMS}",
                "ts": TS + step * 1000,
                "progress": 1.0,
            },
        )
        for step in range(length)
        for user in range(users)
    ]


def untrained(**changed):
    """Return a small version that knows all films and has learnt nothing; ``changed`` is of its shape."""
    items = [f"i{at}" for at in range(N_ITEMS)]
    return toy_snapshot(items, users=(), item_genres=np.zeros((N_ITEMS, 1)), seed=0, **changed)


def running_trainer(installation, config):
    """Return a trainer and the task that runs it."""
    trainer = Trainer(installation.settings, config)
    return trainer, asyncio.create_task(trainer.run())


def committed(installation):
    """Return the offsets that the trainer's group has committed, as a version writes them."""
    settings = installation.settings
    group = settings.prefix + TRAINER_GROUP
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, group_id=group, enable_auto_commit=False)
    try:
        found = {}
        for name in (f"{settings.prefix}watch-events", f"{settings.prefix}rate-events"):
            for partition in range(settings.partitions):
                offset = consumer.committed(TopicPartition(name, partition))
                if offset is not None:
                    found.setdefault(name, {})[partition] = offset
        return found
    finally:
        consumer.close()


def test_versions_follow_the_events_and_survive_a_kill(install, until):
    """A learnable stream is promoted with its offsets; killed and started again, the trainer goes on with changes."""
    installation = install()
    send_catalogue(installation, 1000)  # most of which nobody touches
    options = ("--every-events", "400", "--first-events", "1000", "--every-s", "3600")
    with installation.process("trainer", *options) as trainer:
        trainer.await_ready()
        installation.send_all("watch-events", chains(200, 6, seed=1))  # 1,200 events
        first = installation.await_value("model-versions", lambda value: value["status"] == "promoted", 90)
        registry = Registry(installation.settings.registry)
        snapshot, version = registry.load(first["version"])
        assert (first["parent"], first["uri"], first["metrics"]) == (None, version.uri, version.metrics)
        assert version.metrics["hr@10"] > version.metrics["popularity_hr@10"]
        assert set(snapshot.items) == {f"i{at}" for at in range(1000)}
        pointer = installation.redis.hgetall("model:current")
        assert (pointer["version"], pointer["uri"]) == (version.version_id, version.uri)
        until(lambda: committed(installation) == version.offsets, 10, lambda: f"{version.offsets} committed")
        # the newest tenth of what a round sees is held out and stays to be learnt
        seen = sum(sum(partitions.values()) for partitions in version.offsets.values())
        assert 0.9 * 1000 <= seen <= 0.9 * 1200
        trainer.child.kill()
        trainer.child.wait()
    with installation.process("trainer", *options) as trainer:
        trainer.await_ready()
        assert f"from {version.version_id} with {seen} old events" in trainer.said()
        decided = 0

        def after_first():
            """Return what was announced of the next version; more events where those before led to none."""
            nonlocal decided
            found = [one for one in installation.values("model-versions") if one["parent"] == version.version_id]
            if len(found) >= decided and not any(one["status"] == "promoted" for one in found):
                decided += 1
                installation.send_all("watch-events", chains(150, 6, seed=1 + decided))  # 900 more events
            return next((one for one in found if one["status"] == "promoted"), None)

        until(after_first, 90, lambda: f"a second version, got {installation.values('model-versions')}")
        second = after_first()
        announced = [one["status"] for one in installation.values("model-versions")]
        assert set(announced) <= {"promoted", "held"}, "a round with too few events is held, and none is worse"
        later = registry.read(second["version"])
        assert (later.parent, later.counter) == (version.version_id, version.counter + 1)
        assert "champion_hr@10" in later.metrics
        assert (version.base, later.base) == (None, version.version_id)
        assert later.size < version.size / 2
        [topic] = later.offsets
        assert all(later.offsets[topic][at] > version.offsets[topic][at] for at in range(2))
        assert trainer.terminate(10) == 0
        assert "Traceback" not in trainer.said()
    assert installation.breaches("model-versions") == []


async def test_a_rejected_candidate_is_announced_and_changes_nothing(install):
    """A candidate that never trained loses to popularity: announced as rejected, no pointer, nothing committed."""
    installation = install()
    send_catalogue(installation, 300)
    rng = np.random.default_rng(1)
    tails = rng.integers(10, 300, (60, 6))  # everybody sees six of many items and then five of ten hot ones
    hot = np.stack([rng.permutation(10)[:5] for _ in range(60)])
    watched = np.concatenate([tails, hot], axis=1)  # (60, 11)
    installation.send_all(
        "watch-events",
        [
            (
                f"u{user}",
                {
                    "event_id": f"{user}-{step}",
                    "user_id": f"u{user}",
                    "item_id": f"i{watched[user, step]}",
                    "ts": TS + step,
                    "progress": 1.0,
                },
            )
            for user in range(60)  # one after the other: too few are held out to learn a blend from
            for step in range(11)
        ],
    )
    untaught = TrainingConfig(epochs=1, learning_rate=1.0e-12)
    small = replace(SHAPE, parts=UNCOUNTING)
    config = TrainerConfig(first_events=660, rounds=RoundConfig(network=small, first=untaught))
    _, running = running_trainer(installation, config)
    try:
        announced = asyncio.to_thread(
            installation.await_value, "model-versions", lambda value: value["status"] == "rejected"
        )
        found = await announced
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (found["version"], found["parent"], found["uri"]) == (None, None, None)
    assert found["metrics"]["hr@10"] < found["metrics"]["popularity_hr@10"]
    [record] = installation.records("model-versions")
    assert (record.key, json.loads(record.value)) == (b"rejected", found)
    assert not installation.redis.exists("model:current")
    assert Registry(installation.settings.registry).list() == ()
    assert committed(installation) == {}


async def test_diverging_rounds_roll_back_and_are_announced(install, until):
    """Two rounds that explode blame the version they start from; when its parent's explode too, no version is."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    registry = Registry(installation.settings.registry)
    snapshot = untrained()
    about = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    first = registry.save(snapshot, parent=None, **about)
    old = registry.save(snapshot, parent=first.version_id, **about)
    bad = registry.save(snapshot, parent=old.version_id, **about)
    pointer = {"version": bad.version_id, "uri": bad.uri, "promoted_at": 1}
    installation.redis.hset("model:current", mapping=pointer)
    absurd = TrainingConfig(epochs=2, batch=4, learning_rate=1.0e6)
    config = TrainerConfig(every_events=100, every_s=3600.0, rounds=RoundConfig(tuning=absurd))
    trainer, running = running_trainer(installation, config)
    try:
        sent = 0

        def drifting():
            nonlocal sent
            if trainer.report.failed >= sent:  # enough for another round
                sent += 1
                installation.send_all("watch-events", chains(40, 5, seed=10 + sent))
            return running.done() or any(one["status"] == "drifting" for one in installation.values("model-versions"))

        await asyncio.to_thread(until, drifting, 60, lambda: f"a drifting version, got {trainer.report}")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    announced = [json.loads(record.value) for record in installation.records("model-versions")]
    # a sixth round may fail before the trainer is ended
    announced = announced[:6]
    assert [one["status"] for one in announced] == ["failed", "failed", "rolled_back", "failed", "failed", "drifting"]
    back = announced[2]
    assert (back["version"], back["uri"]) == (old.version_id, old.uri)
    assert f"2 rounds in a row from {bad.version_id} diverged" in back["cause"]
    assert installation.redis.hget("model:current", "version") == old.version_id
    assert announced[-1]["version"] == old.version_id
    assert "as did those from the version after it" in announced[-1]["cause"]


def learnt():
    """Return a small version that has learnt what follows what."""
    watched = [(key, event["item_id"], event["ts"]) for key, event in chains(200, 12, seed=50)]
    users, items, times = zip(*watched, strict=True)
    snapshot, _ = train(
        users,
        items,
        times,
        np.ones(len(users), dtype=np.float32),
        Catalogue(),
        network=replace(SHAPE, parts=UNCOUNTING),
        training=TrainingConfig(epochs=40, batch=16, learning_rate=1.0e-2),
        generator=np.random.default_rng(0),
    )
    return snapshot


async def one_round(installation, until, seed):
    """Let a trainer that learns nothing run one round; return by what it measured the version that it found."""
    still = RoundConfig(tuning=TrainingConfig(epochs=1, learning_rate=1.0e-12))
    config = TrainerConfig(every_events=600, every_s=3600.0, keep_versions=1, rounds=still)
    trainer, running = running_trainer(installation, config)
    try:
        await asyncio.to_thread(until, lambda: trainer._events.learner.anchor is not None, 30, lambda: trainer.report)
        taken_up = trainer.report.anchor, trainer._events.learner.standing
        installation.send_all("watch-events", chains(100, 6, seed))  # of which about 60 are held out
        ended = lambda: trainer.report.rounds == 1 and not trainer.report.training  # noqa: E731 - a condition
        await asyncio.to_thread(until, ended, 40, lambda: trainer.report)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return taken_up


async def test_the_anchor_outlives_a_trainer_and_serves_again(install, until):
    """Once 50 hits ahead, a version that knows nothing falls behind over several trainers, and the anchor is back."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    registry = Registry(installation.settings.registry)
    about = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    good = registry.save(learnt(), parent=None, **about)
    _, bad = (registry.save(untrained(parts=UNCOUNTING), parent=None, **about) for _ in range(2))
    ahead = PairedLead(50, 900)  # of popularity as well: the chance of one round must not decide
    before = ModelStanding(good.version_id, Standing(anchor=ahead, popularity=ahead))
    pointer = {"version": bad.version_id, "uri": bad.uri, "promoted_at": 1, "standing": before.encode()}
    installation.redis.hset("model:current", mapping=pointer)
    stored, rounds = before, 0
    while installation.redis.hexists("model:current", "standing"):
        assert await one_round(installation, until, seed=51 + rounds) == (good.version_id, stored.standing)
        rounds += 1
        found = ModelStanding.decode(installation.redis.hget("model:current", "standing"))
        if found.anchor is not None:
            assert found.standing.anchor.lead < stored.standing.anchor.lead - 10
            assert [sum(judged.values()) for judged in found.judged.values()] == [600 * rounds]
            stored = found
    assert rounds > 1
    assert installation.redis.hget("model:current", "version") == good.version_id
    assert not installation.redis.hexists("model:current", "standing")
    back = [value for value in installation.values("model-versions") if value["status"] == "rolled_back"]
    assert [value["version"] for value in back] == [good.version_id]
    assert "behind anchor by" in back[0]["cause"]
    assert back[0]["cause"].endswith(f"its anchor {good.version_id} serves again")
    assert back[0]["metrics"]["anchor_z"] < -2.0
    assert back[0]["metrics"]["anchor_hr@10"] > back[0]["metrics"]["champion_hr@10"]
    assert good.version_id in {version.version_id for version in registry.list()}


async def test_events_that_were_judged_by_are_not_summed_again(install, until):
    """A trainer that reads events anew, of which the round of an earlier one has judged by all, adds nothing."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    registry = Registry(installation.settings.registry)
    topic = installation.settings.prefix + "watch-events"
    about = {"metrics": {}, "created_ms": 1, "seed": 0, "code_revision": "test", "offsets": {topic: {0: 0, 1: 0}}}
    good, bad = (registry.save(snapshot, parent=None, **about) for snapshot in (learnt(), untrained(parts=UNCOUNTING)))
    standing = ModelStanding(good.version_id, Standing(anchor=PairedLead(-1, 9)), {topic: {0: 10_000, 1: 10_000}})
    pointer = {"version": bad.version_id, "uri": bad.uri, "promoted_at": 1, "standing": standing.encode()}
    installation.redis.hset("model:current", mapping=pointer)
    await one_round(installation, until, seed=61)
    found = ModelStanding.decode(installation.redis.hget("model:current", "standing"))
    assert (found.anchor, found.standing.anchor) == (good.version_id, PairedLead(-1, 9))


async def test_a_withdrawn_version_is_not_put_back_and_learning_begins_anew(install, until):
    """Once nothing serves by decision, the trainer leaves it at that, and its next version has no parent."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    registry = Registry(installation.settings.registry)
    about = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    version = registry.save(untrained(), parent=None, **about)
    pointer = {"version": version.version_id, "uri": version.uri, "promoted_at": 1}
    installation.redis.hset("model:current", mapping=pointer)
    trainer, running = running_trainer(installation, TrainerConfig(every_events=300, first_events=500, every_s=3600.0))
    try:
        await asyncio.to_thread(
            until, lambda: trainer.report.model_version == version.version_id, 30, lambda: trainer.report
        )
        installation.redis.hset("model:current", mapping={"version": "", "uri": "", "promoted_at": 2})
        await asyncio.sleep(RENEW_S + 1.0)  # it looks once between two signs of life
        assert installation.redis.hget("model:current", "version") == ""
        installation.send_all("watch-events", chains(200, 6, seed=71))
        await asyncio.to_thread(until, lambda: trainer.report.promoted, 90, lambda: trainer.report)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    said = next(value for value in installation.values("model-versions") if value["status"] == "promoted")
    assert said["parent"] is None
    assert installation.redis.hget("model:current", "version") == said["version"]


@pytest.mark.parametrize("keeps", [False, True])
async def test_where_repeats_are_treated_in_another_way_learning_begins_anew(install, until, caplog, keeps):
    """The version trained otherwise keeps its place, is said to be set aside, and gives way to a first one."""
    installation = install()
    installation.settings = replace(installation.settings, keep_repeats=keeps)
    send_catalogue(installation, N_ITEMS)
    about = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    version = Registry(installation.settings.registry).save(untrained(repeats=not keeps), parent=None, **about)
    pointer = {"version": version.version_id, "uri": version.uri, "promoted_at": 1}
    installation.redis.hset("model:current", mapping=pointer)
    trainer, running = running_trainer(installation, TrainerConfig(every_events=300, first_events=500, every_s=3600.0))
    try:
        await asyncio.to_thread(until, lambda: "trainer.begun_anew" in caplog.text, 30, lambda: trainer.report)
        assert f"REELSTREAM_KEEP_REPEATS says that they are {'kept' if keeps else 'dropped'}" in caplog.text
        assert installation.redis.hget("model:current", "version") == version.version_id
        installation.send_all("watch-events", chains(200, 6, seed=72))
        await asyncio.to_thread(until, lambda: trainer.report.promoted, 90, lambda: trainer.report)
        assert trainer.report.fault is None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    said = next(value for value in installation.values("model-versions") if value["status"] == "promoted")
    assert said["parent"] is None
    serving = installation.redis.hget("model:current", "version")
    assert serving == said["version"]
    assert Registry(installation.settings.registry).load(serving)[0].config.repeats is keeps


@pytest.mark.parametrize(("tallied", "is_liked"), [(100, False), (0, True)])
async def test_a_users_own_middle_outlives_a_restart(install, tallied, is_liked):
    """Ten ratings of five stars, longer ago than what is learnt again, make four stars a dislike."""
    installation = install()
    settings = installation.settings
    fields = {"user_id": "u", "ts": TS, "rating": 5.0}
    sent = [("u", fields | {"event_id": f"e{n}", "item_id": f"i{n}"}) for n in range(14)]
    installation.send_all("rate-events", [*sent[:10], *(("u", one | {"rating": 4.0}) for _, one in sent[10:13])])
    report = TrainerReport()
    reader = EventReader(settings, "tallies")
    await reader.start()
    try:
        _, ends = await reader.bounds()
        about = {"metrics": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
        version = Registry(settings.registry).save(untrained(), parent=None, offsets=ends, **about)
        config = TrainerConfig(refill=2 * settings.partitions * 3, tallied=tallied)  # three of each topic's partition
        events = TrainingEvents(settings, config, reader, Retry("trainer"), report, DataRequestsFeed(settings))
        await events.go_on_from(version, untrained(), {})
        assert len(events.learner) == 3
        installation.send_all("rate-events", [("u", sent[13][1] | {"rating": 4.0})])
        while not report.events:
            await events.read()
    finally:
        await reader.stop()
    learnt = events.learner.material(Catalogue()).histories["u"]
    assert [one.is_positive for one in learnt] == [is_liked] * 4


async def test_a_round_waits_for_what_kafka_still_holds(install, caplog):
    """With 120 of 220 events read a round of 100 is due; the other 100 are too many for it, and are said as such."""
    installation, now = install(), 0.0
    settings, report = installation.settings, TrainerReport()
    config = TrainerConfig(every_events=100, first_events=100)
    sent = chains(22, 10, seed=9)
    reader = EventReader(settings, "waiting")
    installation.send_all("watch-events", sent[:120])
    await reader.start()
    try:
        events = TrainingEvents(settings, config, reader, Retry("trainer"), report, DataRequestsFeed(settings))
        await events.begin()
        schedule = RoundSchedule(config, events, report, lambda: now)
        while report.events < 120:
            await events.read()
        assert await schedule.is_due()
        installation.send_all("watch-events", sent[120:])
        assert not await schedule.is_due()
        now = 10.0
        assert not await schedule.is_due()
        assert "round.waits for 10 s: fewer than 100 events that are not read yet" in caplog.text
        assert (report.round_waits_s, "got 100; " in caplog.text) == (10.0, True)
        while report.events < 220:
            await events.read()
        assert await schedule.is_due()
        assert report.round_waits_s is None
    finally:
        await reader.stop()


async def test_a_lost_pointer_is_put_back(install, until):
    """Emptied under a trainer, Redis gets the last version and its standing back, also what others chose since."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    about = {"metrics": {}, "offsets": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    registry = Registry(installation.settings.registry)
    chosen, version = (registry.save(untrained(), parent=None, **about) for _ in range(2))
    first, second = (
        {"version": one.version_id, "uri": one.uri, "promoted_at": at, "standing": ModelStanding("v").encode().decode()}
        for one, at in ((version, "7"), (chosen, "8"))
    )
    installation.redis.hset("model:current", mapping=first)
    trainer, running = running_trainer(installation, TrainerConfig())
    try:
        await asyncio.to_thread(
            until, lambda: trainer.report.model_version == version.version_id, 30, lambda: "a version"
        )
        for pointer in (first, second):
            installation.redis.hset("model:current", mapping=pointer)
            await asyncio.sleep(RENEW_S + 1.0)  # it looks once between two signs of life
            installation.redis.flushdb()
            await asyncio.to_thread(
                until,
                lambda: installation.redis.exists("model:current"),
                10,
                lambda pointer=pointer: f"{pointer}, got {trainer.report}",
            )
            assert installation.redis.hgetall("model:current") == pointer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(("offset", "topic_id"), [(10_000, None), (100, "00000000-0000-0000-0000-00000000cafe")])
async def test_a_topic_that_was_made_anew_is_learnt_from(install, until, offset, topic_id):
    """Offsets beyond the ends, or of a topic with another id, are of an old topic: all is new, and a round comes."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    registry = Registry(installation.settings.registry)
    snapshot = untrained()
    topic = installation.settings.prefix + "watch-events"
    about = {"metrics": {}, "created_ms": 1, "seed": 0, "code_revision": "test"}
    about |= {"offsets": {topic: {0: offset, 1: offset}}, "topic_ids": topic_id and {topic: topic_id}}
    version = registry.save(snapshot, parent=None, **about)
    pointer = {"version": version.version_id, "uri": version.uri, "promoted_at": 1}
    installation.redis.hset("model:current", mapping=pointer)
    installation.send_all("watch-events", chains(100, 6, seed=22))
    trainer, running = running_trainer(installation, TrainerConfig(every_events=300, every_s=3600.0))
    try:
        await asyncio.to_thread(until, lambda: trainer.report.rounds == 1, 40, lambda: f"a round, got {trainer.report}")
        assert trainer.report.events == 600
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_serving_version_that_is_nowhere_is_waited_for(install, until, tmp_path, caplog):
    """Absent from registry and its own location it is one line and a fault; once in the latter it is taken up."""
    installation = install()
    other = Registry(str(tmp_path / "other"))
    version = other.save(untrained(), parent=None, metrics={}, offsets={}, created_ms=1, seed=0, code_revision="test")
    pointer = {"version": version.version_id, "uri": version.uri, "promoted_at": 1}
    installation.redis.hset("model:current", mapping=pointer)
    (tmp_path / "other").rename(tmp_path / "hidden")
    trainer, running = running_trainer(installation, TrainerConfig(retry_s=0.1))
    try:
        fault = lambda: [report["fault"] for report in installation.reports("trainer")]  # noqa: E731 - asked again
        await asyncio.to_thread(until, lambda: any(fault()), 20, fault)
        assert fault()[0].startswith(f"{version.version_id} serves and cannot be loaded: registry ")
        (tmp_path / "hidden").rename(tmp_path / "other")
        await asyncio.to_thread(
            until, lambda: trainer.report.model_version == version.version_id, 20, lambda: trainer.report
        )
        await asyncio.to_thread(until, lambda: fault() == [None], 20, fault)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    said = [record for record in caplog.records if record.getMessage().startswith("model.unloadable")]
    assert [record.levelname for record in said] == ["ERROR"]


async def test_a_full_disk_is_a_failed_round_and_the_next_one_is_promoted(install, until, small_disk):
    """A version that does not fit is announced as failed and leaves nothing; with room the next one has all events."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    settings = replace(installation.settings, registry=str(small_disk.path / "models"))
    quick = RoundConfig(first=TrainingConfig(epochs=4, least_steps=60))
    trainer = Trainer(settings, TrainerConfig(first_events=500, every_s=3600.0, rounds=quick))
    running = asyncio.create_task(trainer.run())
    try:
        installation.send_all("watch-events", chains(200, 6, seed=30))
        failed = await asyncio.to_thread(
            installation.await_value, "model-versions", lambda value: value["status"] == "failed", 60
        )
        assert "No space left on device" in failed["cause"]
        assert not list(small_disk.path.rglob("*.*"))
        assert Registry(settings.registry).list() == ()
        small_disk.grow()
        installation.send_all("watch-events", chains(200, 6, seed=31))
        await asyncio.to_thread(until, lambda: trainer.report.promoted == 1, 60, lambda: trainer.report)
        [version] = Registry(settings.registry).list()
        seen = sum(sum(partitions.values()) for partitions in version.offsets.values())
        assert 0.9 * 1700 <= seen <= 2400
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_users_with_one_event_each_are_nothing_to_learn_from(install, until):
    """A stream in which nobody comes back ends no trainer: it waits, and trains when users have come back."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    config = TrainerConfig(
        first_events=100, every_events=100, rounds=RoundConfig(first=TrainingConfig(epochs=1, least_steps=20))
    )
    trainer, running = running_trainer(installation, config)
    try:
        installation.send_all("watch-events", chains(100, 1, seed=3))
        await asyncio.to_thread(until, lambda: running.done() or trainer.report.rounds == 1, 30, lambda: "a round")
        installation.send_all("watch-events", chains(100, 3, seed=4))

        def decided():
            return running.done() or trainer.report.promoted + trainer.report.rejected > 0

        await asyncio.to_thread(until, decided, 30, lambda: "a decision about a version")
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_sigterm_does_not_wait_for_a_training(install):
    """Stopped in the middle of a round that takes long, the trainer exits with 0 within ten seconds, nothing stored."""
    installation = install()
    send_catalogue(installation, N_ITEMS)
    with installation.process("trainer", "--first-events", "20000") as trainer:
        trainer.await_ready()
        installation.send_all("watch-events", chains(500, 40, seed=5))
        installation.await_training()
        assert trainer.terminate(10) == 0
        assert "Traceback" not in trainer.said()
    assert Registry(installation.settings.registry).list() == ()
    assert committed(installation) == {}


@pytest.mark.parametrize("role", ["trainer", "worker", "scorekeeper"])
def test_missing_topics_are_one_line(install, role):
    """Without its topics a process says in one line how to make them, and exits with 1."""
    installation = install()
    with installation.process(role, "--prefix", "nobody-") as process:
        assert process.child.wait(30) == 1
    [line] = process.said().splitlines()
    assert line.startswith("reelstream: topics at ")
    assert line.endswith("create them with `reelstream topics create`")


@pytest.mark.parametrize("role", ["trainer", "worker", "scorekeeper"])
def test_an_unreachable_redis_is_one_line(install, role):
    """Where no Redis listens a process says so in one line and exits with 1."""
    installation = install()
    with installation.process(role, "--redis", "redis://127.0.0.1:1/0") as process:
        assert process.child.wait(40) == 1
    [line] = [line for line in process.said().splitlines() if "INFO" not in line]
    assert line.startswith("reelstream: ")
    assert "Redis is required" in line
    assert "127.0.0.1:1" in line
