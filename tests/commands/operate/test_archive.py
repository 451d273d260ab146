"""``reelstream archive`` on files, and what ``train`` and ``archiver`` refuse; with Kafka they are in tests/broker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from commands.operate.archive import archive
from commands.run.archiver import archiver
from commands.study.train import train
from streams.archive.parquet import EventArchive, Scan, to_rows
from streams.errors import DataError
from streams.records.records import Origin, Watch

EVENTS = "watch-events, rate-events, action-events"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return an archive with ten events of one partition in two files, named by the variable; no Kafka is given."""
    monkeypatch.setenv("REELSTREAM_ARCHIVE", str(tmp_path))
    monkeypatch.delenv("REELSTREAM_KAFKA", raising=False)
    store = EventArchive(str(tmp_path))
    for first in (0, 5):
        events = [
            (Origin("watch-events", 3, at, 1), Watch(f"e{at}", "u", "i", at, 1.0)) for at in range(first, first + 5)
        ]
        store.write(Scan("watch-events", 3, first, first + 4, "2023-11-14", [to_rows(events)], 0, 0))
    return store


def invoke(command, *arguments):
    """Run a command in this process."""
    return CliRunner().invoke(command, arguments)


def test_list_tells_what_is_archived(store):
    """One line for each partition, and with --json one object."""
    assert invoke(archive, "list").output == "watch-events/3: offsets 0 to 9 in 2 files, 2023-11-14\n"
    found = json.loads(invoke(archive, "list", "--json").output)
    assert found["archive"] == store.url
    assert [(one["first"], one["next"], one["files"], one["gaps"]) for one in found["partitions"]] == [(0, 10, 2, [])]


def test_list_of_nothing(tmp_path):
    """An archive without a file is said to have no events, with status 0."""
    result = invoke(archive, "list", "--archive", str(tmp_path / "none"))
    assert (result.exit_code, result.output) == (0, f"no events of {EVENTS} in {tmp_path / 'none'}\n")


def test_files_of_another_installation_are_left_out(store):
    """The prefix says whose files are listed and verified; a torn one of others is theirs."""
    scan = Scan("shop-watch-events", 0, 7, 8, "2023-11-14", ())
    Path(store.write(scan).path).write_bytes(b"torn")
    assert invoke(archive, "list").output == "watch-events/3: offsets 0 to 9 in 2 files, 2023-11-14\n"
    listed = invoke(archive, "list", "--prefix", "shop-").output
    assert listed == "shop-watch-events/0: offsets 7 to 8 in 1 files, 2023-11-14\n"
    verified = {prefix: invoke(archive, "verify", "--prefix", prefix, "--json") for prefix in ("", "shop-")}
    assert [(one.exit_code, json.loads(one.output)["files"]) for one in verified.values()] == [(0, 2), (1, 1)]


def test_verify_without_kafka(store):
    """A whole archive is status 0; that it was not compared is said."""
    result = invoke(archive, "verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{store.url}: 2 files, 10 events",
        "0 bad records and 0 duplicates left out",
        "not compared with the topics",
        "whole",
    ]
    assert result.stderr == f"next: reelstream train --from-archive {store.url}\n"


def test_verify_finds_a_torn_file(store):
    """A torn file is status 1, with its name in the text and in the JSON."""
    path = Path(store.list()[0].path)
    path.write_bytes(path.read_bytes()[:-4])
    result = invoke(archive, "verify")
    assert result.exit_code == 1
    assert f"archive: {path} must be a whole file" in result.output
    assert result.output.endswith("not compared with the topics, as files are torn\nNOT whole\n")
    report = json.loads(invoke(archive, "verify", "--json").output)
    assert (report["whole"], report["events"], [one["file"] for one in report["torn"]]) == (False, 5, [str(path)])


def test_verify_finds_a_gap(store):
    """Offsets between two files that no file has are status 1."""
    store.write(Scan("watch-events", 3, 12, 13, "2023-11-14", ()))
    result = invoke(archive, "verify")
    assert result.exit_code == 1
    assert "watch-events/3: offsets 10 to 11 are in no file" in result.output.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give either DATASET or --from-archive URL"),
        (("ml-100k", "--from-archive", "x"), "give either DATASET or --from-archive URL"),
        (("ml-100k", "--prefix", "x-"), "go with --from-archive"),
    ],
)
def test_train_takes_one_source(arguments, words):
    """A log or an archive, and the archive's options only with it: anything else is wrong usage, status 2."""
    result = invoke(train, *arguments)
    assert (result.exit_code, words in result.output) == (2, True)


def test_train_needs_a_catalogue(store):
    """Without Kafka the one line names the way without it, with status 1."""
    train_it = ("-m", "reelstream", "train", "--from-archive", store.url, "--kafka", "127.0.0.1:1")
    done = subprocess.run([sys.executable, *train_it], capture_output=True, text=True, timeout=120)  # noqa: PLW1510 - asserted
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("reelstream: topics: a Kafka cluster is required at 127.0.0.1:1")
    assert line.endswith("or take the items from a recorded log with --catalogue")


def test_train_with_a_recorded_catalogue_asks_no_kafka(store, tmp_path):
    """With the items of a recorded log nothing is asked of Kafka, and what is archived is looked at."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,4.0,60\n")
    result = invoke(train, "--from-archive", f"{store.url}/none", "--catalogue", str(tmp_path / "log"), "--quiet")
    assert isinstance(result.exception, DataError)
    assert f"{store.url}/none must hold events" in str(result.exception)


def test_an_unknown_store_is_refused():
    """A URL that no driver knows is the error that the command line prints in one line."""
    result = invoke(archive, "list", "--archive", "nix://x")
    assert isinstance(result.exception, DataError)


def test_the_archiver_refuses_sizes_below_one():
    """No file can be due after no record: wrong usage, status 2."""
    assert invoke(archiver, "--every-events", "0").exit_code == 2
