"""What serves, keeps score or archives is started in an interpreter of its own that has no torch to import.

Nor does what reads no files of columns load the libraries that do: pyarrow alone is 40 MB of a worker's memory. SciPy,
which a worker needs for large catalogues, is 24.
"""

import subprocess
import sys

import pytest

PROGRAMS = {
    "worker": ("commands.run.worker", "agents.worker.app", "streams.sentence_weights", "model.ranking.retrieval"),
    "api": ("commands.run.api", "web.server", "web.app", "web.gateway.previews", "streams.reports.promoting"),
    "scorekeeper": ("commands.run.scorekeeper", "agents.scorekeeper.scorekeeper"),
    "archiver": ("commands.run.archiver", "agents.archiver.archiver"),
    "up": ("commands.run.up", "commands.parts.children"),
    "reelstream": ("reelstream", "streams.diagnosis.machine", "streams.registry.registry", "streams.rebuild.digest"),
}
OF_COLUMNS = ("pyarrow", "pandas")
READING_COLUMNS = {"archiver", "reelstream"}
WITH_SCIPY = {"api", "reelstream"}  # which make intervals
TRAINERS = ("torch", "functorch", "triton", "model.trainable")
REFUSING = """
import importlib, os, sys
os.environ["NO_CYTHON"] = "1"
class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refusal())
for name in sys.argv[1].split(","):
    importlib.import_module(name)
print(*(name for name in sys.modules if name.startswith(tuple(sys.argv[2].split(",")))))
"""


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_does_not_train_imports_nothing_that_does(program):
    """Its whole chain of imports is there without torch, and loads neither what trains nor what it has no use for."""
    unwanted = (*TRAINERS, *(() if program in READING_COLUMNS else OF_COLUMNS))
    unwanted += () if program in WITH_SCIPY else ("scipy",)
    command = [sys.executable, "-c", REFUSING, ",".join(PROGRAMS[program]), ",".join(unwanted)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr[-2000:]
