"""The commands that the README and some other pages show, run as they stand there.

``make`` and ``docker compose`` lines are not: the first are how this very test is run, and the demo is run by the
landing script beside the tests; the compose file has a test of its own. That all other commands would be taken is
proved by ``test_docs.py``.
"""

import contextlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from streams.contracts.checking import check_topics
from streams.settings import Settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "reference" / "commands.md"
MODES = ROOT / "docs" / "explanation" / "modes.md"
EXPERIMENTS = ROOT / "docs" / "explanation" / "experiments.md"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-lists.md"
LONG_S = 240.0


def console_blocks(page: Path) -> list[list[str]]:
    """Return the commands of each console block of a page, without prompts and output."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [[line[2:] for line in block.splitlines() if line.startswith("$ ")] for block in blocks]


def block_with(command: str, page: Path = README) -> list[str]:
    """Return the one block of a page that holds a command."""
    (found,) = [block for block in console_blocks(page) if command in block]
    return found


class Shell:
    """Runs lines of pages in a folder of its own, with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("REELSTREAM_", "KAFKA"))
        }
        self.environment |= {"XDG_DATA_HOME": str(folder / "data"), "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{self.environment['PATH']}"

    def run(self, line: str) -> str:
        """Run a line to its end, which must be a good one, and return what it printed."""
        done = subprocess.run(  # noqa: PLW1510 - the status is asserted with what was printed
            shlex.split(line), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=LONG_S
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def running(self, line: str, until: str = "") -> Iterator[list[str]]:
        """Run a line in the background until the block ends; wait first for a line with ``until``."""
        process = subprocess.Popen(
            shlex.split(line),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        assert process.stdout is not None
        output = process.stdout
        lines: list[str] = []
        reader = threading.Thread(target=_collect, args=(output, lines), daemon=True)
        reader.start()
        try:
            assert waited_for(lambda: any(until in line for line in lines) or process.poll() is not None), lines
            assert process.poll() is None, lines
            yield lines
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(30)
            reader.join()
            output.close()
        assert status in (0, 130), lines


def _collect(output: "io.TextIOBase", lines: list[str]) -> None:
    for line in output:
        lines.append(line)  # noqa: PERF402 - seen by the other thread line by line


def waited_for(condition, within_s: float = LONG_S) -> bool:
    """Poll until a condition holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Give a shell in an empty folder; a stack that a failed test has left there is ended."""
    shell = Shell(tmp_path)
    yield shell
    command = [Path(sys.executable).with_name("reelstream"), "stack", "down"]
    subprocess.run(command, cwd=tmp_path, env=shell.environment, capture_output=True, check=False)


def tiny_split(path: Path) -> None:
    """Write a split in the NCF paper's format: 30 users who walk through 120 items in steps of one."""
    train, test, negative = io.StringIO(), io.StringIO(), io.StringIO()
    for user in range(30):
        for step in range(10):
            train.write(f"{user}\t{(user + step) % 120}\t5\t{978300000 + step}\n")
        item = (user + 10) % 120
        test.write(f"{user}\t{item}\t5\t978300010\n")
        others = [other for other in range(120) if other not in {(user + step) % 120 for step in range(11)}][:99]
        negative.write(f"({user},{item})\t" + "\t".join(map(str, others)) + "\n")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("train.rating", train), ("test.rating", test), ("test.negative", negative)):
            archive.writestr(f"ml-1m.{name}", content.getvalue())


def test_every_console_command_is_run_here_or_by_make() -> None:
    """The console blocks of the README and of the page of commands are those that this module knows, and `make`'s."""
    firsts = [block[0] for page in (README, COMMANDS) for block in console_blocks(page)]
    assert firsts == [
        "make demo",
        "reelstream up",
        "reelstream recommend ann",
        "source <(reelstream completion bash)",  # a shell's own; its script is proved by its own tests
        "reelstream stack up --json",
        "reelstream data get ml-100k",
    ]


@pytest.mark.server
def test_up_serves_the_event_that_its_example_sends(shell: Shell) -> None:
    """`up` prints addresses and an example; with both there is a list that the look-ups of the next block show."""
    (up,) = block_with("reelstream up")
    with shell.running(up, until="Ctrl-C ends everything") as lines:
        text = "".join(lines)
        (exported,) = re.findall(r"^export (.+)$", text, re.MULTILINE)
        (address,) = re.findall(r"^api +(http://.+)$", text, re.MULTILINE)
        assert httpx.get(f"{address}/health/ready", timeout=30).json()["status"] == "ready"
        sourced = re.findall(r"^source (.+/activate)$", text, re.MULTILINE)
        assert [Path(one).exists() for one in sourced] == [True] * (sys.prefix != sys.base_prefix)
        shell.environment |= dict(word.split("=", 1) for word in shlex.split(exported))
        assert Path(shell.environment["REELSTREAM_REGISTRY"]).is_relative_to(shell.folder)
        (example,) = re.findall(r"^python (.+)$", text, re.MULTILINE)
        shell.run(f"python {README.parent / example}")
        with redis.Redis.from_url(shell.environment["REELSTREAM_REDIS"]) as client:
            assert waited_for(lambda: client.exists("user:{ann}:recs"), 30)
            assert waited_for(lambda: client.hexists("catalog:items", "2"), 30), "titles follow within a second"
        once, follow, profile, hot = block_with("reelstream recommend ann")
        listed = shell.run(once)
        assert "ann" in listed
        assert "Paper Boats" in listed, "a film that ann has not touched"
        with shell.running(follow, until="ann"):
            pass
        assert "1 ratings" in shell.run(profile)
        shell.run(hot)
        for ask in block_with('reelstream recommend ann --fresh --query "a drama about the sea"', TUTORIAL):
            assert "Night Ferry" in shell.run(ask)
        by_hand, mode, auto = block_with("reelstream mode ann auto", MODES)
        shell.run(by_hand)
        assert "personalized" in shell.run(mode)
        shell.run(auto)


@pytest.mark.timeout(900)  # many processes, one after the other, and two trainings
@pytest.mark.server
def test_the_session_against_a_stack_of_ones_own(shell: Shell) -> None:
    """The long block works from `stack up` to `stack down`, with the addresses that the first line printed."""
    lines = iter(block_with("reelstream stack up --json", COMMANDS))
    addresses = json.loads(shell.run(next(lines)))
    assert next(lines).startswith("export REELSTREAM_KAFKA=")
    shell.environment |= {"REELSTREAM_KAFKA": addresses["kafka"], "REELSTREAM_REDIS": addresses["redis"]}
    told: list[list[str]] = []  # by the commands in the background
    with contextlib.ExitStack() as background:
        for line in lines:
            if line.endswith(" &"):
                told.append(background.enter_context(shell.running(line.removesuffix(" &"), until=".ready")))
            elif line == "reelstream stack down":
                run_an_experiment(shell)
                keep_their_contracts(addresses["kafka"])
                background.close()
                assert "stopped" in shell.run(line)
            else:
                if line.startswith("reelstream model"):
                    await_second_version(shell, told)
                shell.run(line)


def await_second_version(shell: Shell, told: list[list[str]]) -> None:
    """Wait for a fine-tuned version; a slow trainer had read everything in a round or two that the gate turned away.

    After each such round it gets the events that follow: the same ones again would be duplicates.
    """
    (line,) = (line for line in block_with("reelstream stack up --json", COMMANDS) if "replay" in line)
    followed = 0  # rounds
    for part in range(2, 6):
        waited_for(lambda so_far=followed: len(rounds(told)) > so_far)
        followed = len(rounds(told))
        if sum(": promote" in one for one in rounds(told)) > 1 and waited_for(lambda: len(versions(shell)) > 1, 30):
            return
        shell.run(line.replace("--rate 500", "--rate 2000").replace("--limit 20000", f"--limit {20000 * part}"))
    last = "\n".join("".join(lines[-20:]) for lines in told)
    raise AssertionError(f"a first and a fine-tuned version are required, got {versions(shell)}\n{last}")


def rounds(told: list[list[str]]) -> list[str]:
    """Return what the trainer has told of its rounds."""
    return [line for lines in told for line in lines if "round.ended" in line]


def run_an_experiment(shell: Shell) -> None:
    """Run the block of an experiment, with a version that there is in the place of the one shown."""
    start, status, stop = block_with("reelstream ab status", EXPERIMENTS)
    shell.run(re.sub(r"v\d+-\w+", str(versions(shell)[0]["version"]), start))
    assert "deeper" in shell.run(status)
    shell.run(stop)


def keep_their_contracts(kafka: str) -> None:
    """Read every record that the session led to: each is valid by the schema of its topic."""
    found = check_topics(Settings.from_environment({}, kafka=kafka))
    counts = found.records
    assert (found.broken, found.examples) == (0, ())
    assert all(counts[topic] for topic in ("catalog-items", "rate-events", "recommendations", "model-versions")), counts


def versions(shell: Shell) -> list[dict[str, object]]:
    """Return the stored versions."""
    found: list[dict[str, object]] = json.loads(shell.run("reelstream model list --json"))["versions"]
    return found


@pytest.mark.timeout(600)  # many processes, one after the other
def test_the_offline_block(shell: Shell) -> None:
    """Fetching, training, evaluating and testing a stream work in an empty folder that holds a split."""
    tiny_split(shell.folder / "ncf-ml-1m.zip")
    get, train, evaluate, stream = block_with("reelstream data get ml-100k", COMMANDS)
    shell.run(get)
    shell.run(train)
    assert "hr@10" in shell.run(evaluate).lower()
    assert "times popularity" in shell.run(stream)
    assert "<svg" in (shell.folder / "curves.html").read_text()
