"""An experiment and a choice by hand under a real worker, from the commands to the lists and back."""

from itertools import count

import orjson
import pytest
from click.testing import CliRunner

from reelstream import cli
from streams.registry.registry import Registry
from streams.state.experiments import decode_experiment
from tests.toy import toy_snapshot

ITEMS = tuple(f"i{n}" for n in range(30))
USERS = [f"u{n}" for n in range(12)]
TS = 1_700_000_000_000


def store_versions(installation):
    """Put two versions of different weights in the registry, let the first serve, and return their ids."""
    registry = Registry(installation.settings.registry)
    found = []
    for seed in range(2):
        snapshot = toy_snapshot(ITEMS, seed=seed)
        found.append(
            registry.save(snapshot, parent=None, metrics={}, offsets={}, created_ms=TS, seed=seed, code_revision="test")
        )
    pointer = {"version": found[0].version_id, "uri": found[0].uri, "promoted_at": TS}
    installation.redis.hset("model:current", mapping=pointer)
    return [version.version_id for version in found]


class Session:
    """What a person does at an installation with one worker."""

    def __init__(self, installation, until):
        self.installation = installation
        self.until = until
        self._numbers = count()

    def command(self, *words):
        """Run a command of the command line and return what it printed."""
        environment = self.installation.process("none").environment
        done = CliRunner().invoke(cli, words, env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def watch(self, users, item):
        """Let users watch a film and return the list of each that the event led to."""
        sent = {user: f"e{next(self._numbers)}" for user in users}
        for user, event_id in sent.items():
            fields = {"event_id": event_id, "user_id": user, "item_id": item, "ts": TS, "progress": 1.0}
            self.installation.send("watch-events", user, fields)
        return {
            user: self.installation.await_value(
                "recommendations", lambda value, event_id=event_id: value["trigger"].get("event_id") == event_id
            )
            for user, event_id in sent.items()
        }

    def await_report(self, field, value):
        """Wait until the worker says so of itself."""
        self.until(
            lambda: [report[field] for report in self.installation.reports("worker")] == [value],
            20,
            lambda: f"{field} {value!r}, got {self.installation.reports('worker')}",
        )

    def changes(self):
        """Return the mode changes announced so far."""
        values = self.installation.values("mode-changes")
        return [(value["user_id"], value["previous"], value["mode"]) for value in values]


@pytest.fixture(scope="module")
def session(install, until):
    """Return a session with twelve users who know four films each, and the ids of two versions."""
    installation = install()
    catalogue = [(item, {"item_id": item, "title": item, "genres": ["Drama"]}) for item in ITEMS]
    installation.send_all("catalog-items", catalogue)
    versions = store_versions(installation)
    with installation.process("worker", "--expose", "0") as worker:
        worker.await_ready()
        found = Session(installation, until)
        for n in range(4):
            found.watch(USERS, f"i{n}")
        yield found, versions
        assert worker.child.poll() is None, worker.said()


def test_an_experiment_of_two_versions_from_start_to_stop(session):
    """Between start and stop each user's list names the side and comes from its version; then all are as before."""
    made, versions = session
    made.command("ab", "start", "depth", "--b", versions[1], "--b-explore", "2")
    experiment = decode_experiment(made.installation.redis.get("experiment:current"))
    made.await_report("experiment", "depth")
    during = made.watch(USERS, "i4")
    sides = {user: experiment.arm_of(user).name for user in USERS}
    assert set(sides.values()) == {"a", "b"}
    for user, found in during.items():
        version, drawn = {"a": (versions[0], 0), "b": (versions[1], 2)}[sides[user]]
        assert (found["experiment"], found["arm"], found["mode"]) == ("depth", sides[user], "personalized")
        assert found["model_version"] == version
        assert [item["source"] for item in found["items"]] == ["neumf"] * (10 - drawn) + ["exploration"] * drawn
        # 30 films without the 5 watched leave 25 candidates: 17 behind the eighth place
        assert [item["propensity"] for item in found["items"]] == [1.0] * (10 - drawn) + [2 / 17] * drawn
    assert "no scorekeeper has written any" in made.command("ab", "status")
    made.command("ab", "stop")
    made.await_report("experiment", None)
    after = made.watch(USERS, "i5")
    assert {(one["experiment"], one["arm"], one["model_version"]) for one in after.values()} == {
        (None, None, versions[0])
    }


def test_a_mode_chosen_by_hand_holds_from_the_next_event_on(session):
    """Chosen cold, a personalised user's next list is cold and announced; taken back, the threshold decides again."""
    made, versions = session
    made.watch(["u0"], "i6")
    made.watch(["u0"], "i7")  # by now the user is personalised, with either order of these tests
    before = made.changes()
    made.command("mode", "u0", "cold_start")
    made.await_report("chosen", 1)
    assert made.changes() == before
    first = made.watch(["u0"], "i8")["u0"]
    assert (first["mode"], first["model_version"]) == ("cold_start", None)
    assert made.watch(["u0"], "i9")["u0"]["mode"] == "cold_start"
    assert made.changes()[len(before) :] == [("u0", "personalized", "cold_start")]
    assert orjson.loads(made.command("mode", "u0", "--json"))["mode"] == "cold_start"
    made.command("mode", "u0", "auto")
    made.await_report("chosen", 0)
    back = made.watch(["u0"], "i10")["u0"]
    assert (back["mode"], back["model_version"]) == ("personalized", versions[0])
    assert made.changes()[len(before) :][-1] == ("u0", "cold_start", "personalized")
