"""Two lines over time with marks, as SVG that takes its colours from the page, so that it is right in the dark too."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from time import localtime, strftime

__all__ = ["Mark", "two_lines"]

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 24, 24  # margins; the marks' names are above the lines
N_GRID = 4
ROOM = 1.15  # above the highest point


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that has a name."""

    at_ms: int
    name: str


def two_lines(at_ms: Sequence[int], a: Sequence[float], b: Sequence[float], marks: Sequence[Mark], says: str) -> str:
    """Return a picture of two series; ``says`` is what it tells those who do not see it."""
    first, last = at_ms[0], max(at_ms[-1], at_ms[0] + 1)
    most = max(*a, *b, 0.01) * ROOM

    def x(moment: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (moment - first) / (last - first)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most

    def line(values: Sequence[float], which: str) -> str:
        points = " ".join(f"{x(moment):.1f},{y(value):.1f}" for moment, value in zip(at_ms, values, strict=True))
        return f'<polyline class="{which}" points="{points}"/>'

    parts = []
    for step in range(N_GRID + 1):
        value = most * step / N_GRID
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    for moment, anchor in ((first, "start"), (last, "end")):
        at = strftime("%H:%M:%S", localtime(moment / 1000))
        parts.append(f'<text x="{x(moment):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{at}</text>')
    parts += [_mark(x(max(first, mark.at_ms)), mark.name) for mark in marks if mark.at_ms <= last]
    parts += [line(b, "b"), line(a, "a")]
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(says)}">{"".join(parts)}</svg>'


def _mark(at: float, name: str) -> str:
    anchor = "start" if at < WIDTH * 0.8 else "end"
    return (
        f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 6}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{at:.1f}" y="{TOP - 10}" text-anchor="{anchor}">{escape(name)}</text>'
    )
