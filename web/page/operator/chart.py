"""Two lines over time with marks, as a picture that takes its colours from the page, so that it is right in the dark.

Only the lines are stretched to the room there is; what is written beside them keeps its size, on a phone as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from time import localtime, strftime

__all__ = ["Mark", "two_lines"]

SIZE = 1000  # of the picture, in its own units
N_GRID = 4
ROOM = 1.15  # above the highest point
NEAR_END = 0.7  # of the width: from here on a mark's name stands on its left


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that has a name, or none where names would cover each other."""

    at_ms: int
    name: str


def two_lines(at_ms: Sequence[int], a: Sequence[float], b: Sequence[float], marks: Sequence[Mark], says: str) -> str:
    """Return a picture of two series of shares; ``says`` is what it tells those who do not see it."""
    first, last = at_ms[0], max(at_ms[-1], at_ms[0] + 1)
    most = min(1.0, max(*a, *b, 0.01) * ROOM)

    def across(moment: float) -> float:
        return min(1.0, max(0.0, (moment - first) / (last - first)))

    def line(values: Sequence[float], which: str) -> str:
        points = " ".join(
            f"{SIZE * across(moment):.1f},{SIZE * (1 - value / most):.1f}"
            for moment, value in zip(at_ms, values, strict=True)
        )
        return f'<polyline class="{which}" points="{points}"/>'

    levels = [step / N_GRID for step in range(N_GRID + 1)]
    drawn = [f'<line class="grid" x1="0" x2="{SIZE}" y1="{SIZE * y:.0f}" y2="{SIZE * y:.0f}"/>' for y in levels]
    at = [SIZE * across(mark.at_ms) for mark in marks]
    drawn += [f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{SIZE}"/>' for x in at]
    written = [f'<span class="level" style="top:{100 * y:.0f}%">{most * (1 - y):.2f}</span>' for y in levels]
    written += [_name(across(mark.at_ms), mark.name) for mark in marks if mark.name]
    ends = "".join(f"<span>{strftime('%H:%M:%S', localtime(moment / 1000))}</span>" for moment in (first, last))
    return (
        f'<div class="chart" role="img" aria-label="{escape(says)}"><div class="plot">'
        f'<svg viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none" aria-hidden="true">{"".join(drawn)}'
        f"{line(b, 'b')}{line(a, 'a')}</svg>{''.join(written)}</div><div class='ends'>{ends}</div></div>"
    )


def _name(across: float, name: str) -> str:
    side = f"right:{100 * (1 - across):.1f}%" if across > NEAR_END else f"left:{100 * across:.1f}%"
    return f'<span class="name" style="{side}">{escape(name)}</span>'
