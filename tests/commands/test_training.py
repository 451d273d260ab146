import json

import pytest
from click.testing import CliRunner

from commands.evaluate import evaluate
from commands.train import train
from streams.registry import Registry

FIGURES = {"hr@10", "ndcg@10"}


@pytest.fixture
def split(tmp_path):
    """Return a folder with a split of three users who go through items 0 to 9, and 99 negatives each."""
    events = [f"{user}\t{item}\t4\t{1000 * item}\n" for user in range(3) for item in range(10)]
    others = "\t".join(str(item) for item in range(20, 119))
    (tmp_path / "x.train.rating").write_text("".join(events))
    (tmp_path / "x.test.rating").write_text("".join(f"{user}\t10\t4\t99000\n" for user in range(3)))
    (tmp_path / "x.test.negative").write_text("".join(f"({user},10)\t{others}\n" for user in range(3)))
    return tmp_path


@pytest.fixture
def log(tmp_path):
    """Return a MovieLens folder in which twelve users rate ten films, one a minute."""
    lines = [f"{user},{item},4.0,{60 * (item * 12 + user)}" for item in range(10) for user in range(12)]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    films = [f"{item},Film {item} (1999),Drama" for item in range(10)]
    (tmp_path / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    return tmp_path


@pytest.mark.parametrize("options", [[], ["--validate"]])
def test_an_evaluation_is_one_object_on_stdout(split, options):
    """Figures, popularity, and what they were computed from are there, with or without --validate."""
    result = CliRunner().invoke(evaluate, ["ncf", str(split), "--epochs", "1", "--quiet", "--json", *options])
    report = json.loads(result.stdout)
    assert set(report["metrics"]) == set(report["popularity"]) == FIGURES
    assert report["events"] == 30 - 3 * len(options)
    assert (report["users"], report["epochs"], report["seed"]) == (3, 1, 0)
    assert len(report["data"]["sha256"]) == 64


def test_an_evaluation_prints_popularity_beside_its_own(split):
    """The text names both, on lines of their own."""
    text = CliRunner().invoke(evaluate, ["ncf", str(split), "--epochs", "1", "--quiet"]).stdout
    assert [line.split()[0] for line in text.splitlines()[:2]] == ["Reelstream", "popularity"]


def test_training_stores_a_version_that_can_be_loaded(log, tmp_path):
    """The version named on stdout holds the log's films, and its figures are those printed."""
    out = str(tmp_path / "registry")
    result = CliRunner().invoke(train, [str(log), "--out", out, "--epochs", "1", "--quiet", "--json"])
    report = json.loads(result.stdout)
    snapshot, version = Registry(out).load(report["version"])
    assert set(snapshot.items) == {str(item) for item in range(10)}
    assert version.metrics["hr@10"] == report["metrics"]["hr@10"]
    assert report["events"] == 108  # 120 less the newest tenth, which is held out
