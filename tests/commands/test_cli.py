"""The command line as people meet it: help at once, exit statuses, and errors in one line."""

import subprocess
import sys
import time

import click
import pytest
from click.testing import CliRunner

from commands.parts.telling import address_cure
from commands.people.forget import _print as tell_forgotten
from commands.people.merge import _print as tell_merged
from reelstream import _COMMANDS, cli

HEAVY = ("torch", "pandas", "faust", "kafka", "aiokafka")
LISTING = f"""
import sys
import reelstream
sys.argv = ["reelstream", *sys.argv[1:]]
try:
    reelstream.main()
finally:
    print("heavy:", *[name for name in {HEAVY!r} if name in sys.modules])
"""
OWN_MODULES = """
import sys
import reelstream
sys.argv = ["reelstream", "--help"]
try:
    reelstream.main()
finally:
    own = {"agents", "commands", "model", "reelstream", "replay", "streams"}
    print("own:", *sorted(name for name in sys.modules if name.partition(".")[0] in own))
"""


def run(*arguments, code=None):
    """Run ``reelstream`` as a process, or code with these arguments."""
    program = ["-m", "reelstream"] if code is None else ["-c", code]
    return subprocess.run(
        [sys.executable, *program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module", autouse=True)
def unreachable():
    """Start a worker without a Kafka at the module's beginning, for it tries for ten seconds."""
    arguments = ["worker", "--kafka", "127.0.0.1:1", "--redis", "redis://127.0.0.1:1/0"]
    with subprocess.Popen([sys.executable, "-m", "reelstream", *arguments], stderr=subprocess.PIPE, text=True) as child:
        yield child
        child.kill()


@pytest.mark.parametrize("command", ["", *_COMMANDS])
def test_help_answers_at_once(command):
    """Help exits with 0, imports nothing heavy, and takes less than five seconds on a busy machine."""
    began = time.monotonic()
    found = run(*filter(None, [command]), "--help", code=LISTING)
    took = time.monotonic() - began
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("Usage: reelstream")
    assert found.stdout.endswith("heavy:\n")
    assert took < 5


def test_help_names_every_command():
    """The overview lists all commands in their order, each with its sentence on the same line."""
    listed = [line.split(maxsplit=1) for line in run("--help").stdout.partition("Commands:")[2].splitlines() if line]
    assert listed == [[name, text] for name, (_, _, text) in _COMMANDS.items()]


def test_the_overview_imports_no_command():
    """``reelstream --help`` loads none of a command, and of ours nothing but the errors and what groups are made of."""
    found = run("--help", code=OWN_MODULES)
    assert found.stdout.splitlines()[-1] == "own: commands commands.groups reelstream streams streams.errors"


@pytest.mark.parametrize("name", _COMMANDS)
def test_the_overview_says_what_a_command_says_itself(name):
    """The text in the overview is the first sentence of the command's own help."""
    command = cli.get_command(click.Context(cli), name)
    assert command.help.replace("\n", " ").partition(".")[0] + "." == _COMMANDS[name][2]


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["worker", "--nonsense"], ["worker", "--partitions", "many"], ["health", "king"]]
)
def test_wrong_usage_exits_with_2(arguments):
    """An unknown command, option or value is a usage error on stderr, without a traceback."""
    found = run(*arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert "Error: " in found.stderr
    assert "Traceback" not in found.stderr


def test_an_error_raised_on_purpose_is_one_line():
    """A setting that cannot be used is one line on stderr and exit status 1."""
    found = run("worker", "--redis", "http://wrong")
    assert (found.returncode, found.stdout) == (1, "")
    assert (
        found.stderr
        == "reelstream: settings: REELSTREAM_REDIS must be a redis:// or redis+sentinel:// URL, got 'http://wrong'\n"
    )


def test_the_version_is_told():
    """``--version`` prints the installed version."""
    found = run("--version")
    assert found.returncode == 0
    assert "version 0." in found.stdout


def test_an_unreachable_kafka_is_one_line(unreachable):
    """After ten seconds of trying, a worker without a cluster says so in one line and exits with 1."""
    _, said = unreachable.communicate(timeout=60)
    assert unreachable.returncode == 1
    [line] = said.splitlines()
    assert line.startswith("reelstream: topics: a Kafka cluster is required at 127.0.0.1:1, got ")
    assert line.endswith(
        "; the command line gave this address, which goes before REELSTREAM_KAFKA: start what should answer there"
    )


AWAY = "an answer from Redis is required, got ConnectionError: Error 111 connecting to 127.0.0.1:1. Connection refused"
NO_CLUSTER = (
    """a Kafka cluster is required at 127.0.0.1:1, got KafkaTimeoutError("Unable to bootstrap from ['127.0.0.1:1']")"""
)
UNSET = "unset REELSTREAM_KAFKA REELSTREAM_REDIS REELSTREAM_REGISTRY"


@pytest.fixture
def exported(monkeypatch):
    """Export the addresses of an installation that has ended, the one of Redis with a password."""
    monkeypatch.setenv("REELSTREAM_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("REELSTREAM_REDIS", "redis://:secret@127.0.0.1:1/0")
    monkeypatch.setenv("REELSTREAM_CONFIG", "")


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize("arguments", [["profile", "ann"], ["hot"], ["mode", "ann"], ["model", "list"], ["quality"]])
def test_an_address_of_redis_from_the_environment_is_told_with_its_variable(arguments):
    """The line ends with the variable, its value without the password, and both ways out."""
    found = run(*arguments)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.endswith(
        f"{AWAY}; REELSTREAM_REDIS is set to redis://:***@127.0.0.1:1/0 in the environment, and nothing answers there: "
        f"paste the lines that a running `reelstream up` prints, or `{UNSET}` if it has ended\n"
    )


def test_a_default_address_is_told_as_one(monkeypatch):
    """Without the variable the line says that the default was asked, and who prints the lines to paste."""
    monkeypatch.delenv("REELSTREAM_REDIS", raising=False)
    told = address_cure(None, "redis")
    assert told == (
        "REELSTREAM_REDIS is not set, so that is the default, redis://127.0.0.1:6379/0: "
        "paste the lines that `reelstream up` prints for other terminals"
    )


def test_an_address_of_a_file_is_told_with_its_place(tmp_path, monkeypatch):
    """Where the configuration file filled the variable, the line names the file and the key."""
    monkeypatch.delenv("REELSTREAM_REDIS", raising=False)
    file = tmp_path / "own.toml"
    file.write_text('[redis]\nurl = "redis://127.0.0.1:1/0"\n', encoding="utf-8")
    told = run("--config", str(file), "hot").stderr
    place = f"REELSTREAM_REDIS is set to redis://127.0.0.1:1/0 (from {file}, [redis] url): correct it, "
    assert told.endswith(f"{AWAY}; {place}or start what should answer there\n")


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize("argument", ["--redis=redis://127.0.0.1:1", "--redis redis://127.0.0.1:1"])
def test_an_address_of_the_command_line_is_told_as_one(argument):
    """What was typed goes before what is exported, and the line says so."""
    told = run("hot", *argument.split()).stderr
    assert told.endswith(
        "the command line gave this address, which goes before REELSTREAM_REDIS: start what should answer there\n"
    )


@pytest.mark.usefixtures("exported")
def test_up_says_how_to_start_its_own_kafka(tmp_path):
    """Where the exports of an ended ``up`` are left, the next one says which variables to unset."""
    found = run("up", "--data", str(tmp_path))
    assert found.returncode == 1
    assert found.stderr.endswith(
        f"{NO_CLUSTER}; REELSTREAM_KAFKA is set to 127.0.0.1:1 in the environment, and nothing answers there: "
        f"`{UNSET}` lets `reelstream up` start its own\n"
    )


@pytest.mark.parametrize(("typed", "meant"), [("recommand", "recommend"), ("dead-letter", "dead-letters")])
def test_a_mistyped_command_gets_the_nearest_one(typed, meant):
    """A command that is almost one's name is a usage error that names it."""
    found = run(typed, "ann")
    assert found.returncode == 2
    assert found.stderr.endswith(f"Error: No such command {typed!r}. Did you mean {meant!r}?\n")


def test_every_group_names_the_nearest_command():
    """As the overview does, so does each group of commands."""
    groups = {name: one for name in _COMMANDS if isinstance(one := cli.get_command(None, name), click.Group)}
    assert len(groups) > 9
    for name, group in groups.items():
        meant = group.list_commands(None)[0]
        found = CliRunner().invoke(cli, [name, f"{meant}x"])
        assert found.exit_code == 2
        assert found.stderr.endswith(f"Error: No such command '{meant}x'. Did you mean {meant!r}?\n")


@pytest.mark.parametrize(
    "arguments",
    [
        *(["recommend", ""], ["recommend", "", "--fresh"], ["profile", ""], ["mode", " "], ["export", ""]),
        *(["forget", ""], ["merge", "", "ann"], ["merge", "ann", ""], ["similar", ""], ["model", "show", ""]),
        *(["model", "promote", ""], ["keys", "remove", ""], ["recommend", "ann", "--fresh", "--like", ""]),
    ],
)
def test_an_empty_id_is_a_usage_error(arguments):
    """No command takes an empty id for one, and each says what it required before it connects to anything."""
    found = CliRunner().invoke(cli, arguments)
    assert (found.exit_code, found.stdout) == (2, "")
    assert " is required, got '" in found.stderr


@pytest.mark.parametrize(
    ("tell", "found", "line"),
    [
        (tell_forgotten, {"erased": {}, "left": {}, "pending": [], "kafka": []}, "nothing was known of this user"),
        (
            tell_merged,
            {"account": "ann", "into": "ann"},
            "nothing was known of this user; what nobody does later counts for ann",
        ),
    ],
)
def test_a_user_of_whom_nothing_was_known_is_told(capsys, tell, found, line):
    """A line says it where no store held anything, and none where one did."""
    for known, n in ((False, 1), (True, 0)):
        tell({"user_id": "nobody", "request_id": "r", "done": True, "known": known, **found})
        assert capsys.readouterr().out.splitlines().count(line) == n
