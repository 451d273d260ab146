"""The chaos suite in its short form: the command itself, on servers of its own."""

import json
import os
import signal
import struct
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "reelstream", "chaos"]


@pytest.mark.timeout(600)  # many processes, one after the other
def test_nothing_differs_after_faults_and_a_lost_second(tmp_path):
    """After five faults, a rebalance in mending among them, with transactions and all codecs nothing differs."""
    options = ["--events", "6000", "--kills", "5", "--workers", "2", "--seed", "22", "--json", "--keep", str(tmp_path)]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False, timeout=480)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["differences"] == 0
    assert sorted(fault["kind"] for fault in report["faults"]) == [
        "broker killed",
        "rebalance while mending",
        "valkey killed",
        "worker added",
        "worker killed",
    ]
    faults = {fault["kind"]: fault for fault in report["faults"]}
    assert faults["valkey killed"]["back"][1] > 0, "some records must have been lost and applied again"
    assert faults["rebalance while mending"]["mending"] > 0, "a worker must have been mending when it was forced"
    assert min(report["transactions"][end] for end in ("committed", "aborted", "hung")) > 0
    assert batches_of(tmp_path) == {(codec, part) for codec in range(5) for part in (0, 1)}, "each codec, both ways"
    assert report["events"] > 5500  # of 6000, without 1 % bad and 2 % repeated
    assert all(row["compared"] > 0 for row in report["rows"] if row["what"].startswith(("users", "items", "dead")))
    assert (tmp_path / "worker-0.log").exists()


def batches_of(folder):
    """Return (codec, transactional) of the batches of event topics as they stand in the logs of the cluster.

    A batch begins with its offset (8 bytes), its length (4), leader epoch (4), magic (1), checksum (4) and attributes
    (2): bits 0 to 2 are the codec, bit 4 says that it is part of a transaction, bit 5 that it holds a marker alone.
    """
    found = set()
    for log in folder.glob("stack/kafka-*/log/*-events-*/*.log"):
        data, at = log.read_bytes(), 0
        while at + 23 <= len(data):
            length, attributes = struct.unpack_from(">i9xh", data, at + 8)
            if length == 0:
                break  # the rest of the file is set aside and empty
            if not attributes & 0x20:
                found.add((attributes & 0x07, attributes >> 4 & 1))
            at += 12 + length
    return found


def test_it_ends_what_it_started_when_it_is_interrupted(tmp_path, until):
    """SIGINT in the middle ends the run with status 130, and no process of the run is left."""
    process = subprocess.Popen(
        [*COMMAND, "--events", "200000", "--workers", "1", "--keep", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:
            if "starting 1 workers" in line:
                break
        until((tmp_path / "trainer.log").exists, 30, lambda: "a trainer")
        note = json.loads((tmp_path / "stack" / "stack.json").read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    for part in note["parts"]:
        with pytest.raises(ProcessLookupError):
            os.kill(part["identity"]["pid"], 0)
