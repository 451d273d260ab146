"""Packages of npm for the tests that need one: fetched into a folder of the test, never into the project."""

import shutil
import subprocess

import pytest

FETCH_S = 100.0


def npm_packages(folder, *pinned):
    """Fetch packages into a folder and return where they lie; skip the test, and say why, where that is impossible."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing: Debian's packages nodejs and npm have it")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", f"--prefix={folder}", *pinned]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not fetch {', '.join(pinned)} within {FETCH_S:.0f} s: it needs a registry that answers")
    if done.returncode:
        pytest.skip(
            f"npm cannot fetch {', '.join(pinned)}, for which it needs a registry: {done.stderr.strip()[-300:]}"
        )
    return folder / "node_modules"
