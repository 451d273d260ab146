"""What the tests of the API share: an installation that serves, and a process that answers for it."""

import re
from contextlib import contextmanager

import httpx
import pytest

ITEMS = [
    ("1", "The Glass Lantern", ["Drama"]),
    ("2", "Paper Boats", ["Drama", "Family"]),
    ("3", "Night Ferry", ["Comedy", "Family"]),
    ("4", "A Long Winter", ["Drama"]),
]


@pytest.fixture(scope="module")
def served(install, own_valkey, until):
    """Return an installation with a Valkey of its own, four items, a worker, and what ann did with one of them."""
    with own_valkey() as valkey:
        installation = install(redis=f"redis://127.0.0.1:{valkey.port}/0")
        installation.valkey = valkey
        installation.send_all(
            "catalog-items",
            [
                (item, {"item_id": item, "title": title, "genres": genres, "year": 2000})
                for item, title, genres in ITEMS
            ],
        )
        watch = {"event_id": "first", "user_id": "ann", "item_id": "1", "ts": 1_795_863_630_408, "progress": 0.9}
        installation.send_all("watch-events", [("ann", watch)])
        with installation.process("worker") as worker:
            worker.await_ready()
            until(lambda: installation.redis.exists("user:{ann}:recs"), 60, lambda: "a list of ann's")
            until(lambda: installation.redis.hlen("catalog:items") == len(ITEMS), 60, lambda: "the titles")
            yield installation


@pytest.fixture(scope="module")
def start(served):
    """Return a context manager for a process of the API, with an HTTP client of it."""

    @contextmanager
    def run(*options):
        no_keys = str(served.folder / "no-keys.json")
        with served.process("api", "--port", "0", "--keys", no_keys, *options) as process:
            process.await_ready()
            address = re.search(r"api\.ready (http://[0-9.:]+)", process.said()).group(1)
            with httpx.Client(base_url=address, timeout=60) as client:
                yield process, client

    return run


@pytest.fixture(scope="module")
def api(start):
    """Return an HTTP client of a process without keys."""
    with start() as (_, client):
        yield client
