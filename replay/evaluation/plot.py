"""The picture of an evaluation: hit rates by length of history, and over all users."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replay.evaluation.summary import Estimate, MethodSummary

__all__ = ["draw"]

OURS = "#c0392b"
OTHERS = ("#2c3e50", "#2e86c1", "#17a589", "#b7950b", "#7d3c98", "#839192", "#ec7fb5", "#99c24d")


def draw(summaries: Sequence[MethodSummary], path: Path, k: int, title: str) -> None:
    """Write a PNG file with two panels.

    Parameters
    ----------
    summaries : one for each method, ours first.
    path : the file; one that is there is replaced.
    k : length of the lists.
    title : above both panels.
    """
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    colours = [OURS if one.name == "Reelstream" else OTHERS[at % len(OTHERS)] for at, one in enumerate(summaries)]
    _by_length(left, summaries, colours, k)
    _overall(right, summaries, colours, k)
    figure.suptitle(title)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(summaries), fontsize="small")
    figure.savefig(path, dpi=120, format="png")


def _by_length(axes: Axes, summaries: Sequence[MethodSummary], colours: Sequence[str], k: int) -> None:
    """Draw a cluster of bars for each group of users."""
    groups = [f"{group.name}\n{group.users:,} users" for group in summaries[0].by_length]
    places, width = np.arange(len(groups)), 0.84 / len(summaries)
    for at, (one, colour) in enumerate(zip(summaries, colours, strict=True)):
        figures = [group.hit_rate for group in one.by_length]
        offset = (at - (len(summaries) - 1) / 2) * width
        axes.bar(
            places + offset, [each.mean for each in figures], width, yerr=_errors(figures), color=colour, label=one.name
        )
    axes.set_xticks(places, groups)
    axes.set_xlabel("training events of the user")
    axes.set_ylabel(f"HR@{k}")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _overall(axes: Axes, summaries: Sequence[MethodSummary], colours: Sequence[str], k: int) -> None:
    """Draw a bar for each method, in the order of the table, with its figure."""
    figures = [one.main.hit_rate for one in summaries]
    places = np.arange(len(summaries))
    bars = axes.barh(places, [each.mean for each in figures], xerr=_errors(figures), color=list(colours))
    axes.bar_label(bars, [f"{each.mean:.3f}" for each in figures], padding=3)
    axes.set_yticks(places, [one.name for one in summaries])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(f"HR@{k}, all users")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _errors(figures: Sequence[Estimate]) -> list[float] | None:
    """Return the standard errors, or None where no figure has one."""
    found = [each.error for each in figures]
    return [each or 0.0 for each in found] if any(each is not None for each in found) else None
