"""The window by hand: what a stored test is, what comes back of it, and what is refused."""

import json
from math import inf

import pytest

from model.metrics.window import Window, WindowTest

FIRST = WindowTest("v1", "personalized", "depth", "b", 2.0, inf, is_named=True)
SECOND = WindowTest(None, "cold_start", None, None, inf, 10.0, is_named=False)
GROUPS = [["v1", "personalized", "depth", "b"], [None, "cold_start", None, None]]


def window_of(*tests, size=5):
    """Return a window of ten places that was told of some tests."""
    window = Window(size, 10)
    for test in tests:
        window.add(test)
    return window


def test_a_test_is_one_number():
    """Place 2, none by popularity, named is ((0 11 + 2) 11 + 0) 2 + 1 = 45; the other ((1 11 + 0) 11 + 10) 2 = 262."""
    assert window_of(FIRST, SECOND).describe() == {"k": 10, "groups": GROUPS, "tests": [45, 262]}


def test_a_window_outlives_its_process():
    """Described as JSON and restored, the tests are the same in the same order, and so is what is described of them."""
    window, second = window_of(FIRST, SECOND, FIRST), window_of(SECOND)
    second.restore(json.loads(json.dumps(window.describe())))
    assert list(second) == [FIRST, SECOND, FIRST]
    assert second.describe() == window.describe()


def test_a_smaller_window_takes_the_latest():
    """Of three tests a window of two takes up the last two, and with one more it drops the older of these."""
    window = window_of(size=2)
    window.restore(window_of(FIRST, FIRST, SECOND).describe())
    assert list(window) == [FIRST, SECOND]
    window.add(SECOND)
    assert list(window) == [SECOND, SECOND]


def test_places_that_do_not_count_come_back_as_none():
    """Place eleven of a list is stored as no place."""
    window = window_of()
    window.restore(window_of(FIRST._replace(rank=11.0)).describe())
    assert list(window) == [FIRST._replace(rank=inf)]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        {"k": "10", "groups": GROUPS, "tests": []},
        {"k": -1, "groups": GROUPS, "tests": [1]},
        {"k": 10, "groups": [["v1"]], "tests": []},
        {"k": 10, "groups": [["v1", "personalized", [], None]], "tests": []},
        {"k": 10, "groups": GROUPS, "tests": [999]},
        {"k": 10, "groups": GROUPS, "tests": [-1]},
        {"k": 10, "groups": GROUPS, "tests": ["45"]},
        {"k": 10, "groups": GROUPS, "tests": [0.5]},
    ],
)
def test_what_no_window_described_is_refused(wrong):
    """Anything else is a ValueError, and the window is what it was."""
    window = window_of(FIRST)
    with pytest.raises(ValueError, match="window: what `describe` returns is required"):
        window.restore(wrong)
    assert list(window) == [FIRST]
