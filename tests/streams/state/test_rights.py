"""What an ACL user of a real Valkey lacks is told before anything starts, and no more than that is asked for."""

import pytest
from redis import Redis

from model.catalogue import Catalogue, Item
from model.similar import SimilarItems
from streams.errors import StateError
from streams.records.records import Action, Origin, Watch
from streams.redis.connection import connect, connect_to_read
from streams.redis.heartbeat import SignOfLife
from streams.state.calls import StoredList
from streams.state.keys import CATALOG_REJECTED, DATA_REQUESTS_REJECTED, HINTS_REJECTED
from streams.state.library import code_of_library, install
from streams.state.rights import missing_rights, require_rights
from streams.state.store import ModelPointer, State

ORDINARY = ("~*", "&*", "+@all", "-@admin", "-@dangerous", "+info")  # as docs/how-to/security.md has it


@pytest.fixture(scope="module")
def server(own_valkey):
    """Return a server with users of its own."""
    with own_valkey() as valkey:
        yield valkey


@pytest.fixture
def as_user(server):
    """Return a function that gives the URL of a user with these rules, on an empty server without functions."""
    with Redis.from_url(server.url) as admin:
        admin.flushall()
        admin.function_flush()

        def url_of(*rules):
            admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", *rules)
            return f"redis://app:secret@127.0.0.1:{server.port}/0"

        yield url_of


def missing(url, role):
    """Return the lines about what a role lacks."""
    with connect_to_read(url) as client:
        return missing_rights(client, role)


@pytest.mark.parametrize("role", ["worker", "trainer", "scorekeeper", "rebuild elsewhere"])
def test_an_ordinary_user_lacks_nothing(as_user, role):
    """The rules that the manual gives are enough for every process, and nothing is left behind by asking."""
    url = as_user(*ORDINARY)
    assert missing(url, role) == ()
    with connect_to_read(url) as client:
        assert client.dbsize() == 0


@pytest.mark.parametrize(
    ("role", "denied", "says"),
    [
        ("worker", "-function|load", "worker: FUNCTION LOAD must be allowed for its functions, got "),
        ("worker", "-fcall", "worker: FCALL must be allowed for its functions, got "),
        ("worker", "-zunionstore", "worker: ZUNIONSTORE must be allowed for item counters and positions, got "),
        ("worker", "-zrevrange", "worker: ZREVRANGE must be allowed for trending, got "),
        ("worker", "-hsetnx", "worker: HSETNX must be allowed for telling topics that were made anew, got "),
        ("trainer", "-info", "trainer: INFO must be allowed for finding out which server answers, got "),
        ("scorekeeper", "-lpush", "scorekeeper: LPUSH must be allowed for live figures, got "),
        ("digest", "-scan", "digest: SCAN must be allowed for going over all users, got "),
        ("digest", "-smembers", "digest: SMEMBERS must be allowed for going over all users, got "),
        ("rebuild target", "-restore", "rebuild target: RESTORE must be allowed for copying lists from another server"),
        (
            "rebuild",
            "-swapdb",
            "rebuild: SWAPDB must be allowed for putting the rebuilt database in the live one's place",
        ),
    ],
)
def test_a_missing_right_is_one_line_with_command_feature_and_cure(as_user, role, denied, says):
    """The user who may do everything but one thing is told just that, and how an administrator allows it."""
    lines = missing(as_user("~*", "&*", "+@all", denied), role)
    expected = {says.split("must")[0].strip()}
    assert {line.split("must")[0].strip() for line in lines} == expected
    assert lines[0].startswith(says)
    assert f"ACL SETUSER <user> +{denied[1:]}" in lines[0]
    assert all("\n" not in line for line in lines)


def test_every_missing_right_is_told(as_user):
    """A user who may only connect and ask is told of all that a worker needs, one line each, at once."""
    told = []
    url = as_user("~*", "+multi", "+hello", "+client", "+select", "+ping")
    with connect_to_read(url) as client, pytest.raises(StateError, match="worker: ") as caught:
        require_rights(client, "worker", told.append)
    lines = [*told, str(caught.value)]
    assert len(lines) == len(set(lines)) > 40
    assert any(line.startswith("worker: FUNCTION LOAD") for line in lines)


async def test_what_the_lines_grant_is_all_that_a_worker_sends(as_user):
    """A user who may do what the missing rights of a worker name, and connect, makes every call of a worker."""
    connecting = ("~*", "&*", "+multi", "+exec", "+hello", "+client", "+select", "+ping")
    granted = {line.rpartition("<user> ")[2] for line in missing(as_user(*connecting), "worker")}
    client = connect(as_user(*connecting, *granted))
    state = State(client)
    await state.install()
    film, event = Item("i", "Film", 1999, ("Drama",)), Watch("e", "ann", "i", 1000, 1.0)
    await state.apply([(Origin("watch-events", 0, 0), event, ("Drama",))])
    await state.know_servers()
    await state.positions([("watch-events", 0)])
    assert not await state.is_held()
    assert not await state.has_moved()
    hide = Action("h", "ann", "j", 1000, "hide")
    await state.apply([(Origin("action-events", 0, 0), hide, ()), (Origin("watch-events", 0, 1), event, ())])
    profile = (await state.profiles(["ann"]))["ann"]
    await state.seen_among([(profile, ["i"])])
    await state.store_lists([StoredList("ann", 1, "personalized", b"{}")])
    for catalogue in (Catalogue.of([film]), Catalogue()):  # a genre comes, and goes
        await state.merge_trending(1, catalogue)
    assert len(await state.trending(5)) == 1
    await state.put_catalogue([film], ["gone"])
    await state.catalogue_ids()
    assert await state.has_catalogue()
    for key in (CATALOG_REJECTED, HINTS_REJECTED, DATA_REQUESTS_REJECTED):
        await state.note_rejected(key, {0: 1})
        await state.rejected(key)
    await state.exposure(1, ["i"])
    await state.put_new_items(())
    await state.new_items()
    await state.hint_lifts()
    await state.put_similar({"i": SimilarItems((("j", 0.5),), (), ())})
    await state.move_model(ModelPointer("v", "m", 1))
    await state.current_model()
    await state.measured_model()
    await state.experiment()
    await state.mode_overrides()
    await SignOfLife(client, "worker").renew({})
    await client.aclose()


def test_keys_out_of_reach_are_named(as_user):
    """A user who may touch users' keys alone is told which others are needed, and by which pattern."""
    lines = missing(as_user("~user:*", "&*", "+@all"), "worker")
    assert any("HGET of the key 'items:{p0}:at' must be allowed" in line and "~items:*" in line for line in lines)
    assert not any("'user:" in line for line in lines)
    [line] = missing(as_user("~alive:*", "~model:*", "~topics:*", "~catalog:*", "~hints:*", "&*", "+@all"), "trainer")
    assert "GET of the key 'experiment:current' must be allowed" in line


async def test_functions_that_an_administrator_has_loaded_are_enough(server, as_user):
    """Without FUNCTION LOAD the very same functions serve, other ones are refused, and so is none at all."""
    url = as_user("~*", "&*", "+@all", "-function|load")
    client = connect(url)
    with pytest.raises(StateError, match=r"installing the functions: .*function\|load"):
        await install(client)
    with Redis.from_url(server.url) as admin:
        admin.function_load(code_of_library() + "\n-- another")
        assert len(missing(url, "worker")) == 1
        admin.function_load(code_of_library(), replace=True)
    assert missing(url, "worker") == ()
    await install(client)
    event = Watch("e", "ann", "i", 1000, 1.0)
    assert (await State(client).apply([(Origin("watch-events", 0, 0), event, ())])).fresh == 1
    await client.aclose()


def test_without_multi_nothing_is_run(as_user, caplog):
    """A user who may not open a transaction is not looked at, which is said, and no command is tried in earnest."""
    assert missing(as_user("~*", "&*", "+@all", "-multi"), "worker") == ()
    assert "MULTI is not allowed" in caplog.text
    with connect_to_read(as_user(*ORDINARY)) as client:
        assert client.dbsize() == 0
