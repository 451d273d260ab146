"""Two lines over time with marks, as a picture that takes its colours from the page, so that it is right in the dark.

Only the lines are stretched to the room there is; what is written beside them keeps its size, on a phone as well. Names
of marks that are close stand above each other, and below the picture each is said in full, for ears as well as eyes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from time import localtime, strftime

__all__ = ["Mark", "two_lines"]

SIZE = 1000  # of the picture, in its own units
N_GRID = 4
ROOM = 1.15  # above the highest point
NARROWEST_PX = 200  # that the plot is, on a small phone
CHARACTER_PX = 7.5  # that one of a name takes, and NAME_PX beside them
NAME_PX = 9


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that has a name.

    Parameters
    ----------
    at_ms : when.
    name : a short one, which stands above the picture; none where there would be too many.
    meaning : what the name stands for, said below.
    """

    at_ms: int
    name: str
    meaning: str


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
    named = [mark for mark in marks if mark.name]
    steps = _steps([(across(mark.at_ms), mark.name) for mark in named])
    n_steps = max(steps, default=0) + 1
    written += [_name(across(mark.at_ms), mark.name, step) for mark, step in zip(named, steps, strict=True)]
    ends = "".join(f"<span>{_clock(moment)}</span>" for moment in (first, last))
    return (
        f'<div class="chart" role="img" aria-label="{escape(says)}"><div class="plot" style="--steps:{n_steps}">'
        f'<svg viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none" aria-hidden="true">{"".join(drawn)}'
        f"{line(b, 'b')}{line(a, 'a')}</svg>{''.join(written)}</div>"
        f"<div class='ends'>{ends}</div></div>{_meanings(named)}"
    )


def _steps(names: Sequence[tuple[float, str]]) -> list[int]:
    """Return on which step above the picture each name stands, 0 the lowest, so that none covers another.

    A name begins at its mark, and one further left stands higher than all that it would cover: the line that leads up
    to it then passes none of them.
    """
    placed: list[tuple[float, int]] = []  # where the names further right begin, and their steps
    steps = [0] * len(names)
    for at in sorted(range(len(names)), key=lambda at: names[at][0], reverse=True):
        begins, name = names[at]
        ends = begins + (CHARACTER_PX * len(name) + NAME_PX) / NARROWEST_PX
        steps[at] = max([step + 1 for other, step in placed if other < ends], default=0)
        placed.append((begins, steps[at]))
    return steps


def _name(across: float, name: str, step: int) -> str:
    return f'<span class="name" style="left:{100 * across:.1f}%;--step:{step}">{escape(name)}</span>'


def _meanings(marks: Sequence[Mark]) -> str:
    said = "".join(
        f"<li><b>{escape(mark.name)}</b> {escape(mark.meaning)} from {_clock(mark.at_ms)}</li>" for mark in marks
    )
    return f'<ol class="meanings" aria-label="What served, and from when on">{said}</ol>'


def _clock(moment_ms: float) -> str:
    return strftime("%H:%M:%S", localtime(moment_ms / 1000))
