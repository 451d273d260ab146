"""The chaos suite in its short form: the command itself, on servers of its own."""

import json
import os
import signal
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "reelstream", "chaos"]


@pytest.mark.timeout(600)  # many processes, one after the other
def test_nothing_differs_after_faults_and_a_lost_second(tmp_path):
    """After five faults, one of which takes the last second of Valkey away, all is as computed from the topics."""
    options = ["--events", "6000", "--kills", "5", "--workers", "2", "--seed", "7", "--json", "--keep", str(tmp_path)]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["differences"] == 0
    assert sorted(fault["kind"] for fault in report["faults"]) == [
        "broker killed",
        "valkey killed",
        "valkey paused",
        "worker added",
        "worker killed",
    ]
    (killed,) = (fault for fault in report["faults"] if fault["kind"] == "valkey killed")
    assert killed["back"][1] > 0, "some records must have been lost and applied again"
    assert report["events"] > 5500  # of 6000, without 1 % bad and 2 % repeated
    assert all(row["compared"] > 0 for row in report["rows"] if row["what"].startswith(("users", "items", "dead")))
    assert (tmp_path / "worker-0.log").exists()


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
