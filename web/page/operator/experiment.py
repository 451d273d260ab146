"""The experiment that runs: both arms with intervals, and what may be said of their difference."""

from collections.abc import Mapping
from typing import Any

from web.page.elements import tag
from web.page.operator.figures import number, panel, table

__all__ = ["ExperimentPart"]


class ExperimentPart:
    """A part with the experiment."""

    def __init__(self) -> None:
        self._told: Any = None
        _, self._body = panel("Experiment")

    def show(self, found: Mapping[str, Any]) -> None:
        """Show the experiment, or that none runs."""
        if found == self._told:
            return
        self._told = found
        self._body.clear()
        with self._body:
            experiment = found["experiment"]
            if experiment is None:
                with tag("div", classes="empty"):
                    tag("p", "No experiment runs. To compare two ways to serve:")
                    tag("code", "reelstream ab start NAME --b-explore 1")
                return
            tag("p", f"{experiment['name']}: {100 * experiment['share']:g} % of the users are on arm b.")
            arms = {row["arm"]: row for row in found["arms"]}
            rows = [_row(experiment[name], arms.get(name)) for name in ("a", "b")]
            head = ("Arm", "Version", "Users", "Tests", "HR@10", "95 % interval")
            table("Arms of the experiment", head, rows, numbers=(2, 3, 4))
            self._difference(found["comparison"])

    def _difference(self, comparison: Mapping[str, Any]) -> None:
        if comparison["difference"] is not None:
            bounds = ""
            if comparison["low"] is not None:
                bounds = f", {comparison['low']:+.4f} to {comparison['high']:+.4f} for one look"
            tag("p", f"Difference b - a: {comparison['difference']:+.4f}{bounds}")
        tag("p", comparison["verdict"], "small")


def _row(arm: Mapping[str, Any], counted: Mapping[str, Any] | None) -> tuple[str, ...]:
    version = arm["version"] or "what serves"
    if counted is None:
        return (arm["name"], version, "0", "0", number(None), number(None))
    interval = f"{counted['low']:.4f} to {counted['high']:.4f}"
    figures = (number(counted["users"]), number(counted["tests"]), number(counted["hit_rate"], digits=4))
    return (arm["name"], version, *figures, interval)
