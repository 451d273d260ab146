"""Fuzz the decoders, the functions in Redis and the model files: do they stand whatever comes.

::

    python -m tests.hostile.fuzz decode|state|snapshot|all [--seconds 60] [--folder build/fuzz] [--seed 1] [--json]

Runs each target (``records``, ``state_calls``, ``model_files``) under Atheris (libFuzzer), guided by the branches of
our own Python that an input reaches (Lua inside Redis is not seen). Each has a process of its own, because libFuzzer
ends its process in its own way, and the state target has a Valkey of its own. Prints inputs tried, branches covered,
peak memory and crashes; exits with 1 after a crash and keeps the input as ``<folder>/<target>-crash-...``, which
``--again FILE`` repeats.
"""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

__all__ = ["TARGETS", "Outcome", "attack", "fuzz", "main"]

TARGETS = ("decode", "state", "snapshot")
INSTRUMENTED = {
    "decode": ["streams.records.codec", "streams.records.decoding", "streams.records.records", "tests.hostile.records"],
    "state": ["streams.state.calls", "streams.state.store", "streams.state.keys", "tests.hostile.state_calls"],
    "snapshot": [
        "streams.registry.versions",
        "streams.registry.registry",
        "model.network.snapshot",
        "model.ranking.exact",
        "tests.hostile.model_files",
    ],
}
MAX_LENGTH = {"decode": 4096, "state": 1024, "snapshot": 512}  # bytes of decisions; a target needs no more
HANGS_S = 30  # an input that takes longer is a crash
MAX_MIB = 3000  # resident memory at which an input is a crash; torch alone takes 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one target stood.

    Parameters
    ----------
    inputs : inputs tried.
    branches : instrumented branches that were reached.
    kept : inputs that reached a new one, the corpus.
    peak_mib : highest resident memory of the process.
    crashes : files of inputs that broke an invariant, hung, or took too much memory.
    """

    target: str
    seconds: float
    inputs: int
    branches: int
    kept: int
    peak_mib: int
    crashes: tuple[str, ...]


def attack(target: str, *arguments: str) -> None:
    """Fuzz one target in this process until libFuzzer ends it; the state target reads its Redis from the input's end.

    Parameters
    ----------
    target : one of ``TARGETS``; for the state ``state=<redis url>``.
    arguments : of libFuzzer.
    """
    import atheris  # noqa: PLC0415  a test dependency, and only this process needs it

    name, _, url = target.partition("=")
    with atheris.instrument_imports(include=INSTRUMENTED[name]):  # what is imported here is what is instrumented
        test = _test(name, url)
    atheris.Setup([target, *arguments], test)
    atheris.Fuzz()


def _test(name: str, url: str) -> Callable[[bytes], None]:
    """Return what takes the fuzzer's bytes; a process imports that of its own target only."""
    if name == "decode":
        from tests.hostile.records import decode  # noqa: PLC0415  see above

        return decode
    if name == "state":
        from tests.hostile.state_calls import StateTarget  # noqa: PLC0415  same

        return StateTarget(url)
    from tests.hostile.model_files import SnapshotTarget  # noqa: PLC0415  same

    return SnapshotTarget()


def fuzz(target: str, seconds: float, folder: Path, seed: int, again: Path | None = None) -> Outcome:
    """Fuzz one target in a process of its own and return what it stood."""
    corpus = folder / f"{target}-corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    before = _crashes(folder, target)
    options = [
        *(f"-max_total_time={int(seconds)}", f"-seed={seed}", f"-max_len={MAX_LENGTH[target]}", "-print_final_stats=1"),
        *(f"-timeout={HANGS_S}", f"-rss_limit_mb={MAX_MIB}", f"-artifact_prefix={folder}/{target}-"),
    ]
    program = "import sys; from tests.hostile.fuzz import attack; attack(*sys.argv[1:])"
    with _server(target) as url:
        command = [sys.executable, "-c", program, f"{target}={url}", *options, str(again or corpus)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    (folder / f"{target}.log").write_text(ended.stdout)
    crashes = tuple(sorted(_crashes(folder, target) - before))
    if ended.returncode and not crashes:
        crashes = (f"{folder}/{target}.log",)
    progress = re.findall(r"#\d+\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)", ended.stdout) or [("0", "0")]
    branches, kept = map(int, progress[-1])
    return Outcome(
        target,
        seconds,
        _figure(ended.stdout, "number_of_executed_units"),
        branches,
        kept,
        _figure(ended.stdout, "peak_rss_mb"),
        crashes,
    )


@contextlib.contextmanager
def _server(target: str) -> Iterator[str]:
    """Run a Valkey for the target that needs one, without a file, and give its address."""
    if target != "state":
        yield ""
        return
    from streams.stack.ports import settle_ports  # noqa: PLC0415  only this target needs a server
    from streams.stack.valkey import Valkey, find_server  # noqa: PLC0415  same

    with tempfile.TemporaryDirectory() as data:
        port = settle_ports(Path(data) / "ports.json", ["valkey"])["valkey"]
        server = Valkey(port, Path(data) / "valkey", find_server(), options={"appendonly": "no"})
        try:
            server.restart()
            yield server.url
        finally:
            server.stop(5.0)


def _crashes(folder: Path, target: str) -> set[str]:
    kinds = ("crash", "timeout", "oom", "leak", "slow-unit")
    return {str(path) for kind in kinds for path in folder.glob(f"{target}-{kind}-*")}


def _figure(log: str, name: str) -> int:
    found = re.search(rf"stat::{name}:\s+(\d+)", log)
    return int(found[1]) if found else 0


@click.command()
@click.argument("target", type=click.Choice([*TARGETS, "all"]))
@click.option("--seconds", default=60.0, show_default=True, help="For each target.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("build/fuzz"), show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of libFuzzer.")
@click.option("--again", type=click.Path(exists=True, path_type=Path), help="Try this one input only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def main(target: str, seconds: float, folder: Path, seed: int, again: Path | None, as_json: bool) -> None:  # noqa: FBT001  a flag of click
    """Fuzz a target, or all of them one after the other."""
    chosen = TARGETS if target == "all" else (target,)
    outcomes = [fuzz(one, seconds, folder, seed, again) for one in chosen]
    if as_json:
        click.echo(json.dumps([asdict(outcome) for outcome in outcomes]))
    else:
        table = Table("target", "seconds", "inputs", "branches", "kept", "peak MiB", "crashes")
        for outcome in outcomes:
            table.add_row(
                *(str(value) for value in asdict(outcome).values() if not isinstance(value, tuple)),
                "\n".join(outcome.crashes) or "0",
            )
        Console().print(table)
    if any(outcome.crashes for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
