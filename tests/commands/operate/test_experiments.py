"""``reelstream ab``: what it starts, refuses, shows and ends."""

import json

import pytest
from click.testing import CliRunner
from redis import Redis

from commands.operate.experiments import ab
from model.metrics.live import ArmTally, Scoreboard, Tally
from streams.errors import RegistryError, StateError
from streams.registry.registry import Registry
from tests.toy import toy_snapshot


@pytest.fixture
def versions(tmp_path):
    """Return the ids of two stored versions."""
    registry = Registry(str(tmp_path / "models"))
    snapshot = toy_snapshot(("i1", "i2"))
    return [
        registry.save(
            snapshot, parent=None, metrics={}, offsets={}, created_ms=1, seed=seed, code_revision="test"
        ).version_id
        for seed in range(2)
    ]


@pytest.fixture
def invoke(redis_url, tmp_path, monkeypatch):
    """Return a function that runs ``reelstream ab`` against this test's Redis and registry."""
    monkeypatch.setenv("REELSTREAM_REDIS", redis_url)
    monkeypatch.setenv("REELSTREAM_REGISTRY", str(tmp_path / "models"))

    def run(*arguments):
        return CliRunner().invoke(ab, arguments)

    return run


@pytest.fixture
def client(redis_url):
    """Return a Redis client."""
    with Redis.from_url(redis_url, decode_responses=True) as connected:
        yield connected


def scored(client, *, running=None, **arms):
    """Write figures as the scorekeeper does: for each arm users, of whom each had one test, and hits."""
    rows, users = [], {"at_ms": "1700000000000"}
    for key, (n, hits) in arms.items():
        name, arm = key.split("_")
        tally = ArmTally(Tally(tests=n, hits=hits), n, n, hits, hits, versioned=n, versions={"v": n})
        rows.append({"experiment": name, "arm": arm, "total": tally.describe(), "latest": Tally().describe()})
        if name == running:
            users |= {f"{arm}\nu{user}": json.dumps([1, int(user < hits)]) for user in range(n)}
    described = None if running is None else {"experiment": running, "since_ms": 1}
    figures = Scoreboard().describe() | {"arms": rows, "running": described}
    found = {"figures": figures, "began": {}, "offsets": {}, "at_ms": 1_700_000_000_000}
    client.set("quality:live", json.dumps(found))
    client.delete("{quality:live}:users")
    client.hset("{quality:live}:users", mapping=users)


def test_start_stores_what_was_asked_for(invoke, client, versions):
    """The key holds name, share, both arms and the time; what was not said is null."""
    result = invoke("start", "depth", "--b", versions[1], "--share", "0.2", "--a-explore", "2", "--json")
    assert result.exit_code == 0, result.output
    stored = json.loads(client.get("experiment:current"))
    assert stored == json.loads(result.stdout)
    assert stored.pop("started_ms") > 1_700_000_000_000
    assert stored == {
        "name": "depth",
        "share": 0.2,
        "a": {"name": "a", "version": None, "personalize_at": None, "explore": 2},
        "b": {"name": "b", "version": versions[1], "personalize_at": None, "explore": None},
    }


@pytest.mark.parametrize(
    ("arguments", "required"),
    [
        (("depth",), "two arms that differ are required"),
        (("depth", "--a-explore", "1", "--b-explore", "1"), "two arms that differ are required"),
        (("no spaces", "--b-explore", "1"), "the name must be 1 to 64 letters"),
        (("depth", "--b-explore", "1", "--share", "1"), "--share"),
        (("depth", "--b-personalize-at", "0"), "--b-personalize-at"),
    ],
)
def test_start_refuses_what_compares_nothing(invoke, client, arguments, required):
    """Equal arms, unusable names and empty sides are wrong usage, and nothing is stored."""
    result = invoke("start", *arguments)
    assert (result.exit_code, required in result.output) == (2, True), result.output
    assert not client.exists("experiment:current")


def test_start_refuses_a_version_that_cannot_serve(invoke, client, versions, tmp_path):
    """An unknown and a torn version are refused before anything is stored."""
    assert isinstance(invoke("start", "depth", "--b", "v000009-00000000").exception, RegistryError)
    weights = tmp_path / "models" / versions[0] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert isinstance(invoke("start", "depth", "--a", versions[0]).exception, RegistryError)
    assert not client.exists("experiment:current")


def test_start_replaces_another_only_when_told_to(invoke, client):
    """A second start is refused by the name that runs; with --replace it takes its place."""
    assert invoke("start", "first", "--b-explore", "1").exit_code == 0
    refused = invoke("start", "second", "--b-explore", "2").exception
    assert isinstance(refused, StateError)
    assert "no running experiment is required, got 'first'" in str(refused)
    assert json.loads(client.get("experiment:current"))["name"] == "first"
    assert invoke("start", "second", "--b-explore", "2", "--replace").exit_code == 0
    assert json.loads(client.get("experiment:current"))["name"] == "second"


def test_start_refuses_a_version_that_workers_would_refuse(invoke, client, versions, monkeypatch):
    """One that was trained without repeats is not compared where they are kept."""
    monkeypatch.setenv("REELSTREAM_KEEP_REPEATS", "1")
    result = invoke("start", "depth", "--b", versions[0])
    assert isinstance(result.exception, RegistryError)
    assert "with repeats kept is required" in str(result.exception)
    assert not client.exists("experiment:current")


def test_status_says_what_is_missing(invoke, client):
    """No experiment, no scorekeeper, no test, one arm only: each is said in words."""
    assert invoke("status").stdout == "no experiment runs\n"
    assert json.loads(invoke("status", "--json").stdout) == {"experiment": None}
    invoke("start", "depth", "--b-explore", "1")
    assert "no scorekeeper has written any" in invoke("status").stdout
    assert json.loads(invoke("status", "--json").stdout)["at_ms"] is None
    scored(client, other_a=(1000, 100), other_b=(1000, 100))
    assert "no list of this experiment has been tested yet" in invoke("status").stdout
    scored(client, depth_a=(1000, 100))
    assert "only lists of arm a have been tested yet" in invoke("status").stdout


def test_status_shows_both_arms_and_the_difference(invoke, client):
    """Rates of 0.10 and 0.14 of 10,000 users of one test each: 0.04, 1.96 or 3.67 times sqrt((0.09 + 0.1204) / 1e4)."""
    # 3.67 is the limit of any number of looks for 20,000 effective users: (1 + 1 / 1756) log(1757 / 0.0025) = 13.47
    invoke("start", "depth", "--b-explore", "1")
    scored(client, depth_b=(10_000, 1400), depth_a=(10_000, 1000), other_a=(90, 9))
    text = invoke("status").stdout
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["arm", "a", "b"]
    figures = ["10,000", "10,000.0", "10,000", "10,000", "1,000", "0.1000", "0.0941", "to", "0.1059"]
    assert text.splitlines()[2].split()[-9:] == figures
    assert "difference b - a: +0.0400 (+0.0310 to +0.0490 for one look, +0.0232 to +0.0568 for any number" in text
    assert "arm b is better, however often one looks" in text
    assert "figures of 2023-11-14 22:13:20 UTC" in text
    found = json.loads(invoke("status", "--json").stdout)
    rows = [(row["arm"], row["own_lists"], row["left_out"]) for row in found["arms"]]
    assert rows == [("a", 10_000, 0), ("b", 10_000, 0)]
    assert not found["comparison"]["is_by_lot"]


def test_status_redraws_the_lot_of_the_users_who_are_stored(invoke, client):
    """The users of the experiment that runs give the limit; those of another one do not, nor do half of them."""
    invoke("start", "depth", "--b-explore", "1")
    scored(client, running="depth", depth_a=(200, 20), depth_b=(200, 30))
    assert json.loads(invoke("status", "--json").stdout)["comparison"]["is_by_lot"]
    client.hdel("{quality:live}:users", "a\nu7")
    assert not json.loads(invoke("status", "--json").stdout)["comparison"]["is_by_lot"]
    scored(client, running="other", depth_a=(200, 20), depth_b=(200, 30), other_a=(200, 20), other_b=(200, 30))
    assert not json.loads(invoke("status", "--json").stdout)["comparison"]["is_by_lot"]


def test_stop_ends_it_and_shows_the_last_figures(invoke, client):
    """The key is gone, the figures are printed once more, and a second stop says that there is nothing to end."""
    invoke("start", "depth", "--b-explore", "1")
    scored(client, depth_a=(10_000, 1000), depth_b=(10_000, 1400))
    text = invoke("stop").stdout
    assert "difference b - a: +0.0400" in text
    assert "the experiment is over" in text
    assert not client.exists("experiment:current")
    assert isinstance(invoke("stop").exception, StateError)


def test_stop_removes_what_cannot_be_understood(invoke, client):
    """A garbled key is told, and gone afterwards."""
    client.set("experiment:current", "{")
    assert isinstance(invoke("stop").exception, StateError)
    assert not client.exists("experiment:current")


@pytest.mark.parametrize("stored", ["{", '{"figures": {}}'])
def test_stop_ends_it_whatever_the_figures_are(invoke, client, stored):
    """Figures that cannot be read are told, and the experiment is over all the same."""
    invoke("start", "depth", "--b-explore", "1")
    client.set("quality:live", stored)
    result = invoke("stop")
    assert (result.exit_code, "the experiment is over" in result.stdout) == (0, True)
    assert "cannot be read" in result.stdout
    assert "quality" in result.stderr
    assert not client.exists("experiment:current")


def test_users_that_cannot_be_read_are_told(invoke, client):
    """A garbled user is told, with its cure, and nothing is compared."""
    invoke("start", "depth", "--b-explore", "1")
    scored(client, running="depth", depth_a=(200, 20), depth_b=(200, 30))
    client.hset("{quality:live}:users", "a\nu7", "{")
    result = invoke("status")
    assert (result.exit_code, "cannot be read" in result.stdout, "delete that key" in result.stderr) == (0, True, True)


def test_stop_removes_a_key_of_another_type(invoke, client):
    """Something else under the key is gone afterwards, and told."""
    client.hset("experiment:current", "name", "depth")
    assert isinstance(invoke("stop").exception, StateError)
    assert not client.exists("experiment:current")


def test_a_name_that_has_figures_is_refused(invoke, client):
    """Figures of two experiments of one name would be added up."""
    scored(client, depth_a=(1000, 100), depth_b=(1000, 100))
    refused = invoke("start", "depth", "--b-explore", "1")
    assert (refused.exit_code, "take another" in refused.output) == (2, True)
    assert not client.exists("experiment:current")


def test_a_side_that_is_none_is_left_out(invoke, client):
    """A foreign record with another arm than the two changes nothing."""
    invoke("start", "depth", "--b-explore", "1")
    scored(client, depth_a=(1000, 100), depth_c=(1000, 900), depth_b=(1000, 100))
    assert [row["arm"] for row in json.loads(invoke("status", "--json").stdout)["arms"]] == ["a", "b"]
