"""Popularity by hand: what is known is left out, the ranking is renewed in time, and memory has a bound."""

from model.metrics.popularity import PopularityRanking


def counted(items, **sizes):
    """Return popularity after one touch of each item."""
    popularity = PopularityRanking(**sizes)
    for item in items:
        popularity.count(item)
    return popularity


def test_known_items_are_left_out():
    """Of a with three touches, b with two and c with one, a user who knows a is told b and c."""
    popularity = counted("aaabbc")
    assert popularity.top((), 2) == ("a", "b")
    assert popularity.top({"a"}, 5) == ("b", "c")
    assert popularity.top({"a", "b", "c"}, 5) == ()


def test_equal_counts_keep_the_order_of_counting():
    """Two items with one touch each stand as they came."""
    assert counted("ba").top((), 2) == ("b", "a")


def test_the_ranking_is_renewed_after_fifty_events():
    """After 49 further events the old ranking stands, after the 50th the new one."""
    popularity = counted("a")
    assert popularity.top((), 1) == ("a",)
    for _ in range(49):
        popularity.count("b")
    assert popularity.top((), 1) == ("a",)
    popularity.count("b")
    assert popularity.top((), 1) == ("b",)


def test_a_ranking_is_no_deeper_than_asked_for():
    """With two places a user who knows both items there is told nothing."""
    assert counted("aaabbc", depth=2).top({"a", "b"}, 1) == ()


def test_ids_are_shared():
    """Two equal strings counted one after the other come back as the first of them, also after forgetting."""
    first, second, third = (str(1000) for _ in range(3))
    popularity = PopularityRanking(max_items=1)
    assert popularity.count(first) is first
    assert popularity.count(second) is first
    for item in "xy":  # 1000 twice, x and y once: three are more than twice one
        popularity.count(item)
    assert popularity.count(third) is first


def test_the_least_touched_are_forgotten_beyond_twice_the_bound():
    """With a bound of two, the fifth item leaves the two most touched, and what comes later counts from one."""
    popularity = counted("aaabbcd", max_items=2)
    popularity.count("e")  # a 3, b 2, c 1, d 1, e 1: five are more than twice two
    popularity.count("c")
    assert popularity.top((), 9) == ("a", "b", "c")
