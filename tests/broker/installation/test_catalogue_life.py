"""The life of items in a running worker: no list holds what is away, and what was renamed is what it was before."""

import os
import subprocess
import sys
import time
from urllib.parse import urlsplit

import orjson
import pytest

TS = 1_700_000_000_000
WISHES = (
    {},
    {"genres": {"must": ["Drama"]}},
    {"genres": {"want": ["Drama"], "avoid": ["Comedy"]}, "years": [1990, None]},
    {"like": ["open1"]},
    {"query": "a drama"},
    {"allow_seen": True},
    {"exclude": ["open2"]},
)
LATE_MS = 1500  # from the moment that a list is made to its publication, on a busy machine


def film(item_id, **dates):
    """Return the record of an item of the catalogue; those that are away are the newest."""
    return item_id, {"item_id": item_id, "title": item_id, "year": 2020, "genres": ["Drama"], **dates}


def now_ms():
    """Return the time of this machine."""
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def running(install):
    """Return an installation with a worker that leaves places to chance and to new items, and when its items end."""
    installation = install()
    with installation.process("worker", "--explore", "2", "--expose", "0.2") as worker:
        worker.await_ready()
        yield installation, worker


def ask(installation, n, user):
    """Ask for a list in each of the ways, and wait for the answers."""
    for at, wishes in enumerate(WISHES):
        request = {"request_id": f"{n}-{user}-{at}", "user_id": user, "k": 20, **wishes}
        installation.send("recommendation-requests", user, request)
    installation.producer.flush(30)
    wanted = {f"{n}-{user}-{at}" for at in range(len(WISHES))}
    return [
        installation.await_value("recommendations", lambda one, name=name: one["trigger"].get("request_id") == name)
        for name in wanted
    ]


def ids(record):
    """Return what a list holds."""
    return {item["item_id"] for item in record["items"]}


def test_items_come_and_go_by_the_clock_and_by_records(running, until):
    """What was asked before, between and after the dates holds what may be shown then; stored lists follow."""
    installation, worker = running
    begin, end = now_ms() + 25_000, now_ms() + 40_000
    away = {"secret": (None, None), "gone": (None, TS), "coming": (begin, None), "going": (None, end)}
    films = [film(f"open{n}") for n in range(5)]
    films += [film("secret", hidden=True), film("gone", expires=TS)]
    films += [film("coming", released=begin), film("going", expires=end)]
    installation.send_all("catalog-items", films)
    everything = [item_id for item_id, _ in films]
    watches = [
        {"event_id": f"e{n}", "user_id": f"u{n % 20}", "item_id": everything[n % 9], "ts": TS + n, "progress": 1.0}
        for n in range(180)
    ]
    installation.send_all("watch-events", [(one["user_id"], one) for one in watches])
    until(lambda: sum(installation.counts("watches").values()) == 180, 60, worker.said)
    until(lambda: installation.item_counts("watches").get("secret") == 20, 30, worker.said)  # they count all the same
    assert int(float(installation.redis.hget("user:{u0}:genres", "Drama") or 0)) > 0
    early = [one for user in ("u0", "stranger") for one in ask(installation, 1, user)]
    assert now_ms() < begin, "the machine was too slow for the dates of this test"
    assert set().union(*map(ids, early)) & set(away) == {"going"}
    time.sleep(max(0, (begin - now_ms()) / 1000))
    between = ask(installation, 2, "late-stranger")  # nothing else has happened
    assert now_ms() < end, "the machine was too slow for the dates of this test"
    assert set().union(*map(ids, between)) & set(away) == {"going", "coming"}
    watch = {"event_id": "h", "user_id": "holder", "item_id": "open0", "ts": TS + 500, "progress": 1.0}
    installation.send("watch-events", "holder", watch)
    until(lambda: "going" in (installation.redis.get("user:{holder}:recs") or ""), 30, worker.said)
    time.sleep(max(0, (end - now_ms()) / 1000))
    late = [one for user in ("u1", "last-stranger") for one in ask(installation, 3, user)]
    assert set().union(*map(ids, late)) & set(away) == {"coming"}
    until(lambda: "going" not in installation.redis.get("user:{holder}:recs"), 30, worker.said)
    until(lambda: not {"secret", "gone", "going"} & set(installation.redis.zrange("hot:all", 0, -1)), 30, worker.said)
    installation.send_all("catalog-items", [film("coming", hidden=True), film("secret")])
    until(lambda: "secret" in installation.redis.zrange("hot:all", 0, -1), 30, worker.said)
    last = ask(installation, 4, "very-last-stranger")
    assert set().union(*map(ids, last)) & set(away) == {"secret"}
    for record in installation.values("recommendations"):  # those of events among them
        for item_id, (first, final) in away.items():
            if item_id in ids(record) and item_id not in {"secret", "coming"}:
                assert final is None or record["published_ts"] < final + LATE_MS
            if item_id == "coming" and item_id in ids(record):
                assert record["published_ts"] >= first
    assert installation.breaches("catalog-items") == []


@pytest.fixture(scope="module")
def renaming(install, until):
    """Return an installation whose catalogue has renamed two items, one of them twice, after events on the old ids."""
    installation = install()
    films = [film(f"film{n}") for n in range(6)]
    with installation.process("worker", "--expose", "0") as worker:
        worker.await_ready()
        installation.send_all("catalog-items", films)
        watches = [watch(f"u{n}", f"film{n % 2}", n) for n in range(20)]
        installation.send_all("watch-events", [(one["user_id"], one) for one in watches])
        until(lambda: sum(installation.counts("watches").values()) == 20, 60, worker.said)
        until(lambda: {"film0", "film1"} == set(installation.redis.zrange("hot:all", 0, -1)), 30, worker.said)
        renamed = [film("one", was=["film0"]), film("two", was=["film1"]), film("three", was=["two"])]
        installation.send_all("catalog-items", renamed)
        until(lambda: {"one", "three"} == set(installation.redis.zrange("hot:all", 0, -1)), 30, worker.said)
        yield installation, worker


def watch(user, item, n):
    """Return the n-th watch of the test."""
    return {"event_id": f"w{n}", "user_id": user, "item_id": item, "ts": TS + n, "progress": 1.0}


def test_what_was_done_with_old_ids_counts_for_the_new_one(renaming, until):
    """It is seen, it trends, wishes name it by any id, and lists hold the id of today alone."""
    installation, worker = renaming
    redis = installation.redis
    renamed = {"film0": "one", "film1": "three", "two": "three"}
    until(lambda: redis.hgetall("catalog:renamed") == renamed, 30, worker.said)
    until(lambda: not {"film0", "film1", "two"} & set(redis.hkeys("catalog:items")), 30, worker.said)
    told = {"film2", "film3", "film4", "film5"}
    lists = {user: ask(installation, "r", user) for user in ("u0", "u1", "stranger")}
    for user, unseen in (("u0", "three"), ("u1", "one")):  # they saw film0, which is one, and film1, which is three
        plain = [one for one in lists[user] if one["trigger"]["request_id"] != f"r-{user}-5"]  # which may repeat
        assert set().union(*map(ids, plain)) == told | {unseen}
    assert set().union(*map(ids, lists["stranger"])) == told | {"one", "three"}
    request = {"request_id": "like", "user_id": "liking", "k": 9, "like": ["film0"], "exclude": ["film1", "film2"]}
    installation.send("recommendation-requests", "liking", request)
    found = installation.await_value("recommendations", lambda one: one["trigger"].get("request_id") == "like")
    assert ids(found) == {"film3", "film4", "film5"}
    assert found["unfilled"] == ["3 of 9 items"]
    assert {item["because"].get("item_id") for item in found["items"]} == {"one"}


def test_events_by_any_id_count_and_a_rebuild_ends_the_same(renaming, until, beside):
    """Events that name the new id, and late ones that name the old, make what reading all of them again makes."""
    installation, worker = renaming
    late = [watch("later", "film0", 100), watch("latest", "one", 101)]
    installation.send_all("watch-events", [(one["user_id"], one) for one in late])
    until(lambda: {"later", "latest"} <= set(installation.counts("watches")), 30, worker.said)
    for user in ("later", "latest"):
        until(lambda user=user: installation.redis.exists(f"user:{{{user}}}:recs"), 30, worker.said)
        stored = orjson.loads(installation.redis.get(f"user:{{{user}}}:recs"))
        assert ids(stored) == {"film2", "film3", "film4", "film5", "three"}
        assert float(installation.redis.hget(f"user:{{{user}}}:genres", "Drama")) == 1.0
    assert installation.redis.smembers("user:{later}:seen") == {"film0"}  # the state keeps what events say
    environment = os.environ | installation.settings.environment()
    rebuild = ["rebuild", "--no-switch", "--to", urlsplit(beside).path[1:], "--json"]
    for words in (rebuild, ["digest", installation.settings.redis, beside, "--json"]):
        command = [sys.executable, "-m", "reelstream", *words]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
