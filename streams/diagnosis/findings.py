"""A finding: what was looked at, how bad it is, what was found, and the cure."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from streams.errors import StreamError

__all__ = ["LIBRARIES_CURE", "Finding", "Severity", "clock_finding", "findings_of", "worst"]

Severity = Literal["ok", "warning", "error"]
_ORDER: tuple[Severity, ...] = ("ok", "warning", "error")
LIBRARIES_CURE = "install what the lock names: requirements.lock"
LATE_S = 1.0  # clocks that are kept by NTP differ by milliseconds
WRONG_S = 60.0  # hours and days of trending and of live figures come out wrong


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found.

    Parameters
    ----------
    check : what was looked at, such as ``redis policy``.
    severity : ``ok``, ``warning`` (it works, but is not as it should be) or ``error`` (something will not work).
    found : what there is.
    cure : what to do; empty where nothing is to be done.
    """

    check: str
    severity: Severity
    found: str
    cure: str = ""


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the severity of the worst finding; ``ok`` where there is none."""
    return max((one.severity for one in findings), key=_ORDER.index, default="ok")


def findings_of(check: str, look: Callable[[], Iterable[Finding]], cure: str = "") -> Iterator[Finding]:
    """Give what a look finds; an error that it raises is its last finding, with the cure that it says, else this.

    A library that is missing, or that lacks what is imported from it, is one too.
    """
    try:
        yield from look()
    except ImportError as error:
        yield Finding(check, "error", f"a library is missing or too old: {error}", LIBRARIES_CURE)
    except StreamError as error:
        found, _, told = str(error).rpartition("; ")
        yield Finding(check, "error", found or told, told if found else cure)


def clock_finding(whose: str, theirs_s: float, before_s: float, after_s: float) -> Finding:
    """Compare a clock with the one of this machine, which was read before and after the other was asked.

    What the answer took is no difference of clocks.
    """
    ahead = theirs_s - after_s if theirs_s > after_s else min(0.0, theirs_s - before_s)
    severity: Severity = "error" if abs(ahead) > WRONG_S else "warning" if abs(ahead) > LATE_S else "ok"
    found = f"{math.copysign(abs(ahead), ahead):+.3f} s against this machine"
    cure = "" if severity == "ok" else "keep the clocks of all machines by NTP; times of events and of lists are theirs"
    return Finding(f"{whose} clock", severity, found, cure)
