"""One configuration file: what it may say, what wins over it, and what is told of it; no server is asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from commands.parts.configuration import configure
from reelstream import cli
from streams.config_file import CONFIG_VARIABLE, find_config, read_config
from streams.errors import SettingsError
from streams.setting_table import SETTINGS
from streams.settings import Settings

FILE = """
[kafka]
addresses = ["file-1:9092", "file-2:9092"]
compression = "zstd"
sasl_password = "secret-1"

[redis]
url = "redis://user:secret-2@file:6379/0"
allow_eviction = true

[topics]
partitions = 4

[wording]
key = "secret-3"

[trainer]
every-events = 500
log_level = "debug"
metrics_port = 9102

[eval.ncf]
epochs = 3
"""


def shown(*arguments, folder, **environment):
    """Run ``reelstream config show --json`` in a folder with these variables alone, and return what came of it."""
    done = subprocess.run(
        [sys.executable, "-m", "reelstream", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def root(tmp_path, text, monkeypatch):
    """Return the context of the command line after it has read a file with this text."""
    for one in SETTINGS:
        monkeypatch.setenv(one.variable, "")  # so that what the file sets is taken back afterwards
        monkeypatch.delenv(one.variable)
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    file = tmp_path / "own.toml"
    file.write_text(text, "utf-8")
    context = click.Context(cli, info_name="reelstream")
    configure(context, file)
    return context


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path):
    """``config show`` gives each value with where it is from, and no password."""
    (tmp_path / "reelstream.toml").write_text(FILE, "utf-8")
    status, out, _ = shown(
        *("config", "show", "--json", "--prefix", "flag-"),
        folder=tmp_path,
        REELSTREAM_KAFKA="variable:9092",
        REELSTREAM_PREFIX="variable-",
        REELSTREAM_KAFKA_COMPRESSION="",
        REELSTREAM_KAFKA_SECURITY_PROTOCOL="SASL_SSL",
        REELSTREAM_KAFKA_SASL_MECHANISM="PLAIN",
        REELSTREAM_KAFKA_SASL_USERNAME="ann",
    )
    assert status == 0
    report = json.loads(out)
    file = str(tmp_path / "reelstream.toml")
    assert report["file"] == file
    found = {row["name"]: (row["value"], row["origin"]) for row in report["settings"]}
    assert found["topics.prefix"] == ("flag-", "flag --prefix")
    assert found["kafka.addresses"] == ("variable:9092", "variable REELSTREAM_KAFKA")
    assert found["kafka.compression"] == ("none", "default")  # set to nothing: the file is not asked
    assert found["kafka.sasl_password"] == ("***", f"file {file}")
    assert found["redis.url"] == ("redis://user:***@file:6379/0", f"file {file}")
    assert found["redis.allow_eviction"] == ("1", f"file {file}")
    assert found["topics.partitions"] == ("4", f"file {file}")
    assert found["topics.replication"] == ("1", "default")
    assert found["trainer.every-events"] == ("500", f"file {file}")
    assert found["eval.ncf.epochs"] == ("3", f"file {file}")
    assert [word for word in ("secret-1", "secret-2", "secret-3") if word in out] == []


def test_what_cannot_be_used_is_told_with_its_place_in_the_file(tmp_path):
    """A refused value names its variable, and the file's table and key that it is from."""
    file = tmp_path / "other.toml"
    file.write_text("[topics]\npartitions = 5000\n", "utf-8")
    status, _, err = shown("--config", str(file), "config", "show", folder=tmp_path)
    assert status == 1
    assert err == (
        f"reelstream: settings: REELSTREAM_PARTITIONS must be 1 to 4096, got 5000 (from {file}, [topics] partitions)\n"
    )
    status, out, _ = shown("config", "show", folder=tmp_path)
    assert (status, out.splitlines()[0]) == (0, "file: none")


def test_a_broken_file_hides_no_help(tmp_path):
    """Help and completion need no file; what shows the settings shows what is wrong; all else says it and ends."""
    (tmp_path / "reelstream.toml").write_text("[kafak]\n", "utf-8")
    for words in (["worker", "--help"], ["model", "list", "-h"], ["completion", "bash"]):
        status, out, err = shown(*words, folder=tmp_path)
        assert (status, err) == (0, ""), words
        assert out
    status, out, err = shown("config", "show", "--json", folder=tmp_path)
    rows = {row["name"]: row["value"] for row in json.loads(out)["settings"]}
    assert status == 1
    assert "[kafak] is no table of settings" in rows["error"]
    assert rows["kafka.addresses"] == "127.0.0.1:9092"
    assert err == f"reelstream: {rows['error']}\n"
    status, out, err = shown("model", "list", folder=tmp_path)
    assert (status, out) == (1, "")
    assert "[kafak] is no table of settings" in err


def test_options_become_defaults_of_their_commands(tmp_path, monkeypatch):
    """A command takes its table's options, and one on the command line wins."""
    context = root(tmp_path, FILE, monkeypatch)
    command = cli.get_command(context, "trainer")
    with command.make_context("trainer", [], parent=context) as made:
        assert (made.params["every_events"], made.params["metrics_port"], made.params["seed"]) == (500, 9102, 0)
    with command.make_context("trainer", ["--every-events", "7"], parent=context) as made:
        assert made.params["every_events"] == 7
    assert os.environ["REELSTREAM_KAFKA"] == "file-1:9092,file-2:9092"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[kafak]", r"\[kafak\] is no table of settings and no command; did you mean kafka\?"),
        ("[kafka]\nadresses = 'x'", r"\[kafka\] has no key 'adresses'; did you mean addresses\?"),
        ("[topics]\npartitions = '4'", r"\[topics\] partitions must be a whole number, got a text"),
        ("[topics]\npartitions = true", r"\[topics\] partitions must be a whole number, got True"),
        ("[events]\nkeep_repeats = 1", r"\[events\] keep_repeats must be true or false, got 1"),
        ("[wording]\nkey = 1", r"\[wording\] key must be a text in quotes, got a value that is not shown"),
        ("kafka = 'x'", r"\[kafka\] must be a table with keys below it, got a text"),
        ("[trainer]\nevery_event = 5", r"\[trainer\] has no option 'every_event'; did you mean every_events\?"),
        ("[trainer]\nevery_events = 0", r"\[trainer\] every_events must be as its option requires, got 0: "),
        ("[worker]\nredis = 'x'", r"\[worker\] redis must stand once, for all commands: write it as url of \[redis\]"),
        ("[train]\nkeep_repeats = true", r"\[train\] keep_repeats must stand once, .* keep_repeats of \[events\]"),
        ("[metrics]\nport = 1\n[worker]\nmetrics-port = 2", r"metrics-port must stand once, .* port of \[metrics\]"),
        ("[eval.ncff]\nk = 1", r"\[eval\] has no command 'ncff'; did you mean ncf\?"),
        ("[eval]\nncf = 1", r"\[eval\] ncf must be a table \[eval.ncf\], got 1"),
        ("[kafka", r"--config must name a TOML file, got .*own.toml: Expected"),
    ],
)
def test_what_nobody_knows_is_refused_with_the_nearest_known(tmp_path, monkeypatch, text, told):
    """The message names the file, the table, the key, and what was probably meant."""
    with pytest.raises(SettingsError, match=told) as caught:
        root(tmp_path, text, monkeypatch)
    assert str(tmp_path / "own.toml") in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "redis = 'redis://ann:secret-4@host'",
        "[redis]\nurl = ['redis://ann:secret-4@host']",
        "[kafka]\nsasl_password = ['secret-4']",
    ],
)
def test_no_password_is_told_of_what_is_refused(tmp_path, monkeypatch, text):
    """An address in the wrong place, or in the wrong form, is not shown."""
    with pytest.raises(SettingsError) as caught:
        root(tmp_path, text, monkeypatch)
    assert "secret-4" not in str(caught.value)


def test_which_file_is_read(tmp_path):
    """A given path wins over the variable, which wins over the folder's file; an empty variable means none."""
    here = tmp_path / "reelstream.toml"
    assert find_config(None, {}, tmp_path) is None
    here.touch()
    assert find_config(None, {}, tmp_path) == here
    assert find_config(None, {CONFIG_VARIABLE: ""}, tmp_path) is None
    assert find_config(None, {CONFIG_VARIABLE: "/a/b.toml"}, tmp_path) == Path("/a/b.toml")
    assert find_config(Path("/c.toml"), {CONFIG_VARIABLE: "/a/b.toml"}, tmp_path) == Path("/c.toml")
    with pytest.raises(SettingsError, match=r"must name a TOML file, got .*missing.toml"):
        read_config(tmp_path / "missing.toml", [])


def test_the_defaults_that_are_shown_are_those_that_count():
    """With every shown default as its variable the settings are those of no variable at all."""
    shown_defaults = {one.variable: one.default_text() for one in SETTINGS}
    assert Settings.from_environment(shown_defaults) == Settings.from_environment({})
