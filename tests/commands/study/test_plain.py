"""``reelstream train --plain``: figures on stdout, weights in a file that any backend may have written."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from commands.study.plain import train_plain
from model.plain.network import PlainNeuMF

USERS, ITEMS = 24, 120


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Return a MovieLens folder: half the users rate 14 of 60 films, the other half 14 of another 60."""
    folder = tmp_path_factory.mktemp("log")
    generator = np.random.default_rng(0)
    lines = []
    for user in range(USERS):
        rated = 60 * (user % 2) + generator.choice(60, 14, replace=False)
        lines += [f"{user},{item},4.0,{60 * at}" for at, item in enumerate(rated.tolist())]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    films = [f"{item},Film {item} (1999),Drama" for item in range(ITEMS)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    return folder


def trained(log, capsys, **options):
    """Train on the log, quietly, and return the report."""
    given = {"backend": "torch", "epochs": 6, "seed": 0, "threads": 1, "out": None, "quiet": True, "as_json": True}
    train_plain(str(log), **given | options)
    return json.loads(capsys.readouterr().out)


def test_a_report_says_what_was_done(log, capsys):
    """24 of 336 events are held out; 312 positives with 4 negatives each, 6 times, are 9,360 samples."""
    report = trained(log, capsys)
    assert (report["users"], report["events"], report["samples"], report["epochs"]) == (24, 312, 9360, 6)
    assert report["config"]["training"]["batch"] == 64  # 312 events in 120 steps would be 2, which is too few
    assert report["samples_per_s"] > 0
    assert set(report["metrics"]) == set(report["popularity"]) == {"hr@10", "ndcg@10"}
    assert len(report["data"]["sha256"]) == 64


def test_weights_load_into_the_network_whichever_backend_trained_them(log, capsys, tmp_path):
    """Both files make a PlainNeuMF; from equal seeds their scores differ by a thousandth of their spread at most."""
    reports, scores = [], []
    for backend in ("torch", "numpy"):
        out = tmp_path / "new" / f"{backend}.safetensors"
        reports.append(trained(log, capsys, backend=backend, epochs=40, out=out))
        network = PlainNeuMF.restore(load_file(out))
        scores.append(network.scores(torch.arange(USERS)))
    assert scores[0].std() > 1.0
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=1e-3)
    assert reports[0]["metrics"]["hr@10"] == pytest.approx(reports[1]["metrics"]["hr@10"], abs=0.05)


def test_a_file_says_whose_rows_it_holds(log, capsys, tmp_path):
    """Users and items stand in the file's metadata in the order of the rows."""
    out = tmp_path / "plain.safetensors"
    items = trained(log, capsys, epochs=1, out=out)["items"]
    with safe_open(out, "pt") as file:
        ids = {name: json.loads(text) for name, text in file.metadata().items()}
    assert sorted(ids["users"]) == sorted(str(user) for user in range(USERS))
    assert len(set(ids["items"])) == items <= ITEMS


def test_training_beats_popularity_where_tastes_differ(log, capsys):
    """Knowing the taste leaves about 46 of 100 candidates, so ten hold the item more often."""
    report = trained(log, capsys, epochs=80)
    assert report["metrics"]["hr@10"] > report["popularity"]["hr@10"]


def test_people_get_three_lines(log, capsys):
    """Figures beside popularity, sizes, and speed with where the weights are."""
    train_plain(str(log), backend="numpy", epochs=None, seed=0, threads=1, out=None, quiet=True, as_json=False)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("plain NeuMF (numpy): HR@10 0.")
    assert "popularity" in first
    assert second.startswith("24 users tested, ")
    assert third.endswith("weights in no file: name one with --out")
