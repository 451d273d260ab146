import json
import re
import time

import pytest
from click.testing import CliRunner

from commands.parts import log_options, prequential_options, telling
from commands.study.prequential import prequential
from commands.study.threshold import tune_threshold
from replay.datasets.readers import read_dataset
from replay.prequential import baseline_ranks
from replay.prequential.run import PrequentialRun
from streams.errors import DataError, SettingsError

FAST = ("--epochs", "1", "--every", "120", "--rivals", "popularity,isgd", "--quiet")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Return a MovieLens folder in which 30 users walk through 60 films, a film a minute."""
    folder = tmp_path_factory.mktemp("log")
    steps = [(step, user) for step in range(16) for user in range(30)]
    lines = [f"{user},{(2 * user + step) % 60},{3 + step % 3},{60 * (step * 30 + user)}" for step, user in steps]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    return folder


def run(*arguments):
    """Return what a run prints."""
    return CliRunner().invoke(prequential, [*map(str, arguments), *FAST], catch_exceptions=False).stdout


def test_a_run_is_one_object_and_a_page(log, tmp_path):
    """Figures of ours, of the frozen model and of the rivals, by every part; a page that stands alone."""
    report = json.loads(run(log, "--json", "--report", tmp_path / "page.html"))
    assert set(report["methods"]) == {"Reelstream", "frozen", "popularity", "isgd"}
    assert (report["events"], report["warm_up"], report["tests"]) == (480, 96, 384)
    for method in report["methods"].values():
        assert 0.0 <= method["ndcg@10"] <= method["hr@10"] <= 1.0
        assert method["liked_tests"] == 240  # steps 4 to 15 of 30 users, less the steps 6, 9, 12 and 15 of three stars
        assert 0.0 <= method["hr@10_liked"] <= 1.0
        assert method["low_among_hits"] == 0.0
        assert sum(part["tests"] for part in method["quarter"].values()) == 384
    assert report["methods"]["Reelstream"]["hr@10_liked"] > 0.0
    assert report["low_tests"] == 0.0
    assert [mark["events"] for mark in report["rounds"]] == [96, 216, 336, 456]
    assert isinstance(report["frozen_is_lower_in_every_quarter"], bool)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == page.count("</svg>") == 1
    assert page.count("<table>") == 6
    assert not any(outside in page for outside in ("src=", "<link", "@import"))


def test_a_log_is_told_how_far_it_is(log, monkeypatch):
    """That it is read, before the first test only events and rounds, then hit rates between them."""
    monkeypatch.setattr(telling, "LINE_S", 0.01)
    read = log_options.read_log

    def read_slowly(*log_of, **options):
        time.sleep(0.5)  # some lines long
        return read(*log_of, **options)

    monkeypatch.setattr(prequential_options, "read_log", read_slowly)
    options = [str(log), "--epochs", "1", "--every", "120", "--rivals", "none", "--no-frozen", "--json"]
    said = CliRunner().invoke(prequential, options, catch_exceptions=False).stderr
    assert said.startswith(f"reading {log}, 0 s\n")
    lines = [line for line in said.splitlines() if line.startswith("prequential: ")]
    rates = r"HR@10 [01]\.\d{3}, last 5,000 [01]\.\d{3}"
    assert all(re.fullmatch(rf"prequential: \d+ of 480 events, ({rates}, )?round \d, \d+ s", line) for line in lines)
    assert re.search(rates, lines[-1])


def test_tables_are_for_people(log, tmp_path):
    """Without --json there are tables and the notes below them; a picture is written."""
    text = run(log, "--no-frozen", "--report", tmp_path / "curves.png")
    assert "times popularity" in text
    assert "HR@10, 4 stars or more  below 3 stars among hits" in text
    assert "240 of the tests are of an item that was then rated with 4 stars" in text
    assert "HR@10 by past events" in text
    assert "rounds of learning" in text
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_log_without_ratings_has_no_stars(log, tmp_path):
    """Nothing is said of stars where no event was rated."""
    rows = [line.split(",") for line in (log / "ratings.csv").read_text().splitlines()[1:]]
    plays = tmp_path / "plays.csv"
    plays.write_text("\n".join(["user_id,item_id,timestamp", *(f"{user},{item},{ts}" for user, item, _, ts in rows)]))
    text = run(plays, "--no-frozen")
    assert "times popularity" in text
    assert "stars" not in text


def test_re_ranked_lists_stand_beside_those_by_score(log):
    """By score the figures are those of a run without re-ranking, and what changed is told with them."""
    plain, both = json.loads(run(log, "--json")), json.loads(run(log, "--json", "--mmr", "0.4"))
    assert plain["reranking"] is None
    assert {name: both["methods"][name] for name in plain["methods"]} == plain["methods"]
    before, after = both["methods"]["Reelstream"], both["methods"]["Reelstream, re-ranked"]
    assert both["reranking"]["hr@10_change"] == pytest.approx(after["hr@10"] / before["hr@10"] - 1.0)
    assert both["reranking"]["diversity@10_change"] is before["diversity@10"] is None  # the films have no genres
    assert 0.0 < before["coverage@10"] <= 1.0
    assert before["novelty@10"] > 0.0
    assert 0.0 < before["temporal_diversity@10"] <= 1.0
    assert "diversity@10" not in both["methods"]["popularity"]


def test_an_interrupted_command_goes_on(log, tmp_path, monkeypatch):
    """Ended in its second round, the same command prints what a run in one piece prints, and leaves no file."""
    kept = tmp_path / "kept"
    options = ("--mmr", "0.4", "--impression-discount", "0.3", "--json")
    whole = json.loads(run(log, *options))
    learn = PrequentialRun.round

    def learn_and_end(self, *arguments, **named):
        mark = learn(self, *arguments, **named)
        if len(self.marks) == 3:
            raise RuntimeError("the power went")
        return mark

    monkeypatch.setattr(PrequentialRun, "round", learn_and_end)
    with pytest.raises(RuntimeError, match="power"):
        run(log, *options, "--checkpoint", kept)
    monkeypatch.undo()
    assert kept.exists()
    again = json.loads(run(log, *options, "--checkpoint", kept))
    assert again["methods"] == whole["methods"]
    assert not kept.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--report", "page.pdf"], "ending in .html, .png or .svg"),
        (["--report", "nowhere/page.html"], "a folder that exists"),
        (["--rivals", "popularity,best"], "must be among popularity, .*, got best"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_run(log, options, said):
    """The message names what was required and what was got."""
    with pytest.raises(SettingsError, match=said):
        CliRunner().invoke(prequential, [str(log), "--quiet", *options], catch_exceptions=False)


def test_a_rival_of_all_pairs_is_left_out_of_a_large_catalogue(log, monkeypatch):
    """With one item more than may be paired the usual rivals are the others, and that is told; named, it is refused."""
    items = len(read_dataset(log).catalogue)
    monkeypatch.setattr(baseline_ranks, "MAX_ITEMS", items - 1)
    options = [str(log), "--epochs", "1", "--every", "120", "--limit", "300", "--no-frozen"]
    told = CliRunner().invoke(prequential, [*options, "--json"], catch_exceptions=False)
    assert f"left out: co-occurrence requires at most {items - 1:,} items, got {items:,}" in told.stderr
    assert set(json.loads(told.stdout)["methods"]) == {"Reelstream", "popularity", "decayed popularity", "isgd"}
    with pytest.raises(SettingsError, match="leave it out with --rivals"):
        CliRunner().invoke(prequential, [*options, "--rivals", "co-occurrence"], catch_exceptions=False)


def test_a_log_of_nothing_is_refused(log):
    """Two events are none to test."""
    with pytest.raises(DataError, match="2 events of"):
        CliRunner().invoke(prequential, [str(log), "--quiet", "--limit", "2"], catch_exceptions=False)


def test_a_threshold_is_proposed_from_two_passes(log, tmp_path):
    """Hit rates for each number of past events that was tested, a proposal among them, and a picture."""
    options = ["--epochs", "1", "--every", "200", "--quiet", "--most", "8", "--plot", str(tmp_path / "t.png")]
    result = CliRunner().invoke(tune_threshold, [str(log), *options, "--json"], catch_exceptions=False)
    report = json.loads(result.stdout)
    assert [one["past_events"] for one in report["by_past_events"]] == list(range(3, 9))
    assert sum(one["tests"] for one in report["by_past_events"]) == 30 * 6 - 6
    assert 3 <= report["proposal"]["low"] <= report["proposal"]["threshold"] <= report["proposal"]["high"] <= 9
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_a_version_says_that_nothing_was_served(log, tmp_path):
    """In a warm-up of one event a user there is nothing to predict: heading, table, note, page and JSON say so."""
    options = ["--warm-up", "0.05", "--quiet", "--rivals", "popularity", "--every", "10000"]
    arguments = [str(log), *options, "--report", str(tmp_path / "page.html")]
    text = CliRunner().invoke(prequential, arguments, catch_exceptions=False).stdout
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines()[2:7] if line}
    assert "no version served, all lists are cold start" in text.splitlines()[0]
    assert all(rows[name].count("none") == 1 for name in ("Reelstream", "frozen"))
    assert "Nothing was served: no round of 1 was promoted" in text
    assert "Nothing was served" in (tmp_path / "page.html").read_text()
    report = json.loads(CliRunner().invoke(prequential, [str(log), *options, "--json"], catch_exceptions=False).stdout)
    assert report["methods"]["Reelstream"]["tests_with_a_version"] == 0
    assert report["frozen_is_lower_in_every_quarter"] is None


def test_a_run_says_how_many_tests_had_a_version(log):
    """The first version is promoted on the warm-up, so all 384 tests had one, of ours and of the frozen model."""
    methods = json.loads(run(log, "--json"))["methods"]
    had = {name: method.get("tests_with_a_version") for name, method in methods.items()}
    assert had == {"Reelstream": 384, "frozen": 384, "popularity": None, "isgd": None}
    assert "384 of 384 tests had a version" in run(log)


def test_no_threshold_is_proposed_without_a_version(log):
    """Two passes of cold-start lists are equal and speak for no threshold: the message says what became of rounds."""
    options = ["--warm-up", "0.05", "--quiet", "--every", "10000"]
    with pytest.raises(DataError, match=r"got none in 1 rounds \(failed after 24 events\)"):
        CliRunner().invoke(tune_threshold, [str(log), *options], catch_exceptions=False)
