"""The requests that the page about the API shows are made as they stand there."""

import json
import re
import shlex
import subprocess
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "operate" / "api.md"


def test_every_request_of_the_page_is_answered(api):
    """Each line with `curl` leads to JSON or to a stream of lists, and none to a problem."""
    lines = re.findall(r"^\$ (curl .+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    for line in lines:
        command = shlex.split(line.replace("localhost:8080", f"127.0.0.1:{api.base_url.port}"))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (line, done.stderr)
        if "/stream" in line:
            assert "event: list" in done.stdout, (line, done.stdout)
        else:
            assert "status" not in json.loads(done.stdout), (line, done.stdout)
    assert len(lines) == 10
