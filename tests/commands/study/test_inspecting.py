import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from commands.parts.log_options import LOG_OPTION_NAMES, as_words
from reelstream import cli
from replay.datasets.options import LogOptions

CASES = Path(__file__).parents[2] / "cases" / "readers"


def inspect(*words):
    """Run ``data inspect`` and return its exit status and what it printed."""
    result = CliRunner().invoke(cli, ["data", "inspect", *map(str, words)])
    return result.exit_code, result.stdout


def test_a_log_is_told():
    """Columns and parts, those that are passed over, rows, times, repeated rows, and the command that reads it."""
    status, told = inspect(CASES / "kuairec.csv", "--json")
    found = json.loads(told)
    assert status == 0
    assert found["parts"] == {"user": "user_id", "item": "video_id", "time": "timestamp", "weight": "watch_ratio"}
    assert found["passed_over"] == ["play_duration", "video_duration", "time", "date"]
    assert found["first_rows"][0]["watch_ratio"] == "0.722103"
    assert (found["events"], found["users"], found["items"], found["ties"], found["duplicates"]) == (4, 2, 2, 2, 1)
    assert (found["first"], found["time_unit"]) == ("2020-07-04T21:27:48.378Z", "seconds")
    assert found["command"] == f"reelstream train {CASES / 'kuairec.csv'}"
    assert inspect(CASES / "kuairec.csv")[1].endswith(f"read it with: {found['command']}\n")


def test_a_log_that_cannot_be_read_is_told_with_the_cure():
    """Exit status 1; the reason, and the options with which most of it is read."""
    status, told = inspect(CASES / "mixed_units.csv", "--json")
    found = json.loads(told)
    assert status == 1
    assert "milliseconds in row 2" in found["error"]
    assert found["command"].endswith("mixed_units.csv --time-unit seconds --skip-bad")
    status, told = inspect(CASES / "amazon2023.csv")
    assert status == 1
    assert "left out: 1 rows, time before 1970" in told
    assert inspect(CASES / "amazon2023.csv", "--skip-bad")[0] == 0


@pytest.mark.parametrize(
    ("ratings", "options"),
    [
        ([80, 20, 5], " --scale 0..100"),
        ([0, 3, 7, 10], " --scale 0..10"),
        ([7.5, 8, 2], " --scale 0..10"),
        ([0, 3, 5], " --scale 0..5"),
        ([4] * 40 + [10], " --skip-bad"),
        ([0, 8] * 20 + [50], " --scale 0..10 --skip-bad"),
        (["7.5", 8, "x"], " --scale 0..10 --skip-bad"),
    ],
)
def test_another_scale_is_named(tmp_path, ratings, options):
    """The one that keeps most; a few ratings alone are left out, as a scale for them would make all others smaller."""
    rows = [f"u{row},x{row},{rating},{1_700_000_000 + row}" for row, rating in enumerate(ratings)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,rating,timestamp", *rows, ""]))
    status, told = inspect(tmp_path / "log.csv", "--json")
    assert (status, json.loads(told)["command"]) == (1, f"reelstream train {tmp_path / 'log.csv'}{options}")
    assert inspect(tmp_path / "log.csv", *options.split())[0] == 0


def test_a_table_of_items_that_cannot_be_read_is_told(tmp_path):
    """There is no command, as no option reads the log; a bad row of it is told among what looks suspicious."""
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,1147880044\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,One,more,Drama\n")
    status, told = inspect(tmp_path, "--json")
    found = json.loads(told)
    assert (status, found["command"]) == (1, None)
    assert "movies.csv line 2 must hold 3 fields" in found["error"]
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,One,more,Drama\n2,Two,Drama\n")
    status, told = inspect(tmp_path, "--json")
    assert status == 0
    assert any("movies.csv line 2 must hold 3 fields" in one for one in json.loads(told)["suspicious"])


def test_missing_columns_are_told(tmp_path):
    """There is no command then, and the columns are shown all the same."""
    (tmp_path / "log.csv").write_text("user,thing\na,b\n")
    status, told = inspect(tmp_path / "log.csv", "--json")
    assert (status, json.loads(told)["command"]) == (1, None)
    assert inspect(tmp_path / "log.csv", "--item", "thing", "--time", "none")[0] == 0


@pytest.mark.parametrize("name", ["yambda.parquet", "amazon2023.jsonl", "imdb", "netflix", "movietweetings"])
def test_every_form_is_shown(name):
    """Parquet, lines of JSON, a folder, and files without a header."""
    assert inspect(CASES / name)[0] == 0


def test_options_are_written_as_they_are_read():
    """What `inspect` prints can be given back."""
    said = LogOptions(user="who", scale=(1.0, 10.0), sep="tab", no_header=True, columns=("a", "b"), user_id="me")
    words = as_words(said)
    assert words == [
        *("--user", "who", "--scale", "1..10", "--sep", "tab", "--no-header", "--columns", "a,b", "--user-id", "me")
    ]


@pytest.mark.parametrize("command", [["replay"], ["train"], ["prequential"], ["tune-threshold"], ["eval", "full"]])
def test_commands_have_the_same_options(command):
    """Each of the group is in the help of every command that reads a log."""
    names = [f"--{name.replace('_', '-')}" for name in LOG_OPTION_NAMES]
    told = CliRunner().invoke(cli, [*command, "--help"]).output
    assert [name for name in names if name not in told] == []
