"""Keys of one installation among others': counted, deleted, and renamed where an earlier release left no prefix."""

import re
from pathlib import Path

import pytest
from redis import Redis

from streams.errors import StateError
from streams.redis.adopting import adopt_keys
from streams.redis.connection import connect_to_read
from streams.redis.lease import lease_key
from streams.redis.own_keys import KeyCounts, clear_keys, count_keys, find_own_key
from streams.redis.prefix import prefix_of_key, with_prefix
from streams.settings import Settings
from streams.state import keys

ROOT = Path(__file__).parents[3]
NAMES = (
    *(value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str) and "*" not in value),
    *keys.UserKeys.of("u{1}").all(),
    *keys.UserKeys.of("shop-user:1").all(),
    *(f"items:{{p0}}:{name}" for name in ("at", "watches", "ratings", "rating_sum", "actions")),
    *(f"items:{{p0}}:{name}:{source}" for name in ("clock", "hot", "newcomers") for source in keys.SOURCES),
    keys.genre_key("Film-Noir"),
    keys.similar_key("hot:all"),
    lease_key("worker", "one"),
    "alive:worker",
    "alive:worker:host:1",
)
SIGNS = tuple(name for name in NAMES if name.startswith("alive:"))
STORED = tuple(name for name in NAMES if name not in (*SIGNS, keys.TOPIC_IDS))
FOREIGN = ("session:1", "u", "usher", "cache:user:1")


def test_every_key_there_is_belongs_to_an_installation():
    """Each name of ``streams.state.keys``, and each of the page for readers outside, is told by its prefix."""
    page = (ROOT / "docs/reference/redis.md").read_text("utf-8").partition("### `user:")[0]
    told = re.findall(r"^\| `([^`]+)` \| (?:hash|list|set|zset|string) \|", page, re.MULTILINE)
    assert len(told) > 35
    for name in (*NAMES, *told):
        for prefix in ("", "u", "user", "shop-", "hot", "state"):
            assert (name, prefix_of_key(with_prefix(prefix, ("GET", name))[1])) == (name, prefix)


def fill(url, prefix, names=NAMES):
    """Write keys of an installation."""
    with connect_to_read(url, prefix=prefix) as client:
        for name in names:
            client.hset(name, f"{prefix}watch-events", f"{prefix}{name}")


@pytest.mark.parametrize("prefix", ["", "u", "user", "shop-"])
async def test_only_the_keys_of_one_are_deleted(redis_url, prefix):
    """Prefixes that begin with one another, none at all, and keys of other applications share a database."""
    prefixes = ("", "u", "user", "shop-", "shop-eu-")
    for one in prefixes:
        fill(redis_url, one)
    with Redis.from_url(redis_url, decode_responses=True) as plain:
        plain.mset(dict.fromkeys(FOREIGN, "x"))
        plain.set(b"\xff\xfe", "x")
        whole = plain.dbsize()
        assert await count_keys(redis_url, prefix) == KeyCounts(len(NAMES), whole - len(NAMES))
        assert await clear_keys(redis_url, prefix) == len(NAMES)
        assert await count_keys(redis_url, prefix) == KeyCounts(0, whole - len(NAMES))
        assert all(plain.exists(name) for name in (*FOREIGN, b"\xff\xfe"))
        for other in prefixes:
            if other != prefix:
                assert (await count_keys(redis_url, other)).own == len(NAMES)


async def test_a_database_of_others_is_empty_for_an_installation_with_a_prefix(redis_url):
    """Its own keys alone count; without a prefix every key does that no other installation has."""
    fill(redis_url, "shop-eu-", NAMES[:3])
    assert [await find_own_key(redis_url, prefix) for prefix in ("", "shop-", "u")] == [None, None, None]
    with Redis.from_url(redis_url) as plain:
        plain.set("session:1", "x")
    assert [await find_own_key(redis_url, prefix) for prefix in ("", "shop-")] == ["session:1", None]
    fill(redis_url, "shop-", NAMES[:1])
    assert await find_own_key(redis_url, "shop-") == f"shop-{NAMES[0]}"


def settings_of(url, prefix):
    """Return settings of an installation."""
    return Settings("unused:1", url, "unused", prefix=prefix)


def left_by_earlier_release(url, prefix):
    """Write the keys of an installation that had its prefix before topics alone; nothing of it runs."""
    with Redis.from_url(url) as plain:
        for name in (*STORED, keys.TOPIC_IDS):
            plain.hset(name, f"{prefix}watch-events", name)
        plain.zadd("alive:worker", {"host:1": 1})


@pytest.mark.parametrize("prefix", ["u", "user", "shop-", "m", "s"])
async def test_keys_of_an_earlier_release_get_the_prefix(redis_url, prefix):
    """Also where they begin with its letters; other installations and applications keep theirs, signs of life go."""
    left_by_earlier_release(redis_url, prefix)
    fill(redis_url, "other-", STORED)
    with Redis.from_url(redis_url, decode_responses=True) as plain:
        plain.mset(dict.fromkeys(FOREIGN, "x"))
        before = plain.dbsize()
        tried = await adopt_keys(settings_of(redis_url, prefix), keys.TOPIC_IDS, "watch-events", is_tried=True)
        assert (tried.renamed, plain.dbsize(), plain.exists("hot:all")) == (len(STORED) + 1, before, 1)
        done = await adopt_keys(settings_of(redis_url, prefix), keys.TOPIC_IDS, "watch-events")
        assert (done.renamed, done.kept) == (len(STORED) + 1, ())
        assert all(plain.exists(name) for name in FOREIGN)
        assert (plain.dbsize(), plain.exists("alive:worker")) == (before - 1, 0)
    with connect_to_read(redis_url, prefix=prefix) as client:
        assert [client.hvals(name) for name in STORED] == [[name] for name in STORED]
        assert client.exists(keys.TOPIC_IDS)
    assert (await count_keys(redis_url, "other-")).own == len(STORED)
    with pytest.raises(StateError, match=r"are required in .*, got none; there is nothing to rename"):
        await adopt_keys(settings_of(redis_url, prefix), keys.TOPIC_IDS, "watch-events")


async def test_nothing_is_overwritten(redis_url):
    """A key whose new name is taken stays, and is named; all others are renamed."""
    left_by_earlier_release(redis_url, "shop-")
    with Redis.from_url(redis_url) as plain:
        plain.set("shop-hot:all", "mine")
        done = await adopt_keys(settings_of(redis_url, "shop-"), keys.TOPIC_IDS, "watch-events")
        assert (done.renamed, done.kept) == (len(STORED), ("hot:all",))
        assert (plain.get("shop-hot:all"), plain.exists("hot:all")) == (b"mine", 1)


@pytest.mark.parametrize(
    ("prefix", "field", "living", "words"),
    [
        ("", "watch-events", None, r"a prefix \(REELSTREAM_PREFIX\) is required"),
        ("shop-", "watch-events", None, r"with the prefix 'shop-' alone to be renamed, got those made of .*clear"),
        ("shop-", "other-watch-events", None, r"keys of the installation with the prefix 'shop-', .* got none"),
        ("shop-", "shop-watch-events", "alive:worker:host:1", r"ended processes are required .*got 'alive:worker"),
        ("shop-", "shop-watch-events", "alive:id:worker:one", r"ended processes are required .*got 'alive:id"),
    ],
)
async def test_what_may_not_be_renamed_is_refused(redis_url, prefix, field, living, words):
    """Keys of no prefix, of another installation, or of processes that write on stay as they are."""
    with Redis.from_url(redis_url) as plain:
        plain.hset(keys.TOPIC_IDS, field, "id")
        if living:
            plain.set(living, "x")
        before = sorted(plain.keys())
        with pytest.raises(StateError, match=words):
            await adopt_keys(settings_of(redis_url, prefix), keys.TOPIC_IDS, "watch-events")
        assert sorted(plain.keys()) == before


async def test_a_cluster_is_cleared_and_renamed_alike(own_cluster):
    """Where the new name lies on another server the key is carried there; one that is taken stays."""
    with own_cluster(3) as nodes:
        url = nodes[0].url
        fill(url, "other-", STORED)
        fill(url, "", STORED)
        with connect_to_read(url, prefix="") as client:
            client.hset(keys.TOPIC_IDS, "shop-watch-events", "id")
            client.set("shop-hot:all", "mine")
            done = await adopt_keys(settings_of(url, "shop-"), keys.TOPIC_IDS, "watch-events")
            assert (done.renamed, done.kept, client.get("shop-hot:all")) == (len(STORED), ("hot:all",), "mine")
        assert await count_keys(url, "shop-") == KeyCounts(len(STORED) + 1, len(STORED) + 1)
        assert await clear_keys(url, "shop-") == len(STORED) + 1
        assert (await count_keys(url, "other-")).own == len(STORED)
