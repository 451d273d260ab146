"""``reelstream recommend --fresh`` against a worker: what is asked for comes back, and what is wrong is told."""

import json

import pytest
from click.testing import CliRunner

from commands.operate.lookups import recommend
from streams.errors import RecordError, TopicError

GENRES = ("Drama", "Comedy")
FILMS = [{"item_id": f"i{n}", "title": f"Film {n}", "year": 1990 + n, "genres": [GENRES[n % 2]]} for n in range(30)]


@pytest.fixture(scope="module")
def running(install):
    """Return an installation with thirty films, of which every second is a comedy, and a worker."""
    installation = install()
    installation.send_all("catalog-items", [(film["item_id"], film) for film in FILMS])
    with installation.process("worker", "--expose", "0") as worker:
        worker.await_ready()
        yield installation


def fresh(installation, *arguments):
    """Ask for a list on the command line; return its exit status and its JSON, or what was said instead."""
    found = CliRunner().invoke(
        recommend,
        ["--within", "30", *arguments, "--fresh", "--json"],
        env=dict(installation.settings.environment()),
    )
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, json.loads(found.stdout) if found.exit_code == 0 else found.output


def test_a_list_is_made_as_it_is_asked_for(running):
    """A stranger asks for three comedies since 2000 without one film, and gets just these with their titles."""
    wishes = ["--must", "comedy", "--from", "2000", "--exclude", "i29", "-n", "3", "--weight", "popularity=0"]
    status, found = fresh(running, "stranger", *wishes)
    assert status == 0
    assert [(one["item_id"], one["title"]) for one in found["items"]] == [(f"i{n}", f"Film {n}") for n in (27, 25, 23)]
    assert (found["tier"], found["unfilled"]) == ("static", [])
    assert found["ts"] > 0


def test_a_list_resembles_what_is_named(running):
    """Of a film of 2001 and drama the nearest in year and genre come first, and the film itself is not listed."""
    _, found = fresh(running, "stranger", "--like", "i10", "-n", "2")
    assert {one["item_id"] for one in found["items"]} == {"i8", "i12"}
    assert {one["reason"] for one in found["items"]} == {"Similar to Film 10: Drama"}
    assert found["tier"] == "hybrid"


def test_what_cannot_be_had_is_told(running):
    """A genre with a slip of the pen is named with the nearest one; on a busy machine the words may be read later."""
    for _ in range(20):
        _, found = fresh(running, "stranger", "--want", "Comdy", "--query", "something funny")
        if found["query_method"] is not None:
            break
    assert "genres: no genre 'Comdy'; the catalogue has Comedy, Drama (nearest: Comedy)" in found["unfilled"]
    assert len(found["items"]) == 10
    assert found["query_method"] in {"embedding", "tfidf"}


def test_a_refused_request_is_an_error_in_one_line(running):
    """A weight that there is not, or years in the wrong order, end with what was required and what came."""
    with pytest.raises(RecordError, match=r"weights must be an object of model, .* got \{'taste': 1\.0\}; mend it"):
        fresh(running, "stranger", "--weight", "taste=1")
    with pytest.raises(RecordError, match="years must be the first and then the last"):
        fresh(running, "stranger", "--from", "2000", "--to", "1990")


def test_nobody_answers_without_a_worker(install):
    """Where no worker runs the command ends in time and says how to look."""
    installation = install()
    with pytest.raises(TopicError, match="within 1 s, got none; see with `reelstream health worker`"):
        fresh(installation, "stranger", "--within", "1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["u", "--query", "x"], "query: --fresh is required to ask for something"),
        (["u", "--fresh", "--follow"], "--fresh and --follow: one of them is required, got both"),
        (["u", "--fresh", "--weight", "query"], "NAME=NUMBER is required, such as query=0.5, got 'query'"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(arguments, said):
    """What cannot be meant ends with status 2, whether or not anything runs."""
    found = CliRunner().invoke(recommend, arguments)
    assert found.exit_code == 2
    assert said in found.output


def test_an_idle_users_stored_list_loses_a_deleted_film(running, until):
    """The first film of a stored list leaves it within seconds of its deletion, without a further event of the user."""
    watch = {"event_id": "e1", "user_id": "idle", "item_id": "i1", "ts": 1_700_000_000_000, "progress": 1.0}
    running.send("watch-events", "idle", watch)
    until(lambda: running.redis.get("user:{idle}:recs"), 30, lambda: "a stored list")
    before = [item["item_id"] for item in json.loads(running.redis.get("user:{idle}:recs"))["items"]]

    def kept():
        """Return the items of the stored list now."""
        return json.loads(running.redis.get("user:{idle}:recs"))["items"]

    running.send("catalog-items", before[0], None)
    until(lambda: [item["item_id"] for item in kept()] == before[1:], 30, kept)
    assert [item["rank"] for item in kept()] == list(range(1, 10))
