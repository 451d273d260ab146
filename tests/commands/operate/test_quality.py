"""``reelstream quality`` on a real Redis: what it prints for people and programs, and when it has nothing to say."""

import json
import time

import pytest
from click.testing import CliRunner
from redis import Redis
from scipy.stats import binomtest

from commands.operate.quality import quality
from model.metrics.intervals import UserSums, difference
from model.metrics.live import PublishedList, Scoreboard, ScoreboardConfig
from streams.redis.connection import connect
from streams.state.quality import LiveQuality, QualityShelf


@pytest.fixture
def invoke(redis_url, monkeypatch):
    """Return a function that runs ``reelstream quality`` on this test's database."""
    monkeypatch.setenv("REELSTREAM_REDIS", redis_url)
    return lambda *arguments: CliRunner().invoke(quality, arguments)


@pytest.fixture
def alive(redis_url):
    """Return a function that writes a sign of life of a scorekeeper."""

    def sign():
        with Redis.from_url(redis_url) as client:
            client.set("alive:scorekeeper:here:1", "{}", ex=60)
            client.zadd("alive:scorekeeper", {"here:1": time.time()})

    return sign


@pytest.fixture
def store(redis_url):
    """Return a function that stores a scoreboard's figures as the scorekeeper does."""

    async def write(board):
        client = connect(redis_url)
        await QualityShelf(client).write(LiveQuality(board.describe(), {}, {}, time.time_ns() // 1_000_000))
        await client.aclose()

    return write


def a_board():
    """Return a board of four tests: u and v on side b hit and miss, w on c hits, x without version or side misses."""
    board = Scoreboard(ScoreboardConfig(renew_every=1))
    for user, arm in (("u", "b"), ("v", "b"), ("w", "c"), ("x", None)):
        version, mode = (None, "cold_start") if arm is None else ("v1", "personalized")
        board.add_list(PublishedList(f"r{user}", user, 1, mode, version, ("a",), arm and "colour", arm))
    for user, item in (("u", "a"), ("v", "z"), ("w", "a"), ("x", "y")):
        board.add_event(user, item, 2)
    return board


def test_without_a_scorekeeper_it_says_how_to_start_one(invoke):
    """Where nothing was counted and nobody counts, the status is 1 and stderr names the command."""
    result = invoke()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "start one with `reelstream scorekeeper`" in result.stderr
    result = invoke("--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"scorekeeper": False, "at_ms": None, "figures": None})


async def test_before_the_first_test_it_says_what_is_waited_for(invoke, alive, store):
    """With a living scorekeeper that has tested nothing the status is 1, and stderr says what must come."""
    alive()
    assert "waits for events" in invoke().stderr
    await store(Scoreboard())
    result = invoke()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "waits for events" in result.stderr


async def test_figures_for_people(invoke, alive, store):
    """All, versions and sides are rows, the difference of sides stands below, and that nobody counts now is said."""
    await store(a_board())
    result = invoke()
    assert result.exit_code == 0
    rows = {line.split("  ")[0]: line.split() for line in result.stdout.splitlines()}
    assert rows["all"][1] == "0.5000"
    assert rows["all"][-2:] == ["4", "0"]
    assert rows["v1 personalized"][2] == "0.6667"
    assert rows["no version cold_start"][3] == "0.0000"
    assert rows["colour: b"][2] == "0.5000"
    assert "colour: c - b = +0.5000, too few users to tell" in result.stdout  # two users on one side, one on the other
    assert "`reelstream ab status` compares" in result.stdout
    assert "no scorekeeper is running" in result.stdout
    alive()
    assert "no scorekeeper is running" not in invoke().stdout


async def test_figures_for_programs(invoke, alive, store):
    """The object holds the stored figures, each group with an interval: Wilson's over tests, for sides over users."""
    alive()
    await store(a_board())
    result = invoke("--json")
    found = json.loads(result.stdout)
    figures = found["figures"]
    assert (result.exit_code, found["scorekeeper"]) == (0, True)
    assert (figures["total"]["tests"], figures["total"]["hits"]) == (4, 2)
    [version] = [one for one in figures["versions"] if one["version"] == "v1"]
    expected = binomtest(2, 3).proportion_ci(0.95, method="wilson")
    interval = version["interval"]
    assert (interval["low"], interval["high"]) == pytest.approx((expected.low, expected.high))
    sides = {one["arm"]: one["interval"] for one in figures["arms"]}
    # b: residuals +-0.5, so 2/1 * 0.5 / 4 = 0.25, root 0.5: 0.5 +- 0.98 is cut off at 0 and 1
    assert sides["b"] == {"value": 0.5, "low": 0.0, "high": 1.0}
    assert figures["differences"] == [
        {"experiment": "colour", "arm": "c", "other": "b", "value": 0.5, "low": None, "high": None}
    ]


async def test_arms_are_compared_as_ab_status_does(invoke, store):
    """With four users a side, 2 of 4 against 1 of 4 hits: b - a is .25, with the interval of the same sums."""
    board = Scoreboard()
    for number in range(8):
        arm, item = "ab"[number % 2], "a" if number in {1, 3, 4} else "z"
        board.add_list(PublishedList(f"r{number}", f"u{number}", 1, "personalized", "v1", ("a",), "colour", arm))
        board.add_event(f"u{number}", item, 2)
    await store(board)
    a, b = UserSums(4, 4, 1, 4, 1, 1), UserSums(4, 4, 2, 4, 2, 2)
    expected = difference(b, a)
    found = json.loads(invoke("--json").stdout)["figures"]["differences"]
    assert found == [{"experiment": "colour", "arm": "b", "other": "a", "value": 0.25} | bounds(expected)]
    printed = f"colour: b - a = +0.2500, 95 % {expected.low:+.4f} to {expected.high:+.4f} for one look"
    assert printed in invoke().stdout


def bounds(interval):
    """Return the ends of an interval."""
    return {"low": interval.low, "high": interval.high}
