"""What was decided of versions: what the gate and people said, and why."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from web.page.elements import Tag, tag
from web.page.operator.figures import MISSING, age, grid, panel

__all__ = ["N_DECISIONS", "Decisions"]

N_DECISIONS = 12  # `reelstream model history` lists all that are kept
# What a status is called, and its colour.
DECIDED = {
    "promoted": ("promoted", "good"),
    "rejected": ("rejected", "warn"),
    "held": ("held", "warn"),
    "rolled_back": ("rolled back", "bad"),
    "withdrawn": ("withdrawn", "bad"),
    "failed": ("failed", "bad"),
    "drifting": ("drifting", "warn"),
}


class Decisions:
    """A part with the latest decisions, newest first."""

    def __init__(self) -> None:
        self._told: Any = None
        self._ages: list[tuple[Tag, float]] = []
        _, self._body = panel("Decisions", "panel whole")

    def show(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Show them; while there is no new one, only how long ago they were changes."""
        now_s = time.time()
        if history != self._told:
            self._told = history
            self._draw(history)
        for cell, at_s in self._ages:
            cell.set_text(age(now_s - at_s))

    def _draw(self, history: Sequence[Mapping[str, Any]]) -> None:
        self._ages = []
        self._body.clear()
        with self._body:
            if not history:
                with tag("div", classes="empty"):
                    tag("p", "None yet: a version that a trainer made is decided about by its gate.")
                return
            with grid("decisions about versions", ("Decision", "Version", "Age", "By", "Why")):
                for one in history:
                    self._row(one)

    def _row(self, one: Mapping[str, Any]) -> None:
        words, colour = DECIDED.get(one["status"], (one["status"], ""))
        with tag("tr"):
            with tag("th", scope="row"):
                tag("span", words, f"badge {colour}")
            tag("td", one["version"] or (f"one after {one['parent']}" if one["parent"] else MISSING))
            self._ages.append((tag("td"), one["ts"] / 1000))
            tag("td", one["by"] or MISSING)
            tag("td", one["cause"] or MISSING)
