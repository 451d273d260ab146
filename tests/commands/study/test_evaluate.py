import json
import sys

import pytest
from click.testing import CliRunner

import replay.evaluation.baselines
import replay.evaluation.split
from commands.study.evaluate import evaluate
from streams.errors import SettingsError

FIGURES = {"hr@10", "ndcg@10", "recall@10", "precision@10", "coverage@10", "novelty@10", "diversity@10"}
ERRORS = {f"{name}_error" for name in FIGURES - {"diversity@10"}}  # of items without genres
FAST = ("--epochs", "1", "--quiet")


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
    """Return a MovieLens folder in which 6 users walk through 110 films, each 8 steps from their own number on."""
    lines = [f"{user},{user + step},4.0,{60 * step}" for user in range(6) for step in range(8)]
    lines += [f"9,{item},4.0,{60 * item}" for item in range(110)]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    return tmp_path


def evaluated(*arguments):
    """Return what an evaluation prints as JSON."""
    result = CliRunner().invoke(evaluate, [*map(str, arguments), "--json", "--quiet"], catch_exceptions=False)
    return json.loads(result.stdout)


@pytest.mark.parametrize("options", [[], ["--validate"]])
def test_an_evaluation_is_one_object_on_stdout(split, options):
    """Figures, popularity, and what they were computed from are there, with or without --validate."""
    report = evaluated("ncf", split, "--epochs", 1, "--baselines", "none", *options)
    assert set(report["metrics"]) == set(report["popularity"]) == FIGURES
    assert set(report["models"]) == {"Reelstream", "popularity"}
    assert report["events"] == 30 - 3 * len(options)
    assert (report["users"], report["epochs"], report["seed"]) == (3, 1, 0)
    assert len(report["data"]["sha256"]) == 64


def test_one_run_gives_both_protocols(split):
    """Nobody touched item 10 nor the negatives: it ties with 99 and ranks 50.5, and in full with 108 and ranks 55."""
    report = evaluated("ncf", split, "--only-baselines", "--baselines", "none", "--k", 51)
    model = report["models"]["popularity"]
    assert (model["sampled"]["hr@51"], model["full"]["hr@51"]) == (1.0, 0.0)
    assert report["popularity"]["precision@51"] == pytest.approx(1 / 51)
    assert report["popularity_ties_won"]["ndcg@51"] == 1.0
    assert report["metrics"] is None


def test_the_text_names_every_method_on_a_line_of_its_own(split):
    """Ours comes first in both tables, and what must be known stands below them."""
    text = CliRunner().invoke(evaluate, ["ncf", str(split), "--baselines", "svd", *FAST]).stdout
    firsts = [line.split()[0] for line in text.splitlines() if line]
    assert firsts[2:6] == ["Reelstream", "popularity", "ties", "svd"]
    assert firsts[7:10] == ["Reelstream", "popularity", "svd"]
    assert "better + equal / 2" in text
    assert "share a second" in text


def test_several_seeds_give_means_and_errors_of_what_is_random(split):
    """Two runs of ours have standard errors, and popularity, which no chance can move, is run once."""
    report = evaluated("ncf", split, "--epochs", 1, "--baselines", "none", "--seeds", 2)
    assert set(report["metrics"]) == FIGURES | ERRORS
    assert (report["models"]["Reelstream"]["runs"], report["models"]["popularity"]["runs"]) == (2, 1)
    assert set(report["popularity"]) == FIGURES


def test_any_log_can_be_split(log):
    """Seven users leave 48 + 110 - 7 training events; one has touched all films, so no 99 unseen ones can be drawn."""
    report = evaluated("full", log, "--only-baselines", "--baselines", "none")
    assert (report["users"], report["items"], report["events"]) == (7, 110, 151)
    assert report["models"]["popularity"]["sampled"] is None
    with pytest.raises(Exception, match="eval full"):
        evaluated("leave-one-out", log, "--only-baselines")


def test_a_sample_of_the_users_is_tested_and_told(log):
    """Three of seven are tested, on the same training events, and the same seed draws the same three."""
    options = ("full", log, "--only-baselines", "--baselines", "none", "--test-users", 3)
    report = evaluated(*options)
    assert (report["users"], report["users_sampled_of"], report["events"]) == (3, 7, 151)
    assert {**report, "seconds": 0, "models": 0} == {**evaluated(*options), "seconds": 0, "models": 0}
    text = CliRunner().invoke(evaluate, [*map(str, options), "--quiet"], catch_exceptions=False).stdout
    assert "3 users tested of 7, drawn at random" in text


def test_full_knows_an_ncf_split_by_its_files(split):
    """The same folder is read as `eval ncf` reads it: its three test rows are held out, not a rating's last."""
    report = evaluated("full", split, "--only-baselines", "--baselines", "none")
    assert (report["users"], report["events"]) == (3, 30)
    assert report["models"]["popularity"]["metrics"]["hr@10"] == report["models"]["popularity"]["full"]["hr@10"]


def test_a_picture_is_drawn(split, tmp_path):
    """The file that --plot names is a PNG."""
    picture = tmp_path / "quality.png"
    evaluated("ncf", split, "--only-baselines", "--baselines", "none", "--plot", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_nowhere_is_refused_before_the_training(split, tmp_path):
    """The message names the file, and nothing has been trained: a billion epochs would not end."""
    with pytest.raises(SettingsError, match="folder that exists"):
        evaluated("ncf", split, "--epochs", 10**9, "--plot", tmp_path / "nowhere" / "quality.png")


def test_re_ranked_lists_stand_beside_those_by_score(tmp_path):
    """Films are of two genres: with a weight the re-ranked lists are more diverse, and ours stay as they were."""
    lines = [f"{user},{user + step},4.0,{60 * step}" for user in range(20) for step in range(8)]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    films = [f"{item},Film {item} (1990),{'War' if item % 3 else 'Drama'}" for item in range(28)]
    (tmp_path / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    plain = evaluated("full", tmp_path, "--epochs", 1, "--baselines", "none")["models"]
    both = evaluated("full", tmp_path, "--epochs", 1, "--baselines", "none", "--mmr", 0.6)["models"]
    assert set(both) == {"Reelstream", "Reelstream, re-ranked", "popularity"}
    assert both["Reelstream"]["metrics"] == plain["Reelstream"]["metrics"]
    before, after = both["Reelstream"]["metrics"], both["Reelstream, re-ranked"]["metrics"]
    assert 0.0 < before["diversity@10"] < after["diversity@10"] < 1.0


def test_an_unknown_baseline_is_refused(split):
    """The message lists those that there are."""
    with pytest.raises(SettingsError, match=r"ease.*got 'bpr'"):
        evaluated("ncf", split, "--baselines", "bpr")


def without(monkeypatch, package, module):
    """Let the import of a package fail as where it is not installed, for a module that is imported anew."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, module, raising=False)


def test_a_missing_package_is_named_with_the_cure(split, monkeypatch):
    """Who asks for a baseline without its package gets one line that tells what to install."""
    without(monkeypatch, "sklearn", "replay.evaluation.baselines.svd")
    with pytest.raises(SettingsError, match=r"'sklearn', got none: pip install 'reelstream\[eval\]'"):
        evaluated("ncf", split, "--baselines", "svd")


def test_a_default_baseline_without_its_package_is_left_out(split, monkeypatch):
    """Who asks for none in particular gets the others, and a line on stderr."""
    without(monkeypatch, "implicit.cpu.als", "replay.evaluation.baselines.als")
    result = CliRunner().invoke(evaluate, ["ncf", str(split), "--only-baselines", "--json"])
    assert list(json.loads(result.stdout)["models"]) == [
        *("popularity", "item-knn", "co-occurrence", "ease", "svd", "nmf")
    ]
    assert "left out: eval: baseline als requires the package 'implicit'" in result.stderr


def test_default_baselines_that_weigh_all_pairs_of_many_items_are_left_out(split, monkeypatch):
    """Above the bound a line on stderr says what they would take; who names one gets it."""
    monkeypatch.setattr(replay.evaluation.baselines, "MAX_PAIRED_ITEMS", 50)
    monkeypatch.setattr("commands.study.evaluate.DEFAULT", ("popularity", "item-knn", "ease"))
    result = CliRunner().invoke(evaluate, ["ncf", str(split), "--only-baselines", "--json"])
    assert list(json.loads(result.stdout)["models"]) == ["popularity"]
    assert "left out: ease: weights of all pairs of 119 items take 0.0 GB and more" in result.stderr
    assert "ease" in evaluated("ncf", split, "--only-baselines", "--baselines", "ease")["models"]


def test_an_ablation_trains_without_each_part_it_is_asked_about(split):
    """The whole comes first and loses nothing; what a part is worth is the difference of the hit rates."""
    report = evaluated("ablation", split, "--epochs", 1, "--parts", "gmf,evidence")
    whole, *others = report["parts"]
    assert [one["without"] for one in report["parts"]] == ["all parts", "gmf", "evidence"]
    assert (whole["hit_rate_lost"], whole["ndcg_lost"], whole["error"]) == (0.0, 0.0, 0.0)
    assert all(one["hit_rate_lost"] == pytest.approx(whole["hit_rate"] - one["hit_rate"]) for one in others)


def test_an_ablation_tells_how_many_users_are_tested(log, monkeypatch):
    """Where they are a sample, of how many: in the title and in JSON."""
    arguments = ["ablation", str(log), "--full", "--parts", "history", *FAST]
    monkeypatch.setattr(replay.evaluation.split, "TESTED_USERS", 3)
    assert "event of 3 users of 7, drawn at random" in CliRunner().invoke(evaluate, arguments).stdout
    report = json.loads(CliRunner().invoke(evaluate, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert (report["users"], report["users_sampled_of"]) == (3, 7)


def test_an_ablation_of_an_unknown_part_is_refused(split):
    """The message lists the parts there are."""
    with pytest.raises(SettingsError, match="identity, history, gmf"):
        CliRunner().invoke(evaluate, ["ablation", str(split), "--parts", "luck"], catch_exceptions=False)


def test_an_ablation_is_a_line_for_each_part(split):
    """The table names protocol, parts and losses."""
    arguments = ["ablation", str(split), "--parts", "history", "--full", *FAST]
    lines = CliRunner().invoke(evaluate, arguments, catch_exceptions=False).stdout.splitlines()
    assert "all items not touched before" in lines[0]
    assert [line[:18].strip() for line in lines[2:]] == ["all parts", "without history"]


def test_what_is_ahead_of_ours_is_told_by_name(log):
    """The methods told as ahead over all users are those with the higher hit rate, in JSON and in the text."""
    arguments = ["full", str(log), *FAST, "--baselines", "co-occurrence", "--k", "1"]
    report = json.loads(CliRunner().invoke(evaluate, [*arguments, "--json"], catch_exceptions=False).stdout)
    rate = {name: model["metrics"]["hr@1"] for name, model in report["models"].items()}
    ahead = {name for name in rate if rate[name] > rate["Reelstream"]}
    assert {one["method"] for one in report["worse_than"] if one["among"] == "all"} == ahead
    text = CliRunner().invoke(evaluate, arguments, catch_exceptions=False).stdout
    told = [f"Reelstream is worse than {name}: HR@1 {rate['Reelstream']:.4f}" for name in ahead]
    assert all(line in text for line in told or ["Reelstream is behind none of popularity, co-occurrence."])
