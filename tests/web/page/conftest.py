"""A browser, and the page in front of a real installation that it opens."""

import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams.redis.connection import connect_to_read
from streams.registry.registry import Registry
from streams.stack import open_stack
from tests.toy import toy_snapshot

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
TS = 1_700_000_000_000
GENRES = ("Comedy", "Children", "Drama", "Thriller")
NAMES = ("Harbour", "Lantern", "Orchard", "Ferry", "Winter", "Carousel", "Letter", "Island", "Garden", "Signal")
KINDS = {"Merry": ("Comedy", "Children"), "Silent": ("Drama",), "Dark": ("Thriller", "Drama"), "Odd": ("Comedy",)}
ITEMS = [
    {"item_id": f"i{n}", "title": f"The {kind} {name}", "year": 1980 + n, "genres": list(genres)}
    for n, (kind, name, genres) in enumerate((kind, name, KINDS[kind]) for name in NAMES for kind in KINDS)
]


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium, the one of the distribution; while it runs no other event loop can in this thread."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip(f"one of {', '.join(CHROMIUM)} is required on PATH, got none; `apt-get install chromium` brings it")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only tests that use it pay for it

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory):
    """Return the folder that pictures of the page are kept in."""
    named = os.environ.get("REELSTREAM_ARTEFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def served(install, stack, tmp_path_factory):
    """Return an installation with forty items, two versions, a worker and the page, whose Valkey may be stopped."""
    with open_stack(tmp_path_factory.mktemp("stack"), kafka=stack.kafka) as own:
        installation = install()
        installation.settings = installation.settings.at(stack.kafka, own.valkey.url)
        installation.redis.close()
        installation.redis = connect_to_read(own.valkey.url, prefix=installation.settings.prefix)
        no_keys = str(installation.folder / "no-keys.json")
        with (
            installation.process("worker", "--personalize-at", "3", "--expose", "0") as worker,
            installation.process("scorekeeper") as scorekeeper,
            installation.process("api", "--port", "0", "--keys", no_keys) as api,
        ):
            for process in (worker, scorekeeper, api):
                process.await_ready()
            yield SimpleNamespace(installation=installation, valkey=own.valkey, url=address_of(api), worker=worker)


def address_of(api):
    """Return where a process of the API says that it listens."""
    return re.search(r"api\.ready (http://[0-9.:]+)", api.said()).group(1)


def send_catalogue(installation):
    """Send the items, and some watches of others, so that something trends."""
    installation.send_all("catalog-items", [(item["item_id"], item) for item in ITEMS])
    installation.send_all(
        "watch-events",
        [
            (
                f"u{user}",
                {
                    "event_id": f"u{user}-{n}",
                    "user_id": f"u{user}",
                    "item_id": f"i{(7 * user + 3 * n) % 40}",
                    "ts": TS + n,
                    "progress": 1.0,
                },
            )
            for user in range(6)
            for n in range(5)
        ],
    )


def serve_versions(installation):
    """Store two versions, the second trained from the first, let the second serve, and return both ids."""
    registry = Registry(installation.settings.registry)
    item_genres = [[genre in item["genres"] for genre in GENRES] for item in ITEMS]
    made = []
    for seed in (1, 2):
        version = registry.save(
            toy_snapshot([item["item_id"] for item in ITEMS], genres=GENRES, item_genres=item_genres, seed=seed),
            parent=made[-1] if made else None,
            metrics={"hr@10": 0.2 + 0.01 * seed, "popularity_hr@10": 0.15},
            offsets={},
            created_ms=TS,
            seed=seed,
            code_revision="test",
        )
        made.append(version.version_id)
    pointer = {"version": version.version_id, "uri": version.uri, "promoted_at": TS}
    installation.redis.hset("model:current", mapping=pointer)
    return made
