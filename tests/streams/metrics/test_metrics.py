"""What is measured: names as Prometheus wants them, counts by label, durations, and an endpoint of one's own."""

import asyncio
import re
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from agents.archiver.report import ArchiverReport
from agents.scorekeeper.report import ScorekeeperReport
from agents.trainer.report import TrainerReport
from agents.worker.report import WorkerReport
from streams.errors import SettingsError
from streams.metrics.address import MetricsAddress
from streams.metrics.collector import ReportCollector, lag_figures
from streams.metrics.endpoint import process_registry, serve_metrics
from streams.metrics.families import FAMILIES, LAG
from streams.metrics.latency import LatencyWindow
from streams.metrics.loop_life import LoopLife
from streams.metrics.worker import WorkerMetrics
from streams.stack.ports import settle_ports

UNITS = ("_seconds", "_bytes", "_records", "_info", "_rate", "_total")
COUNTS = {  # gauges of a state or of things, which have no unit
    *("reelstream_healthy", "reelstream_breaker_open", "reelstream_users", "reelstream_partitions_stalled"),
    *("reelstream_catalogue_items", "reelstream_hinted_users", "reelstream_versions_loaded", "reelstream_training"),
    *("reelstream_gate_events", "reelstream_live_tests", "reelstream_archive_store_away", "reelstream_api_streams"),
}


def value(registry, name, **labels):
    """Return one sample of a registry."""
    return registry.get_sample_value(name, labels)


def test_names_keep_the_conventions():
    """Each name has the prefix, the unit at its end unless it counts things, and no other family has it."""
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"reelstream(_[a-z]+)+", name) for name in names)
    unitless = {family.name for family in FAMILIES if family.kind != "counter" and not family.name.endswith(UNITS)}
    assert unitless == COUNTS
    assert all(family.help.endswith(".") for family in FAMILIES)


def test_every_family_is_on_its_page():
    """docs/operate/metrics.md names each family with its labels, and no other."""
    page = (Path(__file__).parents[3] / "docs" / "operate" / "metrics.md").read_text("utf-8")
    shown = {found[0]: found[1] for found in re.findall(r"^\| `(reelstream_\w+)` \| ([^|]*) \|", page, re.MULTILINE)}
    series = {
        f"{family.name}_total" if family.kind == "counter" else family.name: ", ".join(
            f"`{label}`" for label in family.labels
        )
        for family in FAMILIES
    }
    assert shown == series


@pytest.mark.parametrize("report", [WorkerReport, TrainerReport, ScorekeeperReport, ArchiverReport])
def test_every_report_tells_families(report):
    """What a report tells Prometheus is of known families, and is what the report holds when it is asked."""
    registry, told = CollectorRegistry(), report()
    registry.register(ReportCollector(told.figures))
    found = {metric.name for metric in registry.collect()}
    assert found <= {family.name for family in FAMILIES}
    assert value(registry, "reelstream_healthy") == 1
    told.fault, told.lost = "it is broken", 3
    assert value(registry, "reelstream_healthy") == 0
    assert value(registry, "reelstream_offsets_lost_total") == 3


def test_lag_is_told_by_topic_without_the_prefix():
    """The topic of a lag is named as in the documentation, whatever prefix the installation has."""
    registry = CollectorRegistry()
    registry.register(ReportCollector(lambda: [(LAG, lag_figures({("x-watch-events", 1): 7}, "x-"))]))
    assert value(registry, "reelstream_consumer_lag_records", topic="watch-events", partition="1") == 7


def test_lists_and_letters_are_counted_by_label():
    """Lists are counted by mode and tier, changes by both modes, letters by topic and cause, events by outcome."""
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    metrics.note_lists([("personalized", "personalized"), ("refused", None)], [("cold_start", "personalized")])
    metrics.note_dead_letters([("watch-events", "not_json"), ("watch-events", "not_json")])
    metrics.note_events("rate-events", "duplicate", 4)
    metrics.note_events("rate-events", "accepted", 0)
    assert value(registry, "reelstream_lists_total", mode="personalized", tier="personalized") == 1
    assert value(registry, "reelstream_lists_total", mode="refused", tier="none") == 1
    assert value(registry, "reelstream_mode_changes_total", before="cold_start", after="personalized") == 1
    assert value(registry, "reelstream_dead_letters_total", topic="watch-events", cause="not_json") == 2
    assert value(registry, "reelstream_events_total", topic="rate-events", outcome="duplicate") == 4
    assert value(registry, "reelstream_events_total", topic="rate-events", outcome="accepted") is None


def test_lists_are_timed_from_the_record_on():
    """A list counts as late as its record is old, and one from a clock that is ahead as not late at all."""
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry, wall_ms=lambda: 10_000.0)
    metrics.note_delivered("event", [9_960, 8_000, 11_000])  # 0.04 s, 2 s, and a second ahead
    assert value(registry, "reelstream_event_to_list_seconds_sum", trigger="event") == pytest.approx(2.04)
    assert value(registry, "reelstream_event_to_list_seconds_bucket", trigger="event", le="0.05") == 2
    assert metrics.latest.quantiles(0.0, 0.5, 1.0) == (0.0, 0.04, 2.0)
    metrics.note_delivered("request", [1_000])  # is none of an event
    assert metrics.latest.quantiles(1.0) == (2.0,)


def test_quantiles_are_of_the_last_minute():
    """A duration is forgotten after a minute, and without any there is no quantile."""
    now = [0.0]
    window = LatencyWindow(lambda: now[0])
    assert window.quantiles(0.5) is None
    window.add(9.0)
    now[0] = 30.0
    for hundredths in range(1, 101):
        window.add(hundredths / 100)
    now[0] = 61.0  # the first is a minute old, the hundred others half a minute
    assert window.quantiles(0.5, 0.99) == (0.50, 0.99)  # of 0.01 to 1.00
    now[0] = 91.0
    assert window.quantiles(0.5) is None


@pytest.mark.parametrize(("share", "found"), [(0.0, 1), (0.07, 7), (0.5, 50), (0.501, 51), (0.99, 99), (1.0, 100)])
def test_a_share_is_no_larger_than_asked_for(share, found):
    """A quantile is the smallest duration that the share does not exceed: the 99th of a hundred for 99 %."""
    window = LatencyWindow(lambda: 0.0)
    for seconds in range(1, 101):
        window.add(seconds)
    assert window.quantiles(share) == (found,)


def test_endpoint_answers(tmp_path):
    """What a registry holds is answered over HTTP as Prometheus reads it, with the process's role and memory."""
    port = settle_ports(tmp_path / "ports.json", ["metrics"])["metrics"]
    server = serve_metrics("trainer", process_registry("trainer"), MetricsAddress("127.0.0.1", port), LoopLife())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = {one.name: one for one in text_string_to_metric_families(answer.read().decode())}
    server.shutdown()
    server.server_close()
    assert found["reelstream_process_info"].samples[0].labels["role"] == "trainer"
    assert found["process_resident_memory_bytes"].samples[0].value > 1_000_000


def test_a_taken_port_is_told():
    """A port that somebody else has is one line that names it, the options, and the system's reason."""
    server = serve_metrics("worker", CollectorRegistry(), MetricsAddress("127.0.0.1", 0), LoopLife())
    taken = MetricsAddress("127.0.0.1", server.server_port)
    with pytest.raises(SettingsError, match=rf"worker: .* got 127.0.0.1:{taken.port} .*--metrics-port"):
        serve_metrics("worker", CollectorRegistry(), taken, LoopLife())
    server.shutdown()
    server.server_close()


def test_nothing_is_served_without_a_port():
    """A process that was told no port opens none."""
    assert serve_metrics("worker", CollectorRegistry(), None, LoopLife()) is None


def health(server):
    """Return the status that is answered under ``/health/live``."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/health/live", timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_loop_that_hangs_is_told():
    """It is alive while its loop takes turns: not before that, not while a call holds it, and not after its end."""
    life, loop, may_go_on, may_end = LoopLife(0.2), asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    server = serve_metrics("worker", CollectorRegistry(), MetricsAddress("127.0.0.1", 0), life)
    assert health(server) == 503
    running = threading.Thread(target=loop.run_until_complete, args=(life.during(may_end.wait()),), daemon=True)
    running.start()
    until = time.monotonic() + 60
    while health(server) != 200:
        assert time.monotonic() < until
    loop.call_soon_threadsafe(may_go_on.wait)
    assert health(server) == 503
    may_go_on.set()
    while health(server) != 200:
        assert time.monotonic() < until
    loop.call_soon_threadsafe(may_end.set)
    running.join(60)
    loop.close()
    assert health(server) == 503
    server.shutdown()
    server.server_close()
