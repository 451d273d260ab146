"""How often lists are right while they are served, beside popularity, with a mark where another version began."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nicegui import ui

from web.page.elements import tag
from web.page.operator.chart import Mark, two_lines
from web.page.operator.figures import Tiles, number, panel

__all__ = ["Quality", "picture"]

MIN_POINTS = 2  # of a line
MAX_MARKS = 8  # that have names, the latest
NO_VERSION = "no version"
_NUMBER = re.compile(r"v0*(\d+)")


class Quality:
    """A part with the live hit rate."""

    def __init__(self) -> None:
        _, body = panel("Live quality", "panel whole")
        body.clear()
        with body:
            self._tiles = Tiles("HR@10, latest", "Popularity, same events", "Tests", "HR@10, all")
            self._chart = ui.html("", sanitize=False)
            with tag("p", classes="small muted row"):
                tag("span", "", "legend-line")
                tag("span", "lists")
                tag("span", "", "legend-line b")
                tag("span", "popularity")
            self._said = tag("p", "", "small muted")

    def show(
        self, quality: Mapping[str, Any], series: Sequence[Mapping[str, Any]], moves: Sequence[Mapping[str, Any]]
    ) -> None:
        """Show the figures, the series and what moved the pointer, each newest first."""
        figures = quality["figures"]
        if figures is None:
            self._said.set_text("Nothing has been counted yet; `reelstream scorekeeper` counts.")
            return
        total, latest = figures["total"], figures["latest"]
        self._tiles.set("HR@10, latest", number(latest["hit_rate"], digits=4), f"of {latest['tests']:,} tests")
        self._tiles.set("Popularity, same events", number(latest["popularity_hit_rate"], digits=4))
        self._tiles.set("Tests", number(total["tests"]), f"{total['named']:,} named their list")
        self._tiles.set("HR@10, all", number(total["hit_rate"], digits=4))
        self._said.set_text("" if quality["scorekeeper"] else "No scorekeeper is alive; these figures stand still.")
        points = list(reversed(series))
        if len(points) < MIN_POINTS:
            self._said.set_text("A line follows with the second point; there is one every 10 s with tests.")
            return
        self._chart.set_content(picture(points, moves))


def picture(points: Sequence[Mapping[str, Any]], moves: Sequence[Mapping[str, Any]]) -> str:
    """Return the lines of lists and of popularity, points oldest first, with a mark at each move, newest first."""
    first_ms, last_ms = points[0]["at_ms"], points[-1]["at_ms"]
    first = points[0]["version"] or NO_VERSION
    marks = [Mark(first_ms, _short(first), first)]
    marks += [
        Mark(move["ts"], _short(_serves(move)), _serves(move))
        for move in reversed(moves)
        if first_ms < move["ts"] <= last_ms
    ]
    last = points[-1]
    says = (
        f"Hit rate of the latest tests over time. Lists {last['hit_rate']:.3f}, popularity "
        f"{last['popularity_hit_rate']:.3f} now; {len(marks) - 1} changes of version."
    )
    unnamed = [replace(mark, name="") for mark in marks[:-MAX_MARKS]]
    return two_lines(
        [point["at_ms"] for point in points],
        [point["hit_rate"] for point in points],
        [point["popularity_hit_rate"] for point in points],
        [*unnamed, *marks[-MAX_MARKS:]],
        says,
    )


def _short(version: str) -> str:
    """Return a version's number as a name that fits above a phone's chart."""
    found = _NUMBER.match(version)
    return f"v{found[1]}" if found else "none"


def _serves(move: Mapping[str, Any]) -> str:
    """Return what serves since a decision."""
    return NO_VERSION if move["status"] == "withdrawn" else str(move["version"])
