"""What people of a group begin with: by hand, bounded, and how it orders a newcomer's list."""

import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.hint_lifts import HintConfig, HintLifts
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender

SMALL = HintConfig(prior=10.0, least_users=2)
WOMEN = [(("gender:F",), ("a", "a", "b"))] * 2
MEN = [(("gender:M",), ("b", "b"))] * 3


def test_a_lift_is_the_groups_share_by_everybodys_shrunk():
    """Women have 4 of their 6 events on a, which has 4 of all 12: (4 / (4 / 12) + 10) / (6 + 10) = 22 / 16."""
    lifts = HintLifts.learnt([*WOMEN, *MEN], SMALL)
    assert lifts.of(["gender:F"]) == pytest.approx({"a": 22 / 16, "b": (2 * 12 / 8 + 10) / 16})
    assert lifts.of(["gender:M"]) == pytest.approx({"a": 10 / 16, "b": (6 * 12 / 8 + 10) / 16})


def test_the_lifts_of_several_groups_are_their_mean_and_unknown_groups_have_none():
    """A group that nobody was of is as if it were not given; with no other there is no lift at all."""
    lifts = HintLifts({"x": {"a": 2.0}, "y": {"a": 1.0}})
    assert lifts.of(["x", "y"]) == {"a": 1.5}
    assert lifts.of(["x", "z"]) == {"a": 2.0}
    assert lifts.of(["z"]) == lifts.of([]) == {}


def test_an_item_that_one_group_lacks_has_no_lift_there():
    """Of groups with other items each: twice as much and as everybody are 1.5, half as much and as everybody 0.75."""
    lifts = HintLifts({"x": {"a": 2.0}, "y": {"b": 0.5}})
    assert lifts.of(["x", "y"]) == {"a": 1.5, "b": 0.75}


def test_groups_of_few_users_are_none():
    """Of two groups that of one user is left out, whatever that user did."""
    lifts = HintLifts.learnt([*WOMEN, (("gender:X",), ("a",) * 9)], SMALL)
    assert set(lifts.groups) == {"gender:F"}


def test_groups_and_items_are_bounded_by_the_largest():
    """With one group and one item kept these are the group of most users and the item of most events."""
    lifts = HintLifts.learnt([*WOMEN, *MEN], HintConfig(least_users=1, groups=1, items=1))
    assert {group: set(items) for group, items in lifts.groups.items()} == {"gender:M": {"b"}}


def test_only_the_first_ten_events_of_a_user_count():
    """An eleventh event says nothing of how people begin: item b has no lift."""
    lifts = HintLifts.learnt([(("g",), ("a",) * 10 + ("b",))] * 2, SMALL)
    assert set(lifts.of(["g"])) == {"a"}


def test_nothing_is_learnt_from_nobody():
    """Without users, or without hints, there are no groups."""
    assert HintLifts.learnt([]).groups == HintLifts.learnt([((), ("a",))] * 50).groups == {}


@pytest.mark.parametrize("wrong", [None, [], {"g": 1}, {"g": {"a": "x"}}])
def test_what_are_no_lifts_is_refused(wrong):
    """What was written by somebody else is not taken for lifts, and is not quoted."""
    with pytest.raises(ValueError, match="a lift for each item of each group"):
        HintLifts.restored(wrong)


FILMS = Catalogue.of(Item(item, item, 2000) for item in "abc")


def first_items(*profiles):
    """Return the first item of each profile's list, where women begin with c twice as often as everybody."""
    trending = Trending.of([("a", 3.0), ("b", 2.5), ("c", 2.0)])
    made = Recommender(FILMS, ContentIndex(FILMS), trending, ColdStart(), ModeConfig())
    made = made.with_hint_lifts(HintLifts({"gender:F": {"a": 1.0, "c": 2.0}}))
    return [drafts.items[0].item_id for drafts in made.recommend(profiles, 3)]


def test_hints_choose_the_first_list_of_whoever_has_them():
    """In one batch a woman's first item is c, a man's and that of somebody without hints is a, as it trends."""
    woman, man = Profile("w", groups=("gender:F",)), Profile("m", groups=("gender:M",))
    assert first_items(woman, man, Profile("n")) == ["c", "a", "a"]
    assert first_items(man, Profile("n")) == ["a", "a"]


def test_hints_say_nothing_from_the_tenth_event_on():
    """After nine events they still order the list, after ten no more."""
    touched = (Interaction("x", 1, "watch", 1.0),)
    newcomer, known = (Profile(str(n), watches=n, recent=touched, groups=("gender:F",)) for n in (9, 10))
    assert first_items(newcomer, known) == ["c", "a"]
