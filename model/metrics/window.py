"""The latest tests, of which the figures of the present are, in a form that outlives the process.

A test is kept as what it came to, without its list: so the window is small, pins no list in memory, and what was
measured once is not measured again after a restart, when popularity has forgotten most of what it had counted.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

__all__ = ["Window", "WindowTest"]

Group = tuple[str | None, str, str | None, str | None]  # version, mode, experiment, arm


class WindowTest(NamedTuple):
    """What came of one test.

    Attributes
    ----------
    version, mode : of the list.
    experiment, arm : that its user took part in; None without one.
    rank, popular_rank : places of the item in the list and in popularity from 1, infinite beyond those that count.
    is_named : whether the event named the list.
    """

    version: str | None
    mode: str
    experiment: str | None
    arm: str | None
    rank: float
    popular_rank: float
    is_named: bool


class Window:
    """Keeps the latest tests, oldest first.

    Parameters
    ----------
    size : tests that are kept.
    k : places of a list that count.
    """

    def __init__(self, size: int, k: int) -> None:
        self._k = k
        self._tests: deque[WindowTest] = deque(maxlen=size)

    def __iter__(self) -> Iterator[WindowTest]:
        """Yield the tests."""
        return iter(self._tests)

    def add(self, test: WindowTest) -> None:
        """Keep a test; the oldest one beyond the size goes."""
        self._tests.append(test)

    def describe(self) -> dict[str, Any]:
        """Return the tests as JSON values: each group once, and a whole number for each test.

        With b = k + 1, and places beyond k as 0, a test of group g is ((g b + rank) b + popular_rank) 2 + is_named.
        """
        base = self._k + 1
        groups: dict[Group, int] = {}
        tests = []
        for test in self._tests:
            named = (test.version, test.mode, test.experiment, test.arm)
            group = groups.setdefault(named, len(groups))
            places = (group * base + self._place(test.rank)) * base + self._place(test.popular_rank)
            tests.append(2 * places + test.is_named)
        return {"k": self._k, "groups": [list(group) for group in groups], "tests": tests}

    def restore(self, described: Mapping[str, Any]) -> None:
        """Keep the tests that an earlier window described, the latest of them.

        Raises
        ------
        ValueError
            If it is not what ``describe`` returns.
        """
        try:
            base = described["k"] + 1
            groups = [_group(*named) for named in described["groups"]]
            tests = [_decoded(code, base, groups) for code in described["tests"]]
        except (KeyError, TypeError, IndexError, ValueError, ZeroDivisionError) as error:
            raise ValueError(f"window: what `describe` returns is required, got {error!r} in it") from error
        self._tests.clear()
        self._tests.extend(tests)

    def _place(self, rank: float) -> int:
        return int(rank) if rank <= self._k else 0


def _group(version: str | None, mode: str, experiment: str | None, arm: str | None) -> Group:
    if not all(name is None or isinstance(name, str) for name in (version, mode, experiment, arm)):
        raise ValueError(f"names of a group are required, got {(version, mode, experiment, arm)!r}")
    return version, mode, experiment, arm


def _decoded(code: int, base: int, groups: list[Group]) -> WindowTest:
    places, is_named = divmod(code, 2)
    places, popular_rank = divmod(places, base)
    group, rank = divmod(places, base)
    if group < 0:
        raise ValueError(f"a whole number from 0 is required for a test, got {code!r}")
    return WindowTest(*groups[group], float(rank or inf), float(popular_rank or inf), bool(is_named))
