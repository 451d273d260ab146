"""Who is on which side of an experiment: shares, independence, stability, and what is refused."""

from dataclasses import replace
from math import sqrt

import pytest

from model.experiment import Arm, Experiment

A, B = Arm("a"), Arm("b", version="v2")
USERS = [str(n) for n in range(100_000)]


def made(name="depth", share=0.5, **changed):
    """Return an experiment of two versions."""
    return replace(Experiment(name, share, A, B, 1), **changed)


def on_b(experiment):
    """Return for each user whether side b serves it."""
    return [experiment.arm_of(user) is experiment.b for user in USERS]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9])
def test_the_share_is_on_side_b(share):
    """Of 100,000 ids n * share are on b, give or take four binomial standard deviations sqrt(n p (1 - p))."""
    n = len(USERS)
    assert sum(on_b(made(share=share))) == pytest.approx(n * share, abs=4 * sqrt(n * share * (1 - share)))


def test_another_name_draws_other_users():
    """Two halves drawn by two names agree on a half of the users, within four standard deviations: 158 each."""
    agree = sum(one is other for one, other in zip(on_b(made("x")), on_b(made("y")), strict=True))
    assert agree == pytest.approx(50_000, abs=4 * 158.2)  # sqrt(100,000 * 0.5 * 0.5) = 158.1


def test_a_larger_share_keeps_who_is_on_b():
    """Raising the share moves users from a to b only."""
    small, large = on_b(made(share=0.2)), on_b(made(share=0.3))
    assert all(after for before, after in zip(small, large, strict=True) if before)
    assert sum(large) > sum(small)


@pytest.mark.parametrize(
    ("user", "digits"), [("42", "2b433bcc76f6d3fb"), ("ann", "a235d6908dbfb36d"), ("bob", "8fd29db14ae55875")]
)
def test_a_side_is_what_another_program_computes(user, digits):
    """GNU coreutils' ``b2sum -l 64`` of name, newline and id prints these digits; over 2**64 they are the border."""
    fraction = int(digits, 16) / 2**64
    assert made(share=fraction + 1e-9).arm_of(user).name == "b"
    assert made(share=fraction - 1e-9).arm_of(user).name == "a"


def test_the_versions_that_must_stay_are_those_named():
    """Only versions that an arm names are held; "whatever serves" holds none."""
    assert made().versions == {"v2"}
    assert made(a=Arm("a", version="v1")).versions == {"v1", "v2"}
    assert made(b=Arm("b", explore=2)).versions == frozenset()


@pytest.mark.parametrize(
    ("changed", "required"),
    [
        ({"name": ""}, "1 to 64 letters"),
        ({"name": "x" * 65}, "1 to 64 letters"),
        ({"name": "a b"}, "1 to 64 letters"),
        ({"share": 0.0}, "more than 0 and less than 1"),
        ({"share": 1.0}, "more than 0 and less than 1"),
        ({"share": float("nan")}, "more than 0 and less than 1"),
        ({"b": Arm("b")}, "two arms that differ"),
        ({"b": Arm("a", version="v2")}, "arms named 'a' and 'b'"),
        ({"started_ms": -1}, "started_ms must be a whole number of at least 0"),
    ],
)
def test_an_experiment_that_compares_nothing_is_refused(changed, required):
    """Names that cannot be keys, empty sides and equal arms are told in one line with what was got."""
    with pytest.raises(ValueError, match=required):
        made(**changed)


@pytest.mark.parametrize(
    "wrong",
    [{"personalize_at": 0}, {"personalize_at": 2.5}, {"explore": -1}, {"explore": "2"}, {"version": ""}, {"name": "c"}],
)
def test_an_arm_that_cannot_be_served_is_refused(wrong):
    """Thresholds below 1, negative places, numbers that are none and an empty version are refused by name."""
    (named,) = wrong
    with pytest.raises(ValueError, match=named):
        Arm(**({"name": "a"} | wrong))
