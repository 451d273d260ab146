"""A rating is positive from the user's own middle on, and from the scale's until there is one."""

import numpy as np
import pytest

from model.feedback import (
    MIN_OWN_RATINGS,
    SCALE_MIDDLE,
    RatingTallies,
    are_positive_ratings,
    is_positive_rating,
    is_positive_watch,
    middle_of,
)


def test_a_newcomer_is_judged_by_the_middle_of_the_scale() -> None:
    """Too few ratings make no middle of one's own."""
    assert middle_of(0, 0.0) == SCALE_MIDDLE
    assert middle_of(MIN_OWN_RATINGS - 1, 5.0 * (MIN_OWN_RATINGS - 1)) == SCALE_MIDDLE
    assert is_positive_rating(3.0, 0, 0.0)
    assert not is_positive_rating(2.5, 0, 0.0)


@pytest.mark.parametrize("stars", [4.5, 5.0])
def test_somebody_with_ratings_is_judged_by_their_mean(stars: float) -> None:
    """Four stars are few for somebody whose mean is 4.5."""
    assert is_positive_rating(stars, 10, 45.0)
    assert not is_positive_rating(4.0, 10, 45.0)


def test_a_watch_that_hardly_began_is_not_positive() -> None:
    """Who leaves at once did not like what began."""
    assert not is_positive_watch(0.05)
    assert is_positive_watch(0.5)


def test_a_whole_log_is_judged_as_one_event_after_the_other() -> None:
    """Tallies and the function over columns agree with the rule on 2,000 ratings of 40 users."""
    generator = np.random.default_rng(0)
    users, stars = generator.integers(0, 40, 2000), generator.integers(1, 11, 2000) / 2.0
    before: dict[int, list[float]] = {}
    expected = []
    for user, given in zip(users.tolist(), stars.tolist(), strict=True):
        mine = before.setdefault(user, [])
        expected.append(is_positive_rating(given, len(mine), sum(mine)))
        mine.append(given)
    tallies = RatingTallies()
    judged = [tallies.judge(str(user), given) for user, given in zip(users.tolist(), stars.tolist(), strict=True)]
    assert judged == expected
    assert are_positive_ratings(users, stars).tolist() == expected
    assert 0 < sum(expected) < len(expected)


@pytest.mark.parametrize("stars", [3.05, 3.1, 3.7, 4.1, 4.95])
def test_who_always_gives_the_same_stars_likes_them(stars: float) -> None:
    """However sums round, 200 equal ratings lie at their mean, and a hundredth of a star below it does not."""
    tallies = RatingTallies()
    assert all(tallies.judge("u", stars) for _ in range(200))
    assert not tallies.judge("u", stars - 0.01)
    others = ["other"] * 1000
    assert are_positive_ratings([*others, *["u"] * 200], [3.3] * 1000 + [stars] * 200).all()


def test_a_log_of_nothing_has_no_verdicts() -> None:
    """No ratings, no verdicts."""
    assert are_positive_ratings([], []).tolist() == []


def test_who_has_not_rated_for_longest_is_forgotten_first() -> None:
    """Of three users where two are remembered, the one who rated before the others is judged like a newcomer again."""
    tallies = RatingTallies(most=2)
    for user in ("a", "b"):
        for _ in range(MIN_OWN_RATINGS):
            tallies.judge(user, 5.0)
    tallies.judge("a", 5.0)
    tallies.judge("c", 5.0)
    assert len(tallies) == 2
    assert not tallies.judge("a", 4.0)
    assert tallies.judge("b", 4.0)
