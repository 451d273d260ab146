"""A rating is positive from the user's own middle on, and from the scale's until there is one."""

import pytest

from model.feedback import MIN_OWN_RATINGS, SCALE_MIDDLE, is_positive_rating, is_positive_watch, middle_of


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
