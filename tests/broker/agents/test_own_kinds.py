"""Events of own kinds through real processes, under the very table that docs/reference/kinds.md shows."""

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from streams.archive.parquet import EventArchive
from streams.kinds import read_kinds
from streams.records.records import Action
from streams.stack import open_stack

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "kinds.md").read_text("utf-8")
ITEMS = [f"i{n}" for n in range(30)]
TS = 1_700_000_000_000


def blocks(language):
    """Return the fenced blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def action(number, kind, item, user="ann"):
    """Return the JSON of an action."""
    return {"event_id": f"a{number}", "user_id": user, "item_id": item, "ts": TS + number, "kind": kind}


def act(installation, *actions):
    """Send actions, keyed by their users."""
    installation.send_all("action-events", [(fields["user_id"], fields) for fields in actions])


def list_after(installation, sequence, user="ann"):
    """Return the ids of the user's list that has seen so many events."""
    found = installation.await_value(
        "recommendations",
        lambda value: value["user_id"] == user and value["sequence"] == sequence and "topic" in value["trigger"],
    )
    return [one["item_id"] for one in found["items"]]


def asked_list(installation, request_id, user="ann"):
    """Return the ids of the list of all items that a request brings."""
    installation.send_all(
        "recommendation-requests", [(user, {"request_id": request_id, "user_id": user, "k": len(ITEMS)})]
    )
    found = installation.await_value("recommendations", lambda value: value["trigger"] == {"request_id": request_id})
    return {one["item_id"] for one in found["items"]}


def reelstream(installation, *words):
    """Run a command of this installation to a good end, and return what it printed."""
    environment = installation.process("none").environment
    command = [sys.executable, "-m", "reelstream", *words]
    ran = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode()


@pytest.fixture(scope="module")
def own(stack, tmp_path_factory):
    """Return a Valkey of this module alone, with databases left to rebuild into."""
    with open_stack(tmp_path_factory.mktemp("own"), kafka=stack.kafka) as opened:
        yield opened.addresses.redis


@pytest.fixture
def installation(install, own, tmp_path):
    """Return an installation under the page's table, with thirty films."""
    [table] = blocks("toml")
    file = tmp_path / "kinds.toml"
    file.write_text(table, encoding="utf-8")
    made = install(redis=f"{own}/0")
    made.settings = replace(made.settings, kinds=read_kinds(file))
    made.send_all("catalog-items", [(item, {"item_id": item, "title": f"Film {item}"}) for item in ITEMS])
    return made


def test_the_example_is_the_table_of_the_page():
    """examples/kinds.toml holds the same rows."""
    [table] = blocks("toml")
    assert tomllib.loads((ROOT / "examples" / "kinds.toml").read_text("utf-8")) == tomllib.loads(table)


def test_what_the_page_sends_counts(installation, until):
    """A like, a skip and a hide are three actions and three lists; a name without a row is a letter with the known."""
    [sent] = blocks("json")
    with installation.process("worker") as worker:
        worker.await_ready()
        act(installation, *map(orjson.loads, sent.splitlines()), action(9, "lik", "i1"))
        listed = list_after(installation, 3)
        assert not {"195", "96", "174"} & set(listed)
        until(lambda: installation.records("dead-letters"), 30, lambda: "a dead letter")
        [letter] = installation.records("dead-letters")
        headers = {name: value.decode() for name, value in letter.headers}
        assert headers["cause"] == "unknown_kind"
        known = "buy, finish, hide, like, not-interested, skip, unhide, view"
        assert f"kind must be one of {known} (REELSTREAM_KINDS names " in headers["reason"]
    assert installation.counts("actions") == {"ann": 3}
    assert installation.item_counts("actions") == {"195": 1, "96": 1, "174": 1}


@pytest.mark.timeout(300)  # a worker that is killed, and two rebuilds
def test_what_is_hidden_stays_hidden(installation, until, tmp_path):
    """Killed and started anew, rebuilt from the topics and from the archive: no list ever holds the hidden film."""
    archive = tmp_path / "archive"
    with installation.process("archiver", "--archive", str(archive), "--every-s", "1") as archiver:
        archiver.await_ready()
        with installation.process("worker") as worker:
            worker.await_ready()
            act(installation, action(0, "view", "i0"), action(1, "hide", "i1"), action(2, "hide", "i2"))
            assert not {"i0", "i1", "i2"} & set(list_after(installation, 3))
        with installation.process("worker") as worker:  # the first was killed
            worker.await_ready()
            assert asked_list(installation, "r1") == set(ITEMS) - {"i0", "i1", "i2"}
            act(installation, action(3, "unhide", "i2"))
            list_after(installation, 4)
            assert asked_list(installation, "r2") == set(ITEMS) - {"i0", "i1"}

            reelstream(installation, "rebuild")
            assert asked_list(installation, "r3") == set(ITEMS) - {"i0", "i1"}
            act(installation, action(4, "buy", "i4"))
            list_after(installation, 5)
        until(lambda: sum(len(batch) for batch in EventArchive(str(archive)).read_events()) == 5, 30, archiver.said)
    kept = [event for batch in EventArchive(str(archive)).read_events() for _, event in batch]
    assert sorted(event.kind for event in kept) == ["buy", "hide", "hide", "unhide", "view"]
    assert {type(event) for event in kept} == {Action}
    reelstream(installation, "archive", "verify", "--archive", str(archive))
    reelstream(installation, "rebuild", "--from-archive", str(archive))
    with installation.process("worker") as worker:
        worker.await_ready()
        assert asked_list(installation, "r4") == set(ITEMS) - {"i0", "i1", "i4"}
