"""The document keeps its word: schemathesis asks whatever it allows, and what it does not, of a live process.

A longer run by hand: `CASES=60 python -m pytest -s tests/web/api/test_document.py`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from web.api.keys import SCOPES, KeyFile

HERE = Path(__file__).parent
LEFT_OUT = ("--exclude-path-regex", "/stream$")  # a stream ends when its listener goes


def test_nothing_undocumented_and_no_5xx(start, served):
    """Every check of schemathesis holds, with a key and without, for what may be sent and what may not."""
    path = served.folder / "fuzzing-keys.json"
    key, _ = KeyFile(path).add("fuzzing", SCOPES, 0)
    cases = os.environ.get("CASES", "5")
    with start("--keys", str(path), "--budget-ms", "2000") as (process, api):
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"),
            *(f"{api.base_url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--checks", "all"),
            *("--phases", "coverage,fuzzing" if cases == "5" else "coverage,fuzzing,stateful"),
            *("--max-examples", cases, "--continue-on-failure", "--no-color", "--request-timeout", "60", *LEFT_OUT),
        ]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "formats", "PYTHONPATH": str(HERE)}
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=served.folder, env=environment, timeout=3600, check=False
        )
        found = re.search(r"(\d[\d,]*) generated", done.stdout)
        sys.stdout.write(done.stdout[-1200:])  # the number of cases, for who runs it by hand
        assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-2000:]}"
        assert found is not None
        assert int(found[1].replace(",", "")) > 200, done.stdout[-2000:]
        assert "Traceback" not in process.said()
