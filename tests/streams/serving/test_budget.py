"""The time budget and the breaker around scoring, with real threads and a clock in hand."""

import asyncio
import threading
import time

import pytest

from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer

BUDGET_S = 0.05


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock():
    """Return a standing clock."""
    return Clock()


@pytest.fixture
def scoring(clock):
    """Return scoring under 50 ms with a breaker of three failures and five seconds."""
    scoring = BudgetedScorer(BUDGET_S, Breaker(BreakerConfig(failures=3, rest_s=5.0), clock))
    yield scoring
    scoring.close()


def broken():
    """Fail as a sick model does."""
    raise FloatingPointError("NaN")


async def test_a_result_in_time_is_returned(scoring):
    """A score within the budget is what comes back, made in the scoring thread."""
    name = await scoring.within_budget(lambda: threading.current_thread().name, lambda: "fallback")
    assert name.startswith("scoring")


@pytest.mark.parametrize("error", [ValueError, TypeError, FloatingPointError, RuntimeError])
async def test_an_error_of_the_model_is_answered_by_the_fallback(scoring, error):
    """What model and torch raise yields the fallback."""

    def fail():
        raise error("sick")

    assert await scoring.within_budget(fail, lambda: "fallback") == "fallback"


async def test_a_defect_of_ours_does_not_stop_lists(scoring, caplog):
    """A KeyError is answered by the fallback as well, and the log names it."""

    def defective():
        raise KeyError("absent")

    assert await scoring.within_budget(defective, lambda: "fallback") == "fallback"
    assert "KeyError('absent')" in caplog.text


async def test_a_late_score_is_answered_by_the_fallback_in_time(scoring):
    """A score that takes ten budgets yields the fallback well before it is done."""
    release = threading.Event()
    began = time.monotonic()
    assert await scoring.within_budget(lambda: release.wait(10 * BUDGET_S), lambda: "fallback") == "fallback"
    assert BUDGET_S <= time.monotonic() - began < 10 * BUDGET_S
    release.set()


async def test_calls_that_come_together_cost_one_another_nothing(scoring):
    """Of four calls at once that take half a budget each, twice a budget in all, none is late."""

    def score():
        time.sleep(BUDGET_S / 2)
        return "scored"

    calls = [scoring.within_budget(score, lambda: "fallback") for _ in range(4)]
    assert await asyncio.gather(*calls) == ["scored"] * 4


async def test_what_is_not_urgent_may_take_longer(scoring):
    """A score that takes three budgets is late, and not where it is not urgent: that has eight."""

    def score():
        time.sleep(3 * BUDGET_S)
        return "scored"

    assert await scoring.within_budget(score, lambda: "fallback", is_urgent=False) == "scored"
    assert await scoring.within_budget(score, lambda: "fallback") == "fallback"


async def test_a_thread_that_is_still_held_counts_as_time(scoring):
    """While a late score still holds the thread, the next call is late as well, and is not run afterwards."""
    release, ran = threading.Event(), []

    def late():
        ran.append("ran")
        return "scored"

    await scoring.within_budget(lambda: release.wait(5), lambda: None)
    assert await scoring.within_budget(late, lambda: "fallback") == "fallback"
    release.set()
    assert await scoring.within_budget(lambda: "scored", lambda: "fallback") == "scored"
    assert ran == []


async def test_the_breaker_opens_rests_tries_once_and_closes(scoring, clock):
    """Three failures open it; it rests five seconds; a failed trial opens it again at once, a success closes it."""
    calls = []

    def score(fails):
        calls.append(fails)
        return broken() if fails else "scored"

    async def ask(*, fails):
        return await scoring.within_budget(lambda: score(fails), lambda: "fallback")

    for _ in range(3):
        assert await ask(fails=True) == "fallback"
    assert len(calls) == 3
    clock.now += 4.9  # still resting: nothing is called
    assert await ask(fails=False) == "fallback"
    assert len(calls) == 3
    clock.now += 0.2  # 5.1 s after it opened: one trial, which fails
    assert await ask(fails=True) == "fallback"
    assert len(calls) == 4
    assert await ask(fails=False) == "fallback"
    assert len(calls) == 4
    clock.now += 5.0  # the next trial succeeds, and from then on two failures are forgiven again
    for fails, answer in ((False, "scored"), (True, "fallback"), (True, "fallback"), (False, "scored")):
        assert await ask(fails=fails) == answer
    assert len(calls) == 8


def test_failures_must_be_consecutive(clock):
    """Two failures, a success and two failures leave a breaker of three closed."""
    breaker = Breaker(BreakerConfig(failures=3), clock)
    for happened in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        happened()
    assert not breaker.is_open()
    breaker.failed()
    assert breaker.is_open()


def test_failures_of_long_ago_are_told_no_more(clock):
    """Where nobody calls for days nothing closes a breaker; it is told as tripped for ten minutes."""
    breaker = Breaker(BreakerConfig(failures=1), clock)
    assert not breaker.is_tripped
    breaker.failed()
    clock.now += 599.0
    assert breaker.is_tripped
    clock.now += 2.0
    assert not breaker.is_tripped


async def test_a_closed_pool_still_answers(scoring):
    """After close the fallback is served, for a list must always be published."""
    scoring.close()
    assert await scoring.within_budget(lambda: "scored", lambda: "fallback") == "fallback"
