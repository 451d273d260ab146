"""What running processes tell Prometheus, compared with what was sent to them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from streams.stack.ports import settle_ports

DEPLOY = Path(__file__).parents[3] / "deploy"
READERS = ("worker", "trainer", "scorekeeper", "archiver")
ROLES = (*READERS, "api")


@pytest.fixture(scope="module")
def installation(install):
    """Return an installation of this module."""
    return install()


@pytest.fixture(scope="module")
def scrape(installation):
    """Run one process of each role, and return a function that reads the samples of one."""
    ports = settle_ports(installation.folder / "metrics.json", ROLES)
    options = {
        "archiver": ["--archive", str(installation.folder / "archive"), "--log-format", "json"],
        "trainer": ["--first-events", "60"],
        "api": ["--port", "0", "--keys", str(installation.folder / "no-keys.json")],
    }
    processes = [
        installation.process(role, "--metrics-port", str(ports[role]), *options.get(role, ())) for role in ROLES
    ]

    def read(role):
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[role]}/metrics", timeout=30) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}

    for process in processes:
        process.__enter__()
    try:
        for process in processes:
            process.await_ready()
        for role in ROLES:
            assert urllib.request.urlopen(f"http://127.0.0.1:{ports[role]}/health/live", timeout=30).status == 200
        ask_over_http(re.search(r"api\.ready (http://[0-9.:]+)", processes[-1].said()).group(1))
        yield read
    finally:
        for process in processes:
            process.__exit__()


def ask_over_http(address):
    """Ask for the list of a user who has none, and send an event that is refused, as both are counted."""
    asking = HTTPConnection(address.removeprefix("http://"), timeout=30)
    asking.request("GET", "/users/nobody/recommendations")
    assert asking.getresponse().read()
    refused = json.dumps({"user_id": "u0", "item_id": "i0"})
    asking.request("POST", "/events", refused, {"content-type": "application/json"})
    assert asking.getresponse().status == 422
    asking.close()


def watch(user, item, n):
    """Return a watch event."""
    return {
        "event_id": f"{user}-{item}-{n}",
        "user_id": user,
        "item_id": item,
        "ts": 1_700_000_000_000 + 1000 * n,
        "progress": 1.0,
    }


def test_processes_count_what_was_sent(installation, scrape, until):
    """Accepted events, a producer's duplicate, a dead letter, lists and durations are told as they were sent."""
    items = [(f"i{n}", {"item_id": f"i{n}", "title": f"Item {n}", "genres": ["Drama"]}) for n in range(40)]
    installation.send_all("catalog-items", items)
    events = [(f"u{n % 8}", watch(f"u{n % 8}", f"i{(7 * n) % 40}", n)) for n in range(120)]
    installation.send_all("watch-events", [*events, events[-1], ("u0", b"{")])
    installation.send_all("recommendation-requests", [("u1", {"request_id": "r1", "user_id": "u1"})])

    def counted():
        found = scrape("worker")
        accepted = found.get(("reelstream_events_total", ("outcome", "accepted"), ("topic", "watch-events")), 0)
        return accepted == 120 and found.get(("reelstream_batch_records_count", ("of", "requests")), 0) == 1

    until(counted, 60, lambda: f"120 accepted events and a request, got {scrape('worker')}")
    found = scrape("worker")
    of_watches = {key[1][1]: n for key, n in found.items() if key[0] == "reelstream_events_total"}
    assert of_watches == {"accepted": 120, "duplicate": 1, "rejected": 1}
    letters = {key[1:]: n for key, n in found.items() if key[0] == "reelstream_dead_letters_total"}
    assert list(letters.values()) == [1]
    assert dict(next(iter(letters)))["topic"] == "watch-events"
    lists = sum(n for key, n in found.items() if key[0] == "reelstream_lists_total")
    assert lists == found["reelstream_event_to_list_seconds_count", ("trigger", "event")] + 1
    assert lists == len(installation.records("recommendations"))
    assert found["reelstream_event_to_list_seconds_count", ("trigger", "request")] == 1
    batches = found["reelstream_batch_records_count", ("of", "events")]
    assert found["reelstream_batch_records_sum", ("of", "events")] == 122  # as many as were sent
    for stage in ("decode", "apply", "answer", "publish", "keep", "acknowledge"):
        assert found["reelstream_stage_seconds_count", ("stage", stage)] == batches
        worked = found["reelstream_stage_worked_seconds_total", ("stage", stage)]
        assert 0 < worked < found["reelstream_stage_seconds_sum", ("stage", stage)]
    assert found["reelstream_catalogue_items",] == 40
    assert found["reelstream_healthy",] == 1


def test_lag_is_none_once_everything_is_done(scrape, until):
    """Each process that reads events tells the lag of every partition, and it is 0 once all is read."""
    for role in READERS:

        def lags(role=role):
            return {key[1:]: n for key, n in scrape(role).items() if key[0] == "reelstream_consumer_lag_records"}

        def done(lags=lags):
            found = lags()
            watched = [n for labels, n in found.items() if ("topic", "watch-events") in labels]
            return len(watched) == 2 and not any(found.values())

        until(done, 60, lambda role=role, lags=lags: f"no lag of {role}, got {lags()}")


def test_a_round_and_its_version_are_told(installation, scrape, until):
    """The trainer tells how its round ended and how long it took, and worker and scorekeeper name what serves."""

    def outcomes():
        return {key[1][1]: n for key, n in scrape("trainer").items() if key[0] == "reelstream_rounds_total"}

    until(lambda: sum(outcomes().values()) >= 1, 200, lambda: f"a round, got {outcomes()}")
    until(lambda: scrape("trainer")["reelstream_training",] == 0, 60, lambda: "the end of the round")
    found = scrape("trainer")
    assert found["reelstream_round_seconds_count",] == sum(outcomes().values())
    assert found["reelstream_trainer_records_total",] == 122  # the duplicate and the one that is no event are read too
    if outcomes()["promoted"]:
        version = installation.redis.hget("model:current", "version")
        named = ("reelstream_model_info", ("version", version))
        until(lambda: named in scrape("worker") and named in scrape("scorekeeper"), 30, lambda: f"{named}")
        assert scrape("worker")["reelstream_model_promoted_timestamp_seconds",] > 1_700_000_000


def test_users_and_memory_are_told(scrape, until):
    """The leading worker counts users by mode, and each process with a Redis tells the memory that this uses."""

    def users():
        return sum(n for key, n in scrape("worker").items() if key[0] == "reelstream_users")

    until(lambda: users() == 8, 90, lambda: f"8 users, got {users()}")
    for role in ("worker", "trainer", "scorekeeper"):
        assert scrape(role)["reelstream_redis_used_bytes",] > 100_000


def test_reports_tell_lag_latency_and_age(installation):
    """The worker's report, which ``reelstream health`` prints, has lag and the times from event to list."""
    command = [sys.executable, "-m", "reelstream", "health", "worker", "--json"]
    environment = {**os.environ, **installation.settings.environment()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    [report] = json.loads(done.stdout)["alive"].values()
    assert report["lag"] == 0
    assert report["list_p50_ms"] is None or 0 < report["list_p50_ms"] <= report["list_p99_ms"]
    assert (report["model_age_s"] is None) == (report["model_version"] is None)


@pytest.fixture(scope="module")
def prometheus(installation, scrape):
    """Run Prometheus on the project's own configuration, with the processes of this module for targets; return a query.

    Only where it finds them is another, and it looks each second.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not on PATH: `make tools` installs Debian's package prometheus")
    folder = installation.folder
    own = settle_ports(folder / "prometheus.json", ["prometheus"])["prometheus"]
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
    ports = json.loads((folder / "metrics.json").read_text())
    assert all(scrape(role) for role in ports)
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / name) for name in config["rule_files"]]
    config["scrape_configs"] = [
        {"job_name": job["job_name"], "static_configs": [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]}
        for job in config["scrape_configs"]
        if job["job_name"] in ports
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stderr=log) as server:

        def ask(path):
            with urllib.request.urlopen(f"http://127.0.0.1:{own}/api/v1/{path}", timeout=30) as answer:
                return json.loads(answer.read())["data"]

        yield ask
        server.terminate()


def answers(ask, path):
    """Return what Prometheus answers, or None while it does not."""
    try:
        return ask(path)
    except (OSError, ValueError):
        return None


def test_prometheus_finds_every_series(installation, prometheus, until):
    """A real Prometheus has each series that board and alerts name, and every process answers it."""
    later = [(f"u{n}", watch(f"u{n}", f"i{n + 30}", 200 + n)) for n in range(8)]
    installation.send_all("watch-events", later)  # their users have lists by now, so live quality is told
    up = "query?query=count(up%20%3D%3D%201)"
    wanted = {name for expression in expressions() for name in re.findall(r"\b(?:reelstream|process)_\w+", expression)}

    def names():
        return set(answers(prometheus, "label/__name__/values") or ())

    def all_up():
        found = answers(prometheus, up)
        return found is not None and [one["value"][1] for one in found["result"]] == [str(len(ROLES))]

    until(all_up, 80, lambda: f"{len(ROLES)} processes that answer, got {answers(prometheus, 'targets')}")
    until(lambda: wanted <= names(), 150, lambda: f"{sorted(wanted - names())}")
    assert len(wanted) > 40


def test_prometheus_can_evaluate_every_alert(prometheus, until):
    """Prometheus evaluates each alert without an error, and none that pages is on in an installation that is well."""

    def rules():
        groups = (answers(prometheus, "rules") or {"groups": []})["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(
        lambda: rules() and all(rule["health"] == "ok" for rule in rules()),
        60,
        lambda: f"rules that are ok, got {[(rule['name'], rule['health'], rule.get('lastError')) for rule in rules()]}",
    )
    firing = [rule["name"] for rule in rules() if rule["state"] == "firing" and rule["labels"]["severity"] == "page"]
    assert firing == []


def test_prometheus_answers_every_panel(prometheus):
    """Each expression of the board is one that Prometheus can answer."""
    for expression in expressions():
        query = urllib.parse.quote(expression.replace("$__rate_interval", "30s"))
        assert "result" in prometheus(f"query?query={query}")


def expressions():
    """Return the expressions of board and alerts."""
    board = json.loads((DEPLOY / "grafana/boards/reelstream.json").read_text("utf-8"))
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"]
    return [
        *(target["expr"] for panel in board["panels"] for target in panel.get("targets", ())),
        *(found["expr"] for found in board["annotations"]["list"]),
        *(rule["expr"] for group in groups for rule in group["rules"]),
    ]


def test_logs_can_be_read_by_programs(installation, scrape):
    """Each line of each log is of key=value or of JSON, with no terminal escape and no object's address."""
    assert scrape("archiver")
    logs = {path.name.partition("-")[0]: path.read_text() for path in installation.folder.glob("*-*.log")}
    assert set(logs) == set(ROLES)
    for role, text in logs.items():
        assert not re.search(r"[\x00-\x09\x0b-\x1f]| at 0x", text), text
        for line in text.splitlines():
            told = json.loads(line) if role == "archiver" else dict(word.split("=", 1) for word in shlex.split(line))
            assert {"ts", "level", "role", "host", "pid", "logger", "msg"} <= told.keys()
            assert told["role"] == role
