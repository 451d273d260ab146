"""Model versions with the figures of their gate, and the way back to each, asked twice."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from web.page.elements import Tag, button, tag
from web.page.operator.deciding import DecidingPart
from web.page.operator.figures import MISSING, age, grid

__all__ = ["VersionsPart"]

N_SHOWN = 12  # versions; the command line lists all
NONE_SERVES = "No version serves; lists hold what trends, and what is similar to what people touched."


class VersionsPart(DecidingPart):
    """A table of versions."""

    title = "Model versions"
    classes = "panel whole"
    _ages: list[tuple[Tag, float]]  # of the rows that are drawn

    def show(self, models: Mapping[str, Any]) -> None:
        """Show the versions; while nothing has changed their age alone does, so that the keyboard stays where it is."""
        told = (models["current"], models["anchor"], [version["version"] for version in models["versions"]])
        if told != self._told:
            self._told = told
            self._draw(models)
        now_s = time.time()
        for cell, made_s in self._ages:
            cell.set_text(age(now_s - made_s))

    def _draw(self, models: Mapping[str, Any]) -> None:
        self._ages = []
        self._body.clear()
        with self._body:
            if not models["versions"]:
                with tag("div", classes="empty"):
                    tag("p", "No version yet. A trainer makes the first one by itself, or from a log:")
                    tag("code", "reelstream train ml-100k")
                return
            self._way_back(models)
            self._table(models)
            if len(models["versions"]) > N_SHOWN:
                tag("p", f"The newest {N_SHOWN} of {len(models['versions'])}.", "small muted")

    def _way_back(self, models: Mapping[str, Any]) -> None:
        current = models["current"]
        parent = next((one["parent"] for one in models["versions"] if one["version"] == current), None)
        with tag("div", classes="row"):
            tag("p", f"{current} serves." if current else NONE_SERVES)
            if parent:
                button(f"Roll back to {parent}", partial(self._ask, parent, is_back=True), "btn danger")

    def _table(self, models: Mapping[str, Any]) -> None:
        shown = models["versions"][:N_SHOWN]
        figures = sorted({name for version in shown for name in version["metrics"] if _is_hit_rate(name)})
        names = [name.replace("_", " ").replace("hr@", "HR@") for name in figures]
        numbers = range(3, 3 + len(names))
        with grid("versions and the figures of their gate", ("Version", "Serve", "Age", *names, "Parent"), numbers):
            for version in shown:
                self._row(version, models, figures)

    def _row(self, version: Mapping[str, Any], models: Mapping[str, Any], figures: list[str]) -> None:
        name = version["version"]
        with tag("tr"):
            with tag("th", scope="row"):
                tag("span", f"{name} ")
                if name == models["current"]:
                    tag("span", "serves", "badge good")
                elif name == models["anchor"]:
                    tag("span", "anchor", "badge")
            with tag("td"):
                if name != models["current"]:
                    is_back = models["current"] is not None and name < models["current"]
                    button("Serve this", partial(self._ask, name, is_back=is_back), label=f"Serve {name}")
            self._ages.append((tag("td"), version["created_ms"] / 1000))
            for figure in figures:
                value = version["metrics"].get(figure)
                tag("td", MISSING if value is None else f"{value:.4f}", "n")
            tag("td", version["parent"] or MISSING)

    def _ask(self, version: str, *, is_back: bool) -> None:
        async def serve() -> str:
            self._announcer.say(f"Loading {version}")
            let = self._gateway.roll_back if is_back else self._gateway.promote
            served = await let(version, by=self._rights.by)
            return f"{served['current']} serves now; workers follow by themselves."

        question = f"Roll back to {version}?" if is_back else f"Serve {version}?"
        text = "Every worker follows within seconds, and what is trained next is measured by this version."
        self._decide(question, text, "Roll back" if is_back else "Serve it", "Not served", serve)

    async def look(self) -> None:
        """Look which versions there are, and show them."""
        self._rights.require("read")
        self.show(await self._gateway.models())


def _is_hit_rate(metric: str) -> bool:
    return any(part.startswith("hr@") for part in metric.split("_"))
