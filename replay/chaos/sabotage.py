"""Breaking things when they are due, one after the other, and noting what was hit.

A thread of its own aims at the trainer, because it has to wait for the moment in which the trainer saves.
"""

import os
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from replay.chaos.faults import Fault, FaultRecord
from replay.chaos.fleet import Fleet
from replay.chaos.gauge import Gauge
from replay.chaos.mending import MendingWatch
from streams.errors import StateError
from streams.stack import Stack, Valkey

__all__ = ["Saboteur", "torn_versions"]

LOOK_S = 0.02
AIM_S = 0.002  # a version is being written for a few milliseconds
WITH_WORKER_SHARE = 0.4  # of the kills of Valkey take a worker along, and with it what that knew of the lost second
MENDS_S = 30.0  # from the start of Valkey to the first mending: a worker looks twice a second, if it is not stopped
SESSION_S = 6.0  # after which the group gives a silent worker's partitions away


class _FaultResult(NamedTuple):
    """What a fault came to, as ``FaultRecord`` has it."""

    what: str
    back: tuple[int, int] = (0, 0)
    mending: int = 0


class Saboteur:
    """Does the planned faults in a thread; use as a context, and look at ``done``, ``error`` and ``is_done``.

    Parameters
    ----------
    faults : in the order in which they are due.
    records : how many there are in all.
    stack, fleet, gauge : what is broken, and how far it is.
    registry : folder of the model versions.
    lose : whether a killed Valkey loses its last second or two.
    aim_s : how long the trainer's saving is waited for.
    tell : called with a line about each fault.
    """

    def __init__(
        self,
        faults: Sequence[Fault],
        records: int,
        stack: Stack,
        fleet: Fleet,
        gauge: Gauge,
        registry: Path,
        *,
        lose: bool,
        aim_s: float,
        tell: Callable[[str], None],
    ) -> None:
        if stack.valkey is None:
            raise ValueError("chaos: a Valkey of our own is required, got the address of another")
        self._valkey: Valkey = stack.valkey
        self._waiting = deque(faults)
        self._records, self._stack, self._fleet, self._gauge = records, stack, fleet, gauge
        self._registry, self._aim_s, self._tell = registry, aim_s, tell
        self.may_lose = lose
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._targets: queue.Queue[Fault] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__, daemon=True)
            for work in (self._break, self._aim)
        ]
        self.done: list[FaultRecord] = []
        self.error: Exception | None = None
        self._planned = len(faults)
        self._ways = {
            "worker killed": self._kill_worker,
            "worker added": self._add_worker,
            "worker removed": self._remove_worker,
            "worker paused": self._pause_worker,
            "broker killed": self._kill_broker,
            "rebalance while mending": self._rebalance,
            "valkey killed": self._kill_valkey,
            "valkey paused": self._pause_valkey,
        }

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15.0)

    @property
    def is_done(self) -> bool:
        """Whether every fault has happened."""
        return len(self.done) == self._planned

    def allowance(self) -> int:
        """Return how many records may be sent by now: not far past the next fault, so that it has work to hit."""
        try:
            share = self._waiting[0].share
        except IndexError:
            return self._records
        return int(share * self._records) + max(200, self._records // (2 * self._planned))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for this thread
            self.error = error

    def _break(self) -> None:
        while self._waiting:
            fault = self._waiting[0]
            while self._gauge.furthest < fault.share * self._records:
                if self._stop.wait(LOOK_S):
                    return
            self._waiting.popleft()  # before it happens, so that records flow meanwhile
            if fault.kind == "trainer killed":
                self._targets.put(fault)
            else:
                began, applied = time.monotonic() - self._began, self._gauge.furthest
                outcome = self._ways[fault.kind](random.Random(fault.seed))
                self._note(FaultRecord(fault.kind, began, applied, *outcome))
            if self._stop.is_set():
                return

    def _note(self, done: FaultRecord) -> None:
        self.done.append(done)
        self._tell(f"{done.at_s:7.1f} s  fault {len(self.done)} of {self._planned}: {done.kind}, {done.what}")

    def _kill_worker(self, random_: random.Random) -> _FaultResult:
        slot = random_.choice(self._fleet.up)
        self._fleet.kill_worker(slot)
        away = random_.uniform(0.0, 2.0)
        if not self._stop.wait(away):
            self._fleet.start_worker(slot)
        return _FaultResult(f"worker-{slot} with SIGKILL, started again after {away:.1f} s")

    def _add_worker(self, random_: random.Random) -> _FaultResult:
        if not self._fleet.idle:
            return self._replace_worker(random_)
        slot = random_.choice(self._fleet.idle)
        self._fleet.start_worker(slot)
        return _FaultResult(f"worker-{slot}")

    def _remove_worker(self, random_: random.Random) -> _FaultResult:
        if len(self._fleet.up) == 1:
            return self._replace_worker(random_)
        slot = random_.choice(self._fleet.up)
        began = time.monotonic()
        self._fleet.remove_worker(slot)
        return _FaultResult(f"worker-{slot} with SIGTERM, gone after {time.monotonic() - began:.1f} s")

    def _replace_worker(self, random_: random.Random) -> _FaultResult:
        slot = random_.choice(self._fleet.up)
        began = time.monotonic()
        self._fleet.remove_worker(slot)
        took = time.monotonic() - began
        self._fleet.start_worker(slot)
        return _FaultResult(f"worker-{slot} with SIGTERM, gone after {took:.1f} s, and added again")

    def _pause_worker(self, random_: random.Random) -> _FaultResult:
        slot = random_.choice(self._fleet.up)
        away = SESSION_S + random_.uniform(2.0, 4.0)
        self._fleet.workers[slot].pause()
        self._stop.wait(away)
        self._fleet.workers[slot].resume()
        return _FaultResult(f"worker-{slot} stopped for {away:.1f} s, longer than its session, and back")

    def _kill_broker(self, random_: random.Random) -> _FaultResult:
        broker = random_.choice(self._stack.brokers)
        broker.kill()
        away = random_.uniform(1.0, 4.0)
        began = time.monotonic()
        if not self._stop.wait(away):
            broker.restart()
        took = time.monotonic() - began
        return _FaultResult(f"{broker.name} with SIGKILL, started again after {away:.1f} s, serving after {took:.1f} s")

    def _kill_valkey(self, random_: random.Random) -> _FaultResult:
        return self._lose(random_, random_.choice(self._fleet.up) if random_.random() < WITH_WORKER_SHARE else None)

    def _lose(self, random_: random.Random, slot: int | None) -> _FaultResult:
        """Kill Valkey, take its last moment away, and start it again; with the worker of a slot, if one is given."""
        before = self._positions()
        self._valkey.kill()
        ended = time.monotonic()
        cut = ""
        if self.may_lose:
            age = random_.uniform(0.5, 2.0)
            lost = self._gauge.cut_back(ended, age, sum(offset + 1 for offset in before.values()))
            cut = f", at least its last {age:.1f} s ({lost:,} bytes) cut off"
        if slot is not None:
            self._fleet.kill_worker(slot)
        away = random_.uniform(0.0, 1.5)
        if self._stop.wait(away):
            return _FaultResult("while ending")
        self._valkey.restart()
        after = self._positions()
        if slot is not None:
            cut += f", and worker-{slot} with it"
            self._fleet.start_worker(slot)
        short = [n - after.get(place, -1) for place, n in before.items() if after.get(place, -1) < n]
        back = f"{len(short)} of {len(before)} positions went back by {sum(short):,} records"
        return _FaultResult(f"with SIGKILL{cut}, started again after {away:.1f} s; {back}", (len(short), sum(short)))

    def _rebalance(self, random_: random.Random) -> _FaultResult:
        """Kill Valkey, and when a worker mends what that lost, make the group share its partitions out anew."""
        watch = MendingWatch({slot: worker.log for slot, worker in self._fleet.workers.items()})
        lost = self._lose(random_, None)
        deadline = time.monotonic() + MENDS_S
        while not (mending := watch.look()):
            if time.monotonic() > deadline or self._stop.wait(AIM_S):
                return _FaultResult(f"Valkey {lost.what}; nobody mended within {MENDS_S:g} s", lost.back)
        slot = max(mending, key=lambda one: len(mending[one]))
        others = [other for other in self._fleet.leaving if other != slot]
        way = random_.choice(("pause", "kill", "leave") if others else ("pause", "kill"))
        if way == "pause":
            self._fleet.workers[slot].pause()
            places = watch.look().get(slot, frozenset())
            away = SESSION_S + random_.uniform(2.0, 4.0)
            self._stop.wait(away)
            self._fleet.workers[slot].resume()
            how = f"worker-{slot} stopped in it for {away:.1f} s, longer than its session, and back"
        elif way == "kill":
            self._fleet.kill_worker(slot)
            places = watch.look().get(slot, frozenset())
            away = SESSION_S + random_.uniform(1.0, 2.0)
            if not self._stop.wait(away):
                self._fleet.start_worker(slot)
            how = f"worker-{slot} killed in it with SIGKILL, and started again after {away:.1f} s"
        else:
            other = random_.choice(others)
            self._fleet.remove_worker(other)
            places = watch.look().get(slot, frozenset())
            self._fleet.start_worker(other)
            how = f"worker-{other} left with SIGTERM while worker-{slot} was in it, and came back"
        mended = f"partitions being mended: {len(places)}, {how}"
        return _FaultResult(f"Valkey {lost.what}; {mended}", lost.back, len(places))

    def _positions(self) -> dict[tuple[str, int], int]:
        while True:
            try:
                return self._gauge.positions()
            except StateError:
                if self._stop.wait(LOOK_S):
                    return {}

    def _pause_valkey(self, random_: random.Random) -> _FaultResult:
        away = random_.uniform(2.0, 6.0)
        self._valkey.pause()
        self._stop.wait(away)
        self._valkey.resume()
        return _FaultResult(f"stopped for {away:.1f} s")

    def _aim(self) -> None:
        """Kill the trainer in the middle of saving, once for each target; after ``aim_s`` wherever it is."""
        while not self._stop.is_set():
            try:
                fault = self._targets.get(timeout=0.1)
            except queue.Empty:
                continue
            known = torn_versions(self._registry)
            deadline = time.monotonic() + self._aim_s
            while (hit := _being_written(self._registry)) in known or hit is None:
                if time.monotonic() > deadline:
                    hit = None
                    break
                if self._stop.wait(AIM_S):
                    return
            self._fleet.kill_trainer()
            moment = f"while it saved {hit}" if hit else f"while it saved nothing for {self._aim_s:g} s"
            began, applied = time.monotonic() - self._began, self._gauge.furthest
            if self._stop.wait(random.Random(fault.seed).uniform(0.0, 2.0)):
                return
            self._fleet.start_trainer()
            self._note(FaultRecord(fault.kind, began, applied, f"with SIGKILL, {moment}, and started again"))


def torn_versions(registry: Path) -> set[str]:
    """Return the names of versions that are being written, or whose writing never ended."""
    return {name for name in _names(registry) if _is_torn(registry / name)}


def _being_written(registry: Path) -> str | None:
    """Return the newest version if it is torn: ids sort by time, and the others need not be looked at."""
    newest = max(_names(registry), default=None)
    return newest if newest is not None and _is_torn(registry / newest) else None


def _is_torn(folder: Path) -> bool:
    names = _names(folder)
    return "version.json" not in names or any(name.startswith(".") for name in names)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are enough, 500 times a second
    except (FileNotFoundError, NotADirectoryError):
        return []
