"""A guest becomes a user with real processes: by the command, with two workers, after a rebuild, and forgotten."""

import os
import subprocess
import sys
from urllib.parse import urlsplit

import orjson
import pytest

from streams.redis.connection import connect_to_read

GUEST, ACCOUNT, OTHER = "guest-Zq7-9fX3kV", "ann-Wm2-4hT8", "ben"  # the first two occur nowhere by chance
ITEMS = [f"i{n}" for n in range(40)]


def watch(user, n):
    """Return the n-th watch of a user, each of another film."""
    return user, {
        "event_id": f"{user}-w{n}",
        "user_id": user,
        "item_id": ITEMS[n],
        "ts": 1_700_000_000_000 + 1000 * n,
        "progress": 0.9,
    }


def reelstream(installation, *arguments, status=0):
    """Run a command of an installation to its end, and return what it printed."""
    environment = os.environ | installation.settings.environment()
    command = [sys.executable, "-m", "reelstream", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr * bool(status)


def known(installation, user):
    """Return what a look-up tells of a user, but for affinities, whose last digits depend on the batches."""
    return orjson.loads(reelstream(installation, "profile", user, "--json")) | {"genres": None}


def key(user, name):
    """Return a key of a user."""
    return f"user:{{{user}}}:{name}"


@pytest.mark.timeout(400)
def test_a_guest_becomes_a_user(install, until, beside):
    """Asked once or twice, with events before and after, the account has all; a rebuild ends the same."""
    at = install()
    at.send_all("catalog-items", [(i, {"item_id": i, "title": i, "year": 2000, "genres": ["Drama"]}) for i in ITEMS])
    at.send_all("watch-events", [watch(user, n) for n in range(4) for user in (GUEST, OTHER)])
    at.send_all("watch-events", [watch(ACCOUNT, 2)])
    arguments = ("merge", GUEST, ACCOUNT, "--json", "--wait", "60")

    def listed(user):
        return orjson.loads(at.redis.get(key(user, "recs")) or "{}")

    with at.process("worker") as first, at.process("worker") as second:
        [worker.await_ready() for worker in (first, second)]
        until(lambda: listed(GUEST).get("sequence") == 4 and listed(ACCOUNT), 60, first.said)
        told = orjson.loads(reelstream(at, *arguments))
        assert (told["done"], told["account"]) == (True, ACCOUNT)
        until(lambda: listed(ACCOUNT)["trigger"].get("request_id") == told["request_id"], 30, first.said)
        assert not {f"i{n}" for n in range(4)} & {one["item_id"] for one in listed(ACCOUNT)["items"]}
        assert orjson.loads(reelstream(at, *arguments))["request_id"] == told["request_id"]
        at.send_all("watch-events", [watch(GUEST, 5), watch(GUEST, 0), watch(ACCOUNT, 6), watch(ACCOUNT, 2)])
        until(lambda: listed(ACCOUNT)["sequence"] == 7, 30, first.said)
        assert not at.redis.exists(key(GUEST, "recs"))
        account = known(at, ACCOUNT)
        assert (account["watches"], account["seen"]) == (7, 6)
        assert known(at, GUEST)["unknown"]
        for refused in ((ACCOUNT, ACCOUNT), (GUEST, OTHER), (ACCOUNT, GUEST)):
            assert "merge: " in reelstream(at, "merge", *refused, status=1)
        at.send(
            "data-requests", GUEST, {"user_id": GUEST, "request_id": "m", "ts": 1, "action": "merge", "into": GUEST}
        )
        letter = at.await_value("dead-letters", lambda _: True, 30)
        assert letter
        reelstream(at, "rebuild", "--no-switch", "--to", urlsplit(beside).path[1:], "--json")
        reelstream(at, "digest", at.settings.redis, beside, "--json")
        with connect_to_read(beside, prefix=at.settings.prefix) as rebuilt:
            assert rebuilt.smembers(key(ACCOUNT, "guests")) == {GUEST}
            assert rebuilt.get(key(GUEST, "merged")) == ACCOUNT
        reelstream(at, "rebuild", "--to", urlsplit(beside).path[1:], "--json")
        assert known(at, ACCOUNT) == account
        assert listed(ACCOUNT)["sequence"] == 7
        assert [one["user_id"] for one in orjson.loads(reelstream(at, "export", ACCOUNT, "--json"))["guests"]] == [
            GUEST
        ]
        told = orjson.loads(reelstream(at, "forget", ACCOUNT, "--json", "--wait", "60"))
        assert told["done"], told
        until(lambda: not [*at.redis.scan_iter(f"*{GUEST}*"), *at.redis.scan_iter(f"*{ACCOUNT}*")], 30, first.said)
        at.send_all("watch-events", [watch(GUEST, 9)])
        until(lambda: listed(GUEST).get("sequence") == 1, 30, first.said)
        assert known(at, ACCOUNT)["unknown"]
