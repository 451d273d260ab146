import json

import pytest
from click.testing import CliRunner

from commands.train import train
from streams.registry import Registry


@pytest.fixture
def log(tmp_path):
    """Return a MovieLens folder in which twelve users rate ten films, one a minute."""
    lines = [f"{user},{item},4.0,{60 * (item * 12 + user)}" for item in range(10) for user in range(12)]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    films = [f"{item},Film {item} (1999),Drama" for item in range(10)]
    (tmp_path / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    return tmp_path


def test_training_stores_a_version_that_can_be_loaded(log, tmp_path):
    """The version named on stdout holds the log's films, and its figures are those printed."""
    out = str(tmp_path / "registry")
    result = CliRunner().invoke(train, [str(log), "--out", out, "--epochs", "1", "--quiet", "--json"])
    report = json.loads(result.stdout)
    snapshot, version = Registry(out).load(report["version"])
    assert set(snapshot.items) == {str(item) for item in range(10)}
    assert version.metrics["hr@10"] == report["metrics"]["hr@10"]
    assert report["events"] == 108  # 120 less the newest tenth, which is held out
