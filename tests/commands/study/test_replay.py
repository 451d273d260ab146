import json
import os
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource

from commands.study.data import data
from commands.study.replay import replay
from replay.live import ConsumerLag
from streams.errors import DataError, SettingsError, StreamError, TopicError
from streams.kafka.topics import create_topics
from streams.settings import Settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def recorded(tmp_path):
    """Write a log of 300 ratings, one each second of 2001-01-01 from midnight (UTC)."""
    start = 978_307_200  # 2001-01-01T00:00:00Z
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "u.data").write_text("".join(f"{i % 9}\t{i % 5}\t4\t{start + i}\n" for i in range(300)))
    return folder


def run(*arguments, **environment):
    """Run a command of this checkout in a process of its own."""
    return subprocess.run(
        [sys.executable, ROOT / "reelstream.py", *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(*arguments):
    """Return what the replay command raises in this process."""
    return CliRunner().invoke(replay, [str(argument) for argument in arguments]).exception


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ([], r"[]"),
        (["--rate", "5", "--max-speed"], "['--rate', '--max-speed']"),
        (["--speed", "2x", "--rate", "5"], "['--speed', '--rate']"),
    ],
)
def test_exactly_one_pace_is_asked_for(recorded, options, got):
    """None or two of the three options are refused by name."""
    error = refused(recorded, *options)
    assert isinstance(error, SettingsError)
    assert str(error) == f"replay: exactly one of --speed, --rate and --max-speed is required, got {got}"


@pytest.mark.parametrize("options", [[], ["--max-speed", "--late", "2"]])
def test_the_log_is_looked_for_before_all_else(tmp_path, options):
    """Of a log that is not there, and options that cannot be, the log is told."""
    error = refused(tmp_path / "nope", *options)
    assert str(error) == f"data: a folder or file is required at {tmp_path / 'nope'}, got nothing there"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--speed", "fast"], "a factor such as 50000x is required, got 'fast'"),
        (["--max-speed", "--from", "yesterday"], "an ISO date or time such as 1998-01-31 is required"),
        (["--max-speed", "--events", "none"], "'none' is not one of"),
    ],
)
def test_options_that_cannot_be_read_are_usage_errors(recorded, options, message):
    """The command ends with 2 and says what is required."""
    result = CliRunner().invoke(replay, [str(recorded), *options])
    assert result.exit_code == 2
    assert message in result.output


def test_shares_are_checked_before_anything_is_sent(recorded):
    """A share of 2 is refused without a cluster."""
    error = refused(recorded, "--max-speed", "--late", "2", "--kafka", "127.0.0.1:9")
    assert isinstance(error, SettingsError)


def test_missing_topics_name_the_command_that_makes_them(stack, topic_prefix, recorded):
    """Nothing is created here."""
    error = refused(recorded, "--max-speed", "--kafka", stack.kafka, "--prefix", topic_prefix)
    assert isinstance(error, TopicError)
    assert "reelstream topics create" in str(error)


def test_a_replay_reports_one_json_object(stack, topic_prefix, recorded):
    """From second 100 up to second 200 are 100 rows; as watch and rating 200 deliveries, after 5 items."""
    create_topics(Settings(stack.kafka, stack.redis, "models", prefix=topic_prefix))
    done = run(
        "replay",
        recorded,
        *("--speed", "1000x", "--events", "both", "--json"),
        *("--from", "2001-01-01T00:01:40", "--to", "2001-01-01T01:03:20+01:00"),
        REELSTREAM_KAFKA=stack.kafka,
        REELSTREAM_PREFIX=topic_prefix,
    )
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    # the last row is due (199 - 100) s / 1000 = 0.099 s after the first
    assert facts.pop("seconds") >= 0.097
    assert facts.pop("rate") > 0
    assert facts == {
        "items": 5,
        "hints": 0,
        "sent": 200,
        "duplicates": 0,
        "late": 0,
        "errors": 0,
        "not_taken": [],
        "interrupted": False,
        "topics": {"watch-events": 100, "rate-events": 100},
    }


def test_a_replay_reports_one_line(stack, topic_prefix, recorded):
    """Without --json a sentence tells the same."""
    create_topics(Settings(stack.kafka, stack.redis, "models", prefix=topic_prefix))
    options = ["--max-speed", "--limit", "7", "--kafka", stack.kafka, "--prefix", topic_prefix]
    result = CliRunner().invoke(replay, [str(recorded), *options])
    assert result.exit_code == 0
    assert result.output.startswith("sent 5 items, hints of 0 users and 7 events (0 duplicates, 0 late) in ")


def test_the_user_that_is_proposed_was_sent(stack, topic_prefix, recorded):
    """Second 4 is an event of user 4, the first of those that were asked for."""
    create_topics(Settings(stack.kafka, stack.redis, "models", prefix=topic_prefix))
    options = ["--max-speed", "--from", "2001-01-01T00:00:04", "--kafka", stack.kafka, "--prefix", topic_prefix]
    result = CliRunner().invoke(replay, [str(recorded), *options])
    assert "next: reelstream recommend 4 " in result.output


def test_refused_records_are_named_and_the_rest_is_sent(stack, topic_prefix, tmp_path):
    """Of 40 ratings and 2 items the one event and the item with long ids are told; 39 and 1 arrive."""
    # A batch of one record is 61 bytes and the record, so 250 bytes are enough for any but those two; larger batches
    # are divided by the client.
    settings = Settings(stack.kafka, stack.redis, "models", prefix=topic_prefix)
    create_topics(settings)
    with closing(KafkaAdminClient(bootstrap_servers=stack.kafka)) as admin:
        for name in ("rate-events", "catalog-items"):
            admin.alter_configs([ConfigResource("topic", topic_prefix + name, {"max.message.bytes": "250"})])
    long = "x" * 64
    (tmp_path / "u.data").write_text(
        "".join(f"{long if i == 20 else i % 9}\t{long if i == 20 else 1}\t4\t{978_307_200 + i}\n" for i in range(40))
    )
    options = ["--max-speed", "--json", "--kafka", stack.kafka, "--prefix", topic_prefix]
    result = CliRunner().invoke(replay, [str(tmp_path), *options])
    assert isinstance(result.exception, StreamError)
    assert "got 2 refused: MessageSizeTooLargeError" in str(result.exception)
    facts = json.loads(result.stdout)
    assert (facts["items"], facts["sent"], facts["errors"]) == (1, 40, 2)
    item, event = facts["not_taken"]
    assert (item["topic"], item["id"]) == (topic_prefix + "catalog-items", long)
    assert (event["topic"], event["key"]) == (topic_prefix + "rate-events", long)
    arrived = ConsumerLag(settings, "nobody", ("rate-events", "catalog-items"))
    assert arrived.now() == 40  # 39 events and an item
    arrived.close()


def test_an_error_is_one_line_and_exit_status_one(tmp_path):
    """A release that nobody knows: the process says so in a line and ends with 1."""
    done = run("data", "get", "no-such-release", XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("reelstream: data: a release must be one of ml-100k")
    assert done.stderr.count("\n") == 1


def test_the_list_tells_what_is_kept(tmp_path, monkeypatch):
    """In an empty data folder every release is known and none is kept."""
    monkeypatch.setattr("replay.datasets.fetch.data_folder", lambda: tmp_path)
    rows = json.loads(CliRunner().invoke(data, ["list", "--json"]).output)
    assert [row["name"] for row in rows][:2] == ["ml-100k", "ml-1m"]
    assert {row["path"] for row in rows} == {None}
    assert "not fetched" in CliRunner().invoke(data, ["list"]).output


def test_a_kept_release_is_got_without_fetching(tmp_path, monkeypatch):
    """A zip in the data folder is answered from at once, with its counts."""
    monkeypatch.setattr("replay.datasets.fetch.data_folder", lambda: tmp_path)
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data" / "ml-latest-small.zip", "w") as archive:
        archive.writestr("x/ratings.csv", "userId,movieId,rating,timestamp\n1,2,3,4\n1,3,3,4\n")
    facts = json.loads(CliRunner().invoke(data, ["get", "ml-latest-small", "--json"]).output)
    assert (facts["users"], facts["items"], facts["ratings"], facts["format"]) == (1, 2, 2, "movielens-csv")
    result = CliRunner().invoke(data, ["get", "nothing"])
    assert isinstance(result.exception, DataError)
