"""Where `up` and `demo` let the API listen."""

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress

from commands.parts.children import api_address, worker_process
from streams.settings import Settings


def test_no_child_takes_the_port_of_another(tmp_path):
    """A port for metrics that is set, in the environment or in a file, is not that of every child."""
    (tmp_path / "own.toml").write_text("[metrics]\nport = 9464\n")
    given = {"REELSTREAM_METRICS_PORT": "9464", "REELSTREAM_CONFIG": str(tmp_path / "own.toml")}
    worker = worker_process(Settings("h:9", "redis://h", str(tmp_path)), tmp_path / "worker.log")

    def port(environment):
        words = [sys.executable, "-m", "reelstream", "config", "show", "--json"]
        done = subprocess.run(words, env=environment, capture_output=True, check=True, timeout=120)
        return {row["name"]: row["value"] for row in json.loads(done.stdout)["settings"]}["metrics.port"]

    assert port(os.environ | given) == "9464"
    assert port(os.environ | given | worker._environment) == ""


def test_a_port_that_is_taken_is_left_alone(tmp_path):
    """The API has its own port where that is free; where somebody listens there, another one, the same each time."""
    with suppress(OSError), socket.create_server(("127.0.0.1", 8080)):
        other = api_address(tmp_path)
    with suppress(OSError), socket.create_server(("127.0.0.1", 8080)):
        assert api_address(tmp_path) == other != "http://127.0.0.1:8080"
