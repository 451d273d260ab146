"""How soon a rating is seen to have changed the list, and how soon the page is there, in a real browser.

Usage: ``python -m benchmarks.web.page ml-100k [--ratings 100] [--opens 10] [--json]``

A visitor rates the first item of their list again and again. The browser itself takes the time, from the click until
the list's elements have changed. The floor of it is the delay of the worker: from Kafka's timestamp of the rating to
the publication of its list. An opening ends when the first item is there, each in a browser that has nothing kept.
"""

import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson
from playwright.sync_api import Page, sync_playwright
from redis import Redis

from benchmarks.flow.pipeline import served
from replay.datasets.readers import read_dataset
from streams.settings import Settings
from streams.stack.process import Server, wait_until
from streams.state.keys import UserKeys

START_S = 60.0
WATCH = """() => {
  const list = document.querySelector("section > ol.cards");
  window.changed = [];
  new MutationObserver(() => window.changed.push(performance.now()))
    .observe(list, {childList: true, subtree: false});
  document.addEventListener("click", () => { window.clicked = performance.now(); window.changed = []; }, true);
}"""
TOOK = "() => window.changed.length ? window.changed[0] - window.clicked : null"


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Run the process that serves the page, and give its address."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "api.log"
        options = ("--port", "0", "--keys", str(Path(name) / "no-keys.json"))
        command = [sys.executable, "-m", "reelstream", "api", *options]
        process = Server("api", command, log, {**os.environ, **settings.environment()})
        process.start()
        try:
            if not wait_until(lambda: "api.ready" in log.read_text("utf-8"), START_S):
                raise SystemExit(f"the page must be ready within {START_S:g} s, got\n{log.read_text('utf-8')}")
            yield str(re.findall(r"api\.ready (http://[0-9.:]+)", log.read_text("utf-8"))[0])
        finally:
            process.stop(12.0)


def rated(page: Page, settings: Settings, user: str, ratings: int) -> tuple[list[float], list[float]]:
    """Rate the first item of the list again and again; return what the browser saw and what the worker took, in ms."""
    seen, made = [], []
    with Redis.from_url(settings.redis) as client:
        for _ in range(ratings):
            page.locator("section > ol.cards > li .star").nth(3).click()
            page.wait_for_function(TOOK, timeout=30_000, polling=5)
            seen.append(float(page.evaluate(TOOK)))
            found: Any = client.get(UserKeys.of(user).recs)
            record = orjson.loads(found)
            made.append(float(record["published_ts"] - record["trigger"]["timestamp"]))
            time.sleep(0.1)
    return seen[1:], made[1:]  # the first list takes the place of what trends


def opened(browser: Any, address: str, opens: int) -> list[float]:
    """Return the milliseconds until the first item is there, each in a context of its own."""
    found = []
    for _ in range(opens):
        context = browser.new_context()
        page = context.new_page()
        began = time.perf_counter()
        page.goto(address)
        page.locator("ol.cards > li.card").first.wait_for()
        found.append(1000 * (time.perf_counter() - began))
        context.close()
    return found


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile."""
    return {"p50": statistics.median(values), "p95": statistics.quantiles(values, n=20)[-1]}


@click.command()
@click.argument("dataset")
@click.option("--ratings", type=click.IntRange(min=10), default=100, show_default=True)
@click.option("--opens", type=click.IntRange(min=3), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(dataset: str, ratings: int, opens: int, *, as_json: bool) -> None:
    """Print both, in milliseconds."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is required on PATH, got none; `apt-get install chromium` brings it")
    with served(read_dataset(dataset)) as settings, serving(settings) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opening = opened(browser, address, opens)
        page = browser.new_page()
        page.goto(f"{address}/?user=somebody")
        page.locator("section > ol.cards > li.card").first.wait_for()
        page.evaluate(WATCH)
        seen, made = rated(page, settings, "somebody", ratings + 1)
        browser.close()
    found = {"opening": percentiles(opening), "seen": percentiles(seen), "made": percentiles(made)}
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, words in (
        ("opening", f"until the page shows its first item, of {opens}"),
        ("seen", f"from a click until the list changes in the browser, of {ratings}"),
        ("made", "of these, from Kafka's timestamp to the published list"),
    ):
        click.echo(f"{words}: median {found[name]['p50']:.0f} ms, p95 {found[name]['p95']:.0f} ms")


if __name__ == "__main__":
    main()
