"""The picture of a prequential run: hit rates over time, rounds and switches on the same axis."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from replay.prequential.outcome import FROZEN, ONLINE, WINDOW, PrequentialOutcome, moving_average, slices
from replay.prequential.threshold import ModeHitRates, Proposal

__all__ = ["draw", "draw_threshold", "figure_of"]

COLOURS = {ONLINE: "#c0392b", FROZEN: "#e59866"}
OTHERS = ("#2c3e50", "#2e86c1", "#17a589", "#7d3c98", "#839192")
DECISIONS = (
    ("promote", "v", "#27ae60"),
    ("reject", "x", "#c0392b"),
    ("hold", "o", "#7f8c8d"),
    ("return", "<", "#8e44ad"),
    ("withdraw", "D", "#000000"),
    ("failed", "s", "#000000"),
)
POINTS = 600  # of a curve
BINS = 120  # of the switches


def draw(outcome: PrequentialOutcome, path: Path, title: str) -> None:
    """Write a picture; the ending of the file's name says of which kind, .png or .svg."""
    figure_of(outcome, title).savefig(path, dpi=120)


def figure_of(outcome: PrequentialOutcome, title: str) -> Figure:
    """Return three panels: curves over the events, rounds and modes below them, and bars by history length."""
    figure = Figure(figsize=(13, 8), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1), height_ratios=(3, 1))
    above, below, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[:, 1])
    below.sharex(above)
    _curves(above, outcome)
    _modes(below, outcome)
    _by_length(right, outcome)
    figure.suptitle(title)
    return figure


def _shown(tests: int) -> NDArray[np.int64]:
    """Return which points of a curve are drawn; the first few averages are of too few tests to mean anything."""
    first = min(WINDOW // 10, tests // 10)
    return np.unique(np.linspace(first, tests - 1, POINTS).astype(np.int64))


def _colour(name: str, place: int) -> str:
    return COLOURS.get(name, OTHERS[place % len(OTHERS)])


def _curves(axes: Axes, outcome: PrequentialOutcome) -> None:
    tests = outcome.stream.tests
    shown = _shown(len(tests))
    for place, name in enumerate(outcome.tracks):
        curve = moving_average(outcome.hits(name))[shown]
        width = 2.0 if name == ONLINE else 1.1
        label = f"{name} {outcome.figures(name).hit_rate:.3f}"
        axes.plot(
            tests[shown],
            curve,
            color=_colour(name, place),
            linewidth=width,
            label=label,
            zorder=4 if name == ONLINE else 2,
        )
    top = axes.get_ylim()[1]
    for decision, marker, colour in DECISIONS:
        at = [mark.events for mark in outcome.marks if mark.decision == decision]
        if at:
            label, places = f"round: {decision}", [top] * len(at)
            axes.plot(at, places, marker, color=colour, markersize=4, label=label, clip_on=False, linestyle="none")
    axes.set_ylim(0.0, top)
    axes.set_ylabel(f"HR@{outcome.k}, mean of the last {WINDOW:,} tests")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=2)


def _modes(axes: Axes, outcome: PrequentialOutcome) -> None:
    """Draw the share of personalised lists, and when users switched."""
    tests = outcome.stream.tests
    shown = _shown(len(tests))
    share = moving_average(outcome.online.modes.astype(np.float64))[shown]
    axes.plot(tests[shown], share, color=COLOURS[ONLINE])
    axes.set_ylim(0.0, 1.02)
    axes.set_xlabel("events")
    axes.set_ylabel("share of lists\npersonalised", color=COLOURS[ONLINE])
    axes.grid(alpha=0.3)
    switched = tests[outcome.switches()]
    if len(switched):
        other = axes.twinx()
        other.hist(switched, bins=BINS, color="#2e86c1", alpha=0.4)
        other.set_ylabel("mode switches", color="#2e86c1")
        other.yaxis.set_major_locator(MaxNLocator(integer=True))


def _by_length(axes: Axes, outcome: PrequentialOutcome) -> None:
    groups = slices(outcome)["history"]
    height = 0.84 / len(outcome.tracks)
    places = np.arange(len(groups))
    for place, name in enumerate(outcome.tracks):
        rates = [outcome.figures(name, group).hit_rate for group in groups]
        axes.barh(places + (place - (len(outcome.tracks) - 1) / 2) * height, rates, height, color=_colour(name, place))
    axes.set_yticks(places, [f"{group.name}\n{len(group):,}" for group in groups])
    axes.invert_yaxis()
    axes.set_xlabel(f"HR@{outcome.k} by past events")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def draw_threshold(groups: Sequence[ModeHitRates], proposal: Proposal, path: Path) -> None:
    """Write a PNG file: hit rates of cold and personalised lists by past events, and the proposed threshold."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    past = [one.past_events for one in groups]
    for name, colour in (("cold", OTHERS[1]), ("personalised", COLOURS[ONLINE])):
        rates = np.array([getattr(one, name) for one in groups])
        spread = np.sqrt(rates * (1.0 - rates) / np.array([one.tests for one in groups]))
        axes.plot(past, rates, color=colour, label=name, marker=".")
        axes.fill_between(past, rates - spread, rates + spread, color=colour, alpha=0.2, linewidth=0)
    axes.axvspan(proposal.low - 0.5, proposal.high - 0.5, color="#27ae60", alpha=0.15, label="95 % of the draws")
    axes.axvline(proposal.threshold - 0.5, color="#27ae60", label=f"proposed threshold {proposal.threshold}")
    axes.set_xlabel("past events of the user")
    axes.set_ylabel("HR@10, with one standard error")
    axes.set_ylim(bottom=0.0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, format="png")
