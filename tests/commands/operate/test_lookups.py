import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from redis import Redis

from commands.operate.lookups import hot, profile, recommend
from model.catalogue import Catalogue, Item
from streams.records.codec import encode
from streams.records.records import ListedItem, Origin, Rating, Recommendation, Watch
from streams.redis.connection import connect
from streams.state.store import State, StoredList

FILMS = Catalogue.of(
    [Item("10", "Heat [bold]", 1995, ("Crime", "Drama")), Item("11", "Alien", 1979, ("Horror",)), Item("12", "Solaris")]
)


def a_list(sequence, *item_ids):
    """Return the JSON of a personalised list."""
    items = tuple(
        ListedItem(item_id, rank, 1 / rank, "neumf", "like Alien") for rank, item_id in enumerate(item_ids, 1)
    )
    return encode(
        Recommendation(
            f"rec{sequence}", "u", 2000, "personalized", "v7", 10, items, {}, sequence, 2000, 1_700_000_000_000
        )
    )


@pytest.fixture
async def url(redis_url):
    """Write a catalogue, a user with two events and a list, and what trends."""
    client = connect(redis_url)
    state = State(client)
    await state.install()
    await state.apply(
        [
            (Origin("watch-events", 0, 0), Watch("e1", "u", "10", 1000, 0.5), ("Crime", "Drama")),
            (Origin("rate-events", 0, 0), Rating("e2", "u", "11", 2000, 4.5), ("Horror",)),
            (Origin("watch-events", 0, 1), Watch("e3", "fresh", "99", 3000, 0.25), ()),
        ]
    )
    await state.store_lists([StoredList("u", 2, "personalized", a_list(2, "12", "77"))])
    await state.put_catalogue(FILMS)
    await state.merge_trending(1, FILMS)
    await client.aclose()
    return redis_url


def shown(command, *arguments):
    """Run a command and return what it printed."""
    result = CliRunner().invoke(command, arguments, catch_exceptions=False, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def test_a_list_is_shown_with_titles(url):
    """Rank, title, score and reason stand in one row; an item without a title is named by its id."""
    lines = shown(recommend, "u", "--redis", url).splitlines()
    assert "user u: personalized, v7, 2023-11-14 22:13:20" in lines[0]
    assert any("Solaris" in line and "1.000" in line and "like Alien" in line for line in lines)
    assert any("unknown item 77" in line and "0.500" in line for line in lines)


def test_a_list_as_json_is_the_record_with_titles(url):
    """The fields of the topic stand beside title, year and genres of each item."""
    answer = json.loads(shown(recommend, "u", "--json", "-n", "1", "--redis", url))
    assert (answer["rec_id"], answer["unknown"], answer["model_version"]) == ("rec2", False, "v7")
    (item,) = answer["items"]
    assert (item["item_id"], item["rank"], item["title"], item["score"]) == ("12", 1, "Solaris", 1.0)
    assert {"source", "because", "propensity"} <= item.keys()


def test_an_unknown_user_gets_what_is_trending_and_is_told(url):
    """The exit code is 0, the heading says unknown, and JSON has it as a field."""
    output = shown(recommend, "nobody", "--redis", url)
    assert "user nobody is unknown; this is what is trending" in output
    assert "Alien" in output
    answer = json.loads(shown(recommend, "nobody", "--json", "--redis", url))
    assert (answer["unknown"], [item["item_id"] for item in answer["items"]]) == (True, ["11", "10"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["u", "--weight", "query=nan"], "NAME=NUMBER is required, such as query=0.5, got 'query=nan'"),
        (["u", "--weight", "query=inf"], "NAME=NUMBER is required, such as query=0.5, got 'query=inf'"),
        (["u", "--weight", "query"], "NAME=NUMBER is required, such as query=0.5, got 'query'"),
        ([""], "1 to 64 printable characters without space around them is required, got ''"),
        (["x" * 65], "1 to 64 printable characters"),
    ],
)
def test_what_no_request_can_hold_is_refused_before_it_is_sent(given, told):
    """Nobody waits for an answer that cannot come: wrong usage, told at once."""
    result = CliRunner().invoke(recommend, [*given, "--fresh"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert told in result.output


def test_a_user_without_a_list_is_not_called_unknown(url):
    """A user with events whose list has not come yet is told so."""
    assert "user fresh has no list yet; this is what is trending" in shown(recommend, "fresh", "--redis", url)
    assert json.loads(shown(recommend, "fresh", "--json", "--redis", url))["unknown"] is False


def test_a_profile_shows_counters_and_latest_events(url):
    """Brackets in a title are shown as they are."""
    output = shown(profile, "u", "--redis", url)
    assert "user u: personalized, 2 items touched" in output
    assert "1 watches, 1 ratings (4.50 stars on average)" in output
    assert "Heat [bold]" in output


def test_a_profile_as_json(url):
    """Affinities come strongest first, events newest first."""
    answer = json.loads(shown(profile, "u", "--json", "--redis", url))
    assert (answer["watches"], answer["ratings"], answer["mean_rating"], answer["seen"]) == (1, 1, 4.5, 2)
    assert list(answer["genres"]) == ["Horror", "Crime", "Drama"]  # 0.9, then 0.5 twice by name
    assert [event["title"] for event in answer["recent"]] == ["Alien", "Heat [bold]"]


def test_an_unknown_profile_is_said(url):
    """No table, exit code 0."""
    assert "user nobody is unknown" in shown(profile, "nobody", "--redis", url)
    assert json.loads(shown(profile, "nobody", "--json", "--redis", url)) == {"user_id": "nobody", "unknown": True}


def test_trending_over_everything_and_in_a_genre(url):
    """A genre lists its own items only; an unknown one names those there are."""
    assert [item["item_id"] for item in json.loads(shown(hot, "--json", "--redis", url))["items"]] == ["11", "10"]
    output = shown(hot, "--genre", "Crime", "--redis", url)
    assert "Heat" in output
    assert "Alien" not in output
    output = shown(hot, "--genre", "crime", "--redis", url)
    assert "trending in crime: nothing yet" in output
    assert "genres that trend: Crime, Drama, Horror" in output


def test_following_shows_each_new_list_and_ends_cleanly(url):
    """A list written later is printed once, and an interrupt ends with status 0, though it was ignored at the start."""
    background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]  # as a script's `command &`
    command = [sys.executable, "-m", "reelstream", "recommend", "u", "--follow", "--json", "--every", "0.05"]
    arguments = [*background, *command, "--redis", url]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as following:
        assert json.loads(following.stdout.readline())["rec_id"] == "rec2"
        with Redis.from_url(url) as client:
            client.set("user:{u}:recs", a_list(3, "10"))
        newer = json.loads(following.stdout.readline())
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=20) == 0
    assert (newer["rec_id"], newer["items"][0]["title"]) == ("rec3", "Heat [bold]")
