"""The documented keys, read as an outsider would: by plain redis-py and the names in docs/reference/redis.md."""

import hashlib
import json
import os
import re
import socket
import struct
from pathlib import Path

import pytest
from redis import Redis

from model.catalogue import Catalogue, Item
from model.experiment import Arm, Experiment
from model.history import Interaction
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from model.metrics.live import PublishedList, Scoreboard
from model.ranking.exposure import NewItem
from model.ranking.hint_lifts import HintLifts
from model.similar import SimilarItems
from streams.errors import StateError
from streams.records.data_requests import Forgetting
from streams.records.records import Action, ModelVersion, Origin, Rating, Watch
from streams.redis.connection import connect, connect_to_read
from streams.redis.heartbeat import SignOfLife
from streams.state.experiments import encode_experiment
from streams.state.lookups import Lookups
from streams.state.quality import LiveQuality, QualityPoint, QualityShelf
from streams.state.store import ModelPointer, State, StoredList

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "redis.md"
DEPTH = Experiment("depth", 0.25, Arm("a"), Arm("b", version="v1", personalize_at=3, explore=2), 7)
LIST = b'{"user_id":"u{1}","items":[]}'
KEYS = {
    "user:{<id>}": "hash",
    "user:{<id>}:recent": "list",
    "user:{<id>}:seen": "set",
    "user:{<id>}:again": "hash",
    "user:{<id>}:genres": "hash",
    "user:{<id>}:hidden": "hash",
    "user:{<id>}:recs": "string",
    "user:{<id>}:ids:watch": "string",
    "user:{<id>}:ids:rate": "string",
    "user:{<id>}:ids:action": "string",
    "user:{<id>}:guests": "set",
    "user:{<id>}:merged": "string",
    "items:{p<k>}:at": "hash",
    "items:{p<k>}:watches": "hash",
    "items:{p<k>}:ratings": "hash",
    "items:{p<k>}:rating_sum": "hash",
    "items:{p<k>}:actions": "hash",
    "items:{p<k>}:clock:watch": "hash",
    "items:{p<k>}:clock:rate": "hash",
    "items:{p<k>}:clock:action": "hash",
    "items:{p<k>}:hot:watch": "zset",
    "items:{p<k>}:hot:rate": "zset",
    "items:{p<k>}:hot:action": "zset",
    "items:{p<k>}:newcomers:watch": "zset",
    "items:{p<k>}:newcomers:rate": "zset",
    "items:{p<k>}:newcomers:action": "zset",
    "hot:all": "zset",
    "hot:newcomers": "zset",
    "hot:genre:<g>": "zset",
    "hot:genres": "set",
    "similar:<item>": "string",
    "catalog:items": "hash",
    "catalog:new": "string",
    "catalog:renamed": "hash",
    "catalog:rejected": "hash",
    "catalog:sentence:<digest>": "string",
    "hints:rejected": "hash",
    "topics:data-requests:rejected": "hash",
    "hints:lifts": "string",
    "alive:<role>": "zset",
    "alive:<role>:<host>:<pid>": "string",
    "model:current": "hash",
    "model:history:moves": "zset",
    "model:history:rounds": "zset",
    "experiment:current": "string",
    "modes:chosen": "hash",
    "topics:ids": "hash",
    "quality:live": "string",
    "{quality:live}:users": "hash",
    "quality:series": "list",
}


@pytest.fixture
async def written(redis_url):
    """Write one of everything: ``u{1}``, with a guest, watched 10, rated 11, and liked (twice) and hid 12."""
    client = connect(redis_url)
    state = State(client, kinds=KindTable.of((*DEFAULT_KINDS.rows, EventKind("like", 0.25, is_positive=True))))
    await state.install()
    films = Catalogue.of([Item("10", "Heat", 1995, ("Drama",)), Item("11", "Out", None, ())])
    await state.apply(
        [
            (Origin("watch-events", 3, 7), Watch("e1", "u{1}", "10", 1000, 0.5), ("Drama",)),
            (Origin("rate-events", 3, 9), Rating("e2", "u{1}", "11", 2000, 4.5), ()),
            (Origin("action-events", 3, 4), Action("e3", "u{1}", "12", 500, "like"), ()),
            (Origin("action-events", 3, 5), Action("e4", "u{1}", "12", 1500, "hide"), ()),
            (Origin("action-events", 3, 6), Action("e5", "u{1}", "12", 400, "like"), ()),
        ]
    )
    await state.link_guests([("u{2}", None, "u{1}")])
    await state.store_lists([StoredList("u{1}", 4, "personalized", LIST, {"77": 1.0})])
    await state.merge_trending(4, films)
    await state.put_catalogue(films)
    await state.put_new_items([NewItem("11", 0.01, 0.03)])
    await state.put_renames({"9": "10", "1": "10"})
    await state.put_similar({"10": SimilarItems((("11", 0.25),), (("11", 1.0),), (("11", 0.625),))})
    await state.move_model(ModelPointer("v1", "file:///models/v1", 5))
    for status in ("promoted", "rejected"):
        await state.note_decision(ModelVersion("v1", status, None, "file:///models/v1", 5))
    await state.note_rejected("catalog:rejected", {3: 11})
    await state.note_rejected("hints:rejected", {3: 2})
    await state.note_rejected("topics:data-requests:rejected", {3: 4})
    await state.keep_sentence_vectors({"e4": b"  "}, 60)
    await state.put_hint_lifts(HintLifts({"gender:F": {"10": 2.0}}))
    await client.hset("topics:ids", "watch-events", "a6adcc80-7be3-4a3e-beed-338d97ea6dd7")
    await client.set("experiment:current", encode_experiment(DEPTH))
    await client.hset("modes:chosen", "u{1}", "personalized")
    await SignOfLife(client, "worker").renew({"events": 2})
    board = Scoreboard()
    board.add_list(PublishedList("r", "u{1}", 1, "personalized", "v1", ("10",), "depth", "b"))
    board.add_event("u{1}", "10", 2)
    await QualityShelf(client).write(
        LiveQuality(board.describe(), {"watch-events": {3: 0}}, {"watch-events": {3: 8}}, 6), board.take_users()
    )
    await QualityShelf(client).add(QualityPoint(6, 1, 1.0, 0.0, "v1"))
    await client.aclose()
    return redis_url


@pytest.fixture
def plain(written):
    """Return a client that knows nothing of ours."""
    with Redis.from_url(written, decode_responses=True) as client:
        yield client


def test_the_page_names_every_key_with_its_type():
    """Each row of the page's table is a key and its type; there are no others."""
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == KEYS


def test_redis_holds_the_documented_keys_and_no_others(plain):
    """With the user, partition, genre and item filled in, names and types are those of the table."""
    filled = {"<id>": "u%7B1%7D", "<k>": "3", "<g>": "Drama", "<item>": "10"}
    filled |= {"<digest>": "e4"}
    filled |= {"<role>": "worker", "<host>": socket.gethostname(), "<pid>": str(os.getpid())}
    wanted = {re.sub("<[a-z]+>", lambda found: filled[found[0]], key): kind for key, kind in KEYS.items()}
    wanted["user:{u%7B2%7D}:merged"] = wanted.pop("user:{u%7B1%7D}:merged")  # who was merged into the other
    assert {key: plain.type(key) for key in plain.keys("*")} == wanted


def test_a_user_is_read_by_documented_names(plain):
    """Counters, positions, history, affinity and list are where and what the page says."""
    user = "user:{u%7B1%7D}"
    fields = plain.hgetall(user)
    assert int(fields.pop("renewed")) > 5000  # in 3.65 days since 1970, by 2026
    assert fields == {
        "watches": "1",
        "ratings": "1",
        "actions": "3",
        "hidden": "1",
        "rating_sum": "4.5",
        "first_ts": "400",
        "last_ts": "2000",
        "mode": "personalized",
        "list_sequence": "4",
        "impressions": '{"77":1.0}',
        "began": "a3:4 r3:9 w3:7",
        "at:watch-events:3": "7",
        "at:rate-events:3": "9",
        "at:action-events:3": "6",
    }
    assert [json.loads(entry) for entry in plain.lrange(f"{user}:recent", 0, -1)] == [
        ["11", 2000, "rate", 0.9, True],
        ["10", 1000, "watch", 0.5, True],
        ["12", 500, "like", 0.25, True],
        ["12", 400, "like", 0.25, True],
    ]
    assert plain.smembers(f"{user}:seen") == {"10", "11", "12"}
    assert plain.hgetall(f"{user}:again") == {"12": "1"}
    assert plain.hgetall(f"{user}:hidden") == {"12": "hide 1500"}
    assert float(plain.hget(f"{user}:genres", "Drama")) == pytest.approx(0.5)
    assert plain.get(f"{user}:recs") == LIST.decode()
    assert plain.smembers(f"{user}:guests") == {"u{2}"}
    assert plain.get("user:{u%7B2%7D}:merged") == "u{1}"


def test_counted_events_are_read_by_the_documented_form(written):
    """Sixteen bytes for each event: the beginning of the SHA-1 of its id, and where it lay and what it counts for."""
    with Redis.from_url(written) as client:
        records = client.get("user:{u%7B1%7D}:ids:watch")
    mark = hashlib.sha1(b"e1", usedforsecurity=False).digest()[:8]
    assert records == mark + struct.pack(">d", (7 * 4096 + 3) * 8 + 2 + 1)


def test_quality_is_read_by_documented_names(plain):
    """Counts, rates, positions and points are where and what the page says."""
    live = json.loads(plain.get("quality:live"))
    assert (live["at_ms"], live["began"], live["offsets"]) == (
        6,
        {"watch-events": {"3": 0}},
        {"watch-events": {"3": 8}},
    )
    total = live["figures"]["total"]
    assert (total["tests"], total["named"], total["hits"], total["hit_rate"], total["ndcg"]) == (1, 0, 1, 1.0, 1.0)
    assert (total["popularity_hits"], total["popularity_hit_rate"], total["apart"]) == (0, 0.0, 1)
    [group] = live["figures"]["versions"]
    assert (group["version"], group["mode"], group["total"], group["latest"]) == ("v1", "personalized", total, total)
    assert live["figures"]["running"] == {"experiment": "depth", "since_ms": 1}
    assert plain.hgetall("{quality:live}:users") == {"b\nu{1}": "[1,1]", "at_ms": "6"}
    [point] = [json.loads(point) for point in plain.lrange("quality:series", 0, -1)]
    assert point == {"at_ms": 6, "tests": 1, "hit_rate": 1.0, "popularity_hit_rate": 0.0, "version": "v1"}


def test_items_are_read_by_documented_names(plain):
    """Counters of a partition, trending, similar items, titles and the model's pointer."""
    assert plain.hgetall("items:{p3}:watches") == {"10": "1"}
    assert plain.hgetall("items:{p3}:ratings") == {"11": "1"}
    assert plain.hgetall("items:{p3}:rating_sum") == {"11": "4.5"}
    assert plain.hgetall("items:{p3}:actions") == {"12": "3"}
    fields = plain.hgetall("items:{p3}:at")
    marks = {name: fields.pop(name) for name in list(fields) if name.partition(":")[0] in ("mark", "marked", "safe")}
    assert len(marks) == 3 * 3
    assert fields.pop("server") == plain.info("server")["run_id"]
    assert fields == {
        "at:watch-events:3": "7",
        "at:rate-events:3": "9",
        "at:action-events:3": "6",
    }
    assert plain.hgetall("items:{p3}:clock:rate") == {
        "newest_ts": "2000",
        "own_ts": "2000",
        "warm": "1",
        "other_ts": "2000",
        "other_warm": "0",
        "landmark": "2000",
        "half_life_ms": str(7 * 24 * 60 * 60 * 1000),
        "newcomers_half_life_ms": str(14 * 24 * 60 * 60 * 1000),
    }
    assert plain.zrange("items:{p3}:hot:watch", 0, -1, withscores=True) == [("10", 0.5)]
    assert plain.zrange("items:{p3}:newcomers:rate", 0, -1, withscores=True) == [("11", 1.0)]
    assert plain.zrange("hot:all", 0, -1, desc=True) == ["11", "10"]
    assert plain.zrange("hot:newcomers", 0, -1, desc=True) == ["11", "10"]
    assert plain.zrange("hot:genre:Drama", 0, -1, desc=True) == ["10"]
    assert json.loads(plain.get("similar:10")) == {
        "content": [["11", 0.25]],
        "behaviour": [["11", 1.0]],
        "both": [["11", 0.625]],
    }
    assert json.loads(plain.hget("catalog:items", "11")) == {"title": "Out", "year": None, "genres": []}
    assert plain.hgetall("model:current") == {"version": "v1", "uri": "file:///models/v1", "promoted_at": "5"}


def test_what_people_have_chosen_is_read_by_documented_names(plain):
    """The experiment is JSON with its arms, and a user's id is a field as it is."""
    assert json.loads(plain.get("experiment:current")) == {
        "name": "depth",
        "share": 0.25,
        "a": {"name": "a", "version": None, "personalize_at": None, "explore": None},
        "b": {"name": "b", "version": "v1", "personalize_at": 3, "explore": 2},
        "started_ms": 7,
    }
    assert plain.hgetall("modes:chosen") == {"u{1}": "personalized"}


def test_lookups_read_the_same(written):
    """Our own reader returns values of what the keys hold, and None for a stranger without making one."""
    with connect_to_read(written) as client:
        lookups = Lookups(client)
        profile = lookups.profile("u{1}", n=1)
        assert (profile.watches, profile.ratings, profile.actions) == (1, 1, 3)
        assert (profile.mode, profile.seen, profile.hidden) == ("personalized", 3, 1)
        assert profile.recent == (Interaction("11", 2000, "rate", 0.9),)
        assert [one.item_id for one in lookups.profile("u{1}", n=3).recent] == ["11", "10"]  # without what is hidden
        assert lookups.recommendation("u{1}").record == {"user_id": "u{1}", "items": []}
        assert [item_id for item_id, _ in lookups.trending(1)] == ["11"]
        assert [item_id for item_id, _ in lookups.trending(5, "Drama")] == ["10"]
        assert lookups.genres() == ("Drama",)
        assert lookups.items(["10", "zz"]) == {"10": Item("10", "Heat", 1995, ("Drama",))}
        assert lookups.items(["9"]) == {"9": Item("10", "Heat", 1995, ("Drama",))}  # by an id that it had
        ids = {given: lookups.item_ids(given) for given in ("10", "9", "1", "", "zz")}
        assert ids == {"10": ("10",), "9": ("10",), "1": ("10",), "": ("10", "11"), "zz": ()}  # 1 is no beginning
        assert lookups.profile("stranger") is None
        assert lookups.recommendation("stranger") is None
        assert not client.keys("*stranger*")


def test_nobody_is_no_user(redis_url):
    """What stands for somebody who was forgotten has no profile; a user whose id only looks a little alike has one."""
    nobody = Forgetting("request", 1, 0, {}).nobody
    with connect_to_read(redis_url) as client:
        for user_id in (nobody, "forgotten:soul"):
            client.hset(f"user:{{{user_id}}}", mapping={"watches": 1})
        found = {user_id: Lookups(client).profile(user_id) is not None for user_id in (nobody, "forgotten:soul")}
    assert found == {nobody: False, "forgotten:soul": True}


def test_an_unreachable_server_is_told_in_one_line(unused_tcp_port):
    """A lookup names what was looked up."""
    with (
        connect_to_read(f"redis://127.0.0.1:{unused_tcp_port}/0") as client,
        pytest.raises(StateError, match="lookup of trending: an answer from Redis is required, got ConnectionError"),
    ):
        Lookups(client).trending(1)
