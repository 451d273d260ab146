import json

import pytest
import torch
from click.testing import CliRunner

from commands.study.train import train
from model.training.checkpoint import Checkpoint
from streams.errors import DataError, RegistryError, SettingsError
from streams.registry.checkpoints import read_checkpoint, write_checkpoint
from streams.registry.registry import Registry


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


def trained(log, tmp_path, *options):
    """Return what a training of two epochs prints as JSON."""
    arguments = [str(log), "--out", str(tmp_path / "registry"), "--epochs", "2", "--quiet", "--json", *options]
    return json.loads(CliRunner().invoke(train, arguments, catch_exceptions=False).stdout)


def test_patience_scores_each_epoch_on_the_latest_events(log, tmp_path):
    """Two epochs have two scores; without --patience nothing is held out and there are none."""
    assert len(trained(log, tmp_path, "--patience", "2")["scores"]) == 2
    assert trained(log, tmp_path, "--restarts", "1")["scores"] == []


def test_an_interrupted_training_goes_on_from_its_checkpoint(log, tmp_path, monkeypatch):
    """Ended after its first epoch, the same command finishes with the figures of a training in one piece."""
    whole = trained(log, tmp_path)

    def write_and_end(path, checkpoint):
        write_checkpoint(path, checkpoint)
        raise RuntimeError("the power went")

    kept = tmp_path / "kept"
    monkeypatch.setattr("streams.registry.checkpoints.write_checkpoint", write_and_end)
    with pytest.raises(RuntimeError, match="power"):
        trained(log, tmp_path, "--checkpoint", str(kept))
    monkeypatch.undo()
    assert read_checkpoint(kept).state["epochs"] == 1
    parted = trained(log, tmp_path, "--checkpoint", str(kept))
    assert (parted["metrics"], parted["epochs"]) == (whole["metrics"], 2)
    assert not kept.exists()


def test_a_checkpoint_of_another_training_is_left_alone(log, tmp_path):
    """It is refused by name, with both trainings in the message, and stays where it is."""
    kept = tmp_path / "kept"
    write_checkpoint(kept, Checkpoint({}, {"about": {"events": 7}}))
    with pytest.raises(DataError, match="'events': 7"):
        trained(log, tmp_path, "--checkpoint", str(kept))
    assert kept.exists()


def test_a_gpu_that_is_not_there_is_refused(log, tmp_path):
    """The message says what to do instead."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU: nothing to refuse")
    with pytest.raises(SettingsError, match="--device cpu"):
        trained(log, tmp_path, "--device", "cuda")


@pytest.mark.parametrize(
    "options", [["--backend", "numpy"], ["--plain", "--patience", "2"], ["--plain", "--device", "cuda"]]
)
def test_options_that_do_not_go_together_are_refused(log, options):
    """The paper's model takes none of ours, and ours no backend."""
    result = CliRunner().invoke(train, [str(log), *options])
    assert result.exit_code == 2
    assert "--plain" in result.stderr


def test_a_registry_that_cannot_be_written_is_told_before_training(log, tmp_path):
    """A registry below a file cannot be; nothing was trained, so no checkpoint was written."""
    (tmp_path / "file").write_text("")
    arguments = [
        str(log),
        "--out",
        str(tmp_path / "file" / "registry"),
        "--checkpoint",
        str(tmp_path / "kept"),
        "--quiet",
    ]
    with pytest.raises(RegistryError, match="must be writable"):
        CliRunner().invoke(train, arguments, catch_exceptions=False)
    assert not (tmp_path / "kept").exists()
    assert trained(log, tmp_path)["version"] in {path.name for path in (tmp_path / "registry").iterdir()}
    assert not list((tmp_path / "registry").glob(".writable*"))


def test_a_training_says_how_the_version_did_beside_simple_methods(log, tmp_path):
    """All rate films 0 to 9 in turn, and only film 9 is left to list: everybody hits it, and nobody is behind."""
    report = trained(log, tmp_path)
    assert report["simple"] == {"users": 6, "ours": 1.0, "popularity": 1.0, "item-knn": 1.0, "co-occurrence": 1.0}
    assert report["worse_than"] == []
    assert report["verdict"] == f"{report['version']} is behind none of popularity, item-knn, co-occurrence."
    assert Registry(str(tmp_path / "registry")).load(report["version"])[1].metrics["lead_over_simple"] == 0.0
