"""One lane: a way to answer events, its processes, and what came of the events that were poured into it."""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.flow.lanes.pouring import Poured, Record, pour, steady
from commands.parts.children import trainer_process
from streams.settings import Settings
from streams.stack.ports import settle_ports
from streams.stack.process import Server

__all__ = ["LANES", "Lane", "StageSeconds", "await_idle", "old_lane", "promote_old", "quix_lane", "training"]

SETTLE_S = 90.0  # at most: a worker that is ready still compares items, and encodes titles that no worker has
IDLE = 0.15  # share of a core below which it has settled
STAGE, WORKED = "reelstream_stage_seconds_sum", "reelstream_stage_worked_seconds_total"


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Seconds that a stage took, and of them those in which the worker's event loop worked on it."""

    took: float
    worked: float


@dataclass(slots=True)
class Lane:
    """A way to answer events.

    Parameters
    ----------
    name : in the table.
    command : of one process, behind the interpreter.
    processes : how many share the partitions.
    share : of the events that it gets, as slow ones would take minutes.
    python : the interpreter.
    path : of another checkout whose code it runs; None for ours.
    has_stages : whether it tells what its stages take.
    """

    name: str
    command: Sequence[str]
    processes: int = 1
    share: float = 1.0
    python: str = sys.executable
    path: Path | None = None
    has_stages: bool = False
    port: int = 0  # where it tells them
    poured: dict[str, Poured] = field(default_factory=dict)
    stages: dict[str, dict[str, StageSeconds]] = field(default_factory=dict)

    @contextmanager
    def running(self, settings: Settings, folder: Path, warm: Sequence[Record]) -> Iterator[list[int]]:
        """Run its processes and let them work off some events; gives the process ids."""
        environment = settings.environment() | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.path or Path.cwd())}
        servers = []
        for number in range(self.processes):
            if self.has_stages and not number:
                self.port = settle_ports(folder / "metrics-ports.json", ["worker"])["worker"]
            port = str(self.port) if self.port and not number else ""
            of_one = environment | {"REELSTREAM_METRICS_PORT": port}
            log = folder / f"{settings.prefix}{number}.log"
            servers.append(Server(self.name, [self.python, "-P", *self.command], log, of_one))
        try:
            for server in servers:
                server.start()
            pids = [server.identity.pid for server in servers if server.identity]
            asyncio.run(pour(settings, warm, {}))
            await_idle(pids)
            yield pids
        finally:
            for server in servers:
                server.stop(12.0)

    def measure(
        self,
        settings: Settings,
        runs: Mapping[str, Sequence[Record]],
        pids: Mapping[str, Sequence[int]],
        rates: Mapping[float, Sequence[Record]],
    ) -> None:
        """Pour each run at once and each of the rates evenly, and note what came of it."""
        for name, records in runs.items():
            some = records[: int(len(records) * self.share)]
            self._note(name, pour(settings, some, pids))
        for rate, records in rates.items():
            self._note(f"{rate:g}/s", steady(settings, records, rate, pids))

    def _note(self, name: str, pouring: Coroutine[Any, Any, Poured]) -> None:
        """Pour, and note what came of it and what the stages took."""
        before = self._stages()
        self.poured[name] = asyncio.run(pouring)
        grown = {key: value - before.get(key, 0.0) for key, value in self._stages().items()}
        self.stages[name] = {
            stage: StageSeconds(took, grown.get((WORKED, stage), 0.0))
            for (kind, stage), took in grown.items()
            if kind == STAGE and took
        }

    def _stages(self) -> dict[tuple[str, str], float]:
        if not self.port:
            return {}
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            told = answer.read().decode()
        return {
            (sample.name, sample.labels["stage"]): sample.value
            for family in text_string_to_metric_families(told)
            for sample in family.samples
            if sample.name in {STAGE, WORKED}
        }


def await_idle(pids: Sequence[int]) -> None:
    """Wait until processes take little of a core, so that what follows a start is not measured."""
    until = time.monotonic() + SETTLE_S
    processes = [psutil.Process(pid) for pid in pids]
    for process in processes:
        process.cpu_percent()
    while time.monotonic() < until:
        time.sleep(3.0)
        if sum(process.cpu_percent() for process in processes) < 100 * IDLE:
            return


@contextmanager
def training(settings: Settings, folder: Path) -> Iterator[None]:
    """Run a trainer that begins a round with every few events."""
    server = trainer_process(settings, folder / "trainer.log", "--every-events", "500", "--first-events", "500")
    server.start()
    try:
        yield
    finally:
        server.stop(20.0)


WORKER = ("-m", "reelstream", "worker", "--log-level", "warning")
LANES = (
    Lane("worker", WORKER, has_stages=True),
    Lane("two workers", WORKER, processes=2),
    Lane("ceiling", ("-m", "benchmarks.flow.lanes.ceiling")),
    Lane("tutorial agent", ("-m", "benchmarks.flow.lanes.tutorial", "worker"), share=0.1),
)


def quix_lane(python: str | None) -> Lane | None:
    """Return the lane of quixstreams, run by a Python that has it; None where there is none."""
    python = python or sys.executable
    with suppress(OSError):
        if subprocess.run([python, "-c", "import quixstreams"], check=False, capture_output=True).returncode == 0:
            return Lane("quixstreams", ("-m", "benchmarks.flow.lanes.quix"), share=0.1, python=python)
    return None


def old_lane(path: Path) -> Lane:
    """Return the lane of another checkout's worker."""
    return Lane("old worker", WORKER, path=path.absolute())


def promote_old(path: Path, settings: Settings, dataset: str, folder: Path) -> None:
    """Let another checkout train and promote a version of its own, as it cannot read ours."""
    code = (
        "import importlib, sys\n"
        "from streams.settings import Settings\n"
        "try:\n    pipeline = importlib.import_module('benchmarks.flow.pipeline')\n"
        "except ModuleNotFoundError:\n    pipeline = importlib.import_module('benchmarks.pipeline')\n"
        "log = pipeline.read_dataset(sys.argv[1])\n"
        "pipeline.promote(Settings.from_environment(), pipeline.part(log, 0, len(log.interactions) // 2))\n"
    )
    environment = os.environ | settings.environment() | {"PYTHONPATH": str(path.absolute()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", code, str(Path(dataset).absolute() if Path(dataset).exists() else dataset)]
    with (folder / "old-training.log").open("wb") as log:
        subprocess.run(command, check=True, env=environment, stdout=log, stderr=log, cwd=folder)
