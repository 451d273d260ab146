"""Every process that shows signs of life, and whether it says that it is well."""

from collections.abc import Mapping
from typing import Any

from web.page.elements import tag
from web.page.operator.figures import grid, panel

__all__ = ["Processes"]

NEEDED = frozenset(["worker"])  # without one there are no lists
DOES = {
    "worker": "answers events with lists",
    "trainer": "learns from the events",
    "scorekeeper": "tests lists",
    "archiver": "keeps events",
    "api": "answers over HTTP",
}


class Processes:
    """A part with a row for each process."""

    def __init__(self) -> None:
        self._told: Any = None
        _, self._body = panel("Processes", "panel whole")

    def show(self, alive: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Show all roles, those without a process as well."""
        rows = [row for role, reports in alive.items() for row in _rows(role, reports)]
        if rows == self._told:
            return
        self._told = rows
        self._body.clear()
        with self._body, grid("processes and their health", ("Role", "Process", "Health", "Says")):
            for role, name, health, colour, says in rows:
                with tag("tr"):
                    tag("th", role, scope="row")
                    tag("td", name)
                    with tag("td"):
                        tag("span", health, f"badge {colour}")
                    tag("td", says)


def _rows(role: str, reports: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    if not reports:
        health = ("missing", "bad") if role in NEEDED else ("none", "")
        return [(role, "", *health, f"none runs; it {DOES.get(role, 'runs')}")]
    return [(role, name, *_health(report), _says(report)) for name, report in reports.items()]


def _health(report: Mapping[str, Any]) -> tuple[str, str]:
    if report.get("fault"):
        return "at fault", "bad"
    if any(report.get(reason) for reason in ("kafka_away_s", "unloaded", "held", "round_waits_s")):
        return "waiting", "warn"
    return "well", "good"


def _says(report: Mapping[str, Any]) -> str:
    if report.get("fault"):
        return str(report["fault"])
    if report.get("kafka_away_s"):
        return f"Kafka has not answered for {report['kafka_away_s']:.0f} s"
    if report.get("unloaded"):
        return f"version {report['unloaded']} cannot be loaded"
    if report.get("round_waits_s"):
        unread = f"{report.get('lag', 0):,} events are not read yet"
        return f"no version was made for {report['round_waits_s']:.0f} s, as {unread}"
    version = report.get("model_version")
    parts = ["training now"] if report.get("training") else []
    parts += [f"on {version}"] if version else []
    return ", ".join(parts)
