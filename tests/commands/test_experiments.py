"""``reelstream ab``: what it starts, refuses and ends, and how it tells a difference from chance."""

import json
from math import sqrt

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from redis import Redis

from commands.experiments import ab, compare
from model.neumf import NeuMF, NeuMFConfig
from model.snapshot import Snapshot
from streams.errors import RegistryError, StateError
from streams.registry import Registry


@pytest.fixture
def versions(tmp_path):
    """Return the ids of two stored versions."""
    registry = Registry(str(tmp_path / "models"))
    network = NeuMF(NeuMFConfig(), 1, np.zeros((2, 1), dtype=np.float32), generator=torch.Generator().manual_seed(1))
    snapshot = Snapshot.of(network, ("i1", "i2"), ("u1",), ("Drama",))
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


def scored(client, **arms):
    """Write figures as the scorekeeper does: for each arm users, tests and hits, the interval 0.02 to each side."""
    rows = [
        {
            "experiment": name,
            "arm": arm,
            "users": users,
            "tests": tests,
            "hits": hits,
            "hit_rate": hits / tests,
            "low": hits / tests - 0.02,
            "high": hits / tests + 0.02,
        }
        for (name, arm), (users, tests, hits) in ((key.split("_"), figures) for key, figures in arms.items())
    ]
    client.set("quality:live", json.dumps({"at_ms": 1_700_000_000_000, "arms": rows}))


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


def test_status_says_what_is_missing(invoke, client):
    """No experiment, no scorekeeper, no test, one arm only: each is said in words."""
    assert invoke("status").stdout == "no experiment runs\n"
    assert json.loads(invoke("status", "--json").stdout) == {"experiment": None}
    invoke("start", "depth", "--b-explore", "1")
    assert "no scorekeeper has written any" in invoke("status").stdout
    assert json.loads(invoke("status", "--json").stdout)["at_ms"] is None
    scored(client, other_a=(100, 1000, 100), other_b=(100, 1000, 100))
    assert "no list of this experiment has been tested yet" in invoke("status").stdout
    scored(client, depth_a=(100, 1000, 100))
    assert "only lists of arm a have been tested yet" in invoke("status").stdout


def test_status_shows_both_arms_and_the_difference(invoke, client):
    """0.14 - 0.10 with 0.02 to each side reaches sqrt(0.02**2 + 0.02**2) = 0.0283: from 0.0117 to 0.0683, off 0."""
    invoke("start", "depth", "--b-explore", "1")
    scored(client, depth_b=(1200, 10_000, 1400), depth_a=(1100, 10_000, 1000), other_a=(9, 90, 9))
    text = invoke("status").stdout
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["arm", "a", "b"]
    assert text.splitlines()[2].split()[-7:] == ["1,100", "10,000", "1,000", "0.1000", "0.0800", "to", "0.1200"]
    assert "difference b - a: +0.0400 (+0.0117 to +0.0683)" in text
    assert "arm b is better" in text
    assert "figures of 2023-11-14 22:13:20 UTC" in text
    found = json.loads(invoke("status", "--json").stdout)
    assert [row["arm"] for row in found["arms"]] == ["a", "b"]
    assert found["comparison"]["low"] == pytest.approx(0.04 - 0.02 * sqrt(2))


def row(rate, reach, users=1000):
    """Return an arm's figures; None for reach where there is no interval."""
    low, high = (None, None) if reach is None else (max(0.0, rate - reach), min(1.0, rate + reach))
    return {"users": users, "hit_rate": rate, "low": low, "high": high}


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (row(0.10, 0.02), row(0.14, 0.02), "arm b is better"),  # 0.04 > 0.0283
        (row(0.14, 0.02), row(0.10, 0.02), "arm a is better"),
        (row(0.10, 0.03), row(0.14, 0.03), "not distinguishable"),  # 0.04 < 0.0424
        (row(0.10, 0.0), row(0.10, 0.0), "not distinguishable"),
        (row(0.0, 0.0), row(0.5, 0.1, users=29), "too few users to tell: 29"),
        (row(0.1, 0.02), row(0.5, None), "too few users to tell"),
    ],
)
def test_a_difference_is_told_from_chance_by_its_interval(a, b, verdict):
    """Off 0 names the better arm; holding 0, or with too few users for an interval, no arm is named."""
    assert compare({"a": a, "b": b}).verdict.startswith(verdict)


def test_an_interval_that_is_cut_off_at_nought_counts_in_full():
    """0.01 with 0.02 to each side is written as 0 to 0.03: its reach is still 0.02, that of the difference 0.0283."""
    found = compare({"a": row(0.01, 0.02), "b": row(0.02, 0.02)})
    assert found.high - found.low == pytest.approx(2 * 0.02 * sqrt(2))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Of 2,000 comparisons with a true difference of 0.02, 95 % cover it, within four deviations of 0.5 %."""
    rng = np.random.default_rng(1)
    n, rates = 4000, (0.10, 0.12)
    covered = 0
    for _ in range(2000):
        found = rng.binomial(n, rates) / n
        a, b = (row(rate, 1.96 * sqrt(rate * (1 - rate) / n)) for rate in found)
        compared = compare({"a": a, "b": b})
        covered += compared.low <= 0.02 <= compared.high
    assert covered / 2000 == pytest.approx(0.95, abs=4 * sqrt(0.95 * 0.05 / 2000))


def test_stop_ends_it_and_shows_the_last_figures(invoke, client):
    """The key is gone, the figures are printed once more, and a second stop says that there is nothing to end."""
    invoke("start", "depth", "--b-explore", "1")
    scored(client, depth_a=(1100, 10_000, 1000), depth_b=(1200, 10_000, 1400))
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
