"""Lists of both modes and who gets which: order, filters, modes, and what happens when there is no model."""

from dataclasses import replace

import numpy as np
import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.network.blend import Blend
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.exposure import NewItem
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.wishes.wishes import GenreWishes, Wishes
from tests.toy import toy_snapshot

ITEMS = tuple(f"i{n}" for n in range(20))
DRAMAS = set(ITEMS[:8])
WANTED = Wishes(genres=GenreWishes(want=("Drama",)))
STRICT = Wishes(genres=GenreWishes(must=("Drama",)))
CATALOGUE = Catalogue.of(
    Item(item, f"Film {n}", 2000 + n, ("Drama",) if item in DRAMAS else ("Comedy",)) for n, item in enumerate(ITEMS)
)


@pytest.fixture(scope="module")
def ranker():
    """Return a ranker of a small network that knows all items, with random weights."""
    item_genres = [[item in DRAMAS, item not in DRAMAS] for item in ITEMS]
    return Ranker(toy_snapshot(ITEMS, genres=("Drama", "Comedy"), item_genres=item_genres, seed=3))


@pytest.fixture
def recommender(ranker):
    """Return a recommender with a model; i0 trends most, then i1, and so on."""
    trending = Trending.of((item, float(20 - n)) for n, item in enumerate(ITEMS))
    index = ContentIndex(CATALOGUE)
    return Recommender(CATALOGUE, index, trending, ColdStart(), ModeConfig(5, 3), ranker, "v1")


def user(user_id, touched, mode="cold_start"):
    """Return a profile that touched these items, the newest first."""
    recent = tuple(Interaction(item, 1000 - n, "watch", 1.0) for n, item in enumerate(touched))
    return Profile(user_id, watches=len(recent), seen=len(recent), recent=recent, mode=mode)


def ids(one):
    """Return the listed ids."""
    return [item.item_id for item in one.items]


WARM = user("warm", ITEMS[:5])


def by_score(ranker, profile):
    """Return the items not touched by descending logit, the reference for personalised lists."""
    logits = ranker.logits(ranker.histories([profile]))[0]
    touched = {one.item_id for one in profile.recent}
    return [ITEMS[row] for row in np.argsort(-logits, kind="stable") if ITEMS[row] not in touched]


@pytest.mark.parametrize(
    ("known", "before", "after"),
    [
        (4, "cold_start", "cold_start"),
        (5, "cold_start", "personalized"),
        (3, "personalized", "personalized"),
        (2, "personalized", "cold_start"),
    ],
)
def test_the_road_is_decided_with_hysteresis(recommender, known, before, after):
    """Five known items make a user personalised, fewer than three take it back, between the two nothing changes."""
    assert recommender.decide(user("u", ITEMS[:known], before)) == (after, known)


def test_only_distinct_items_that_the_model_knows_are_evidence(recommender):
    """Two touches of one item and two items unknown to the model count as one."""
    assert recommender.decide(user("u", ["i1", "i1", "new", "newer"])) == ("cold_start", 1)


def test_without_a_model_everybody_is_cold(recommender):
    """Evidence is nought before the first version, even for a user who was personalised."""
    bare = recommender.with_model(None, None)
    assert bare.decide(user("u", ITEMS[:9], "personalized")) == ("cold_start", 0)
    [one] = bare.recommend([WARM], 3)
    assert (one.mode, one.version) == ("cold_start", None)


def test_a_personalised_list_is_the_networks_order(recommender, ranker):
    """Ten items by descending score, none of them touched, named with the version."""
    [one] = recommender.recommend([WARM], 10)
    assert ids(one) == by_score(ranker, WARM)[:10]
    assert (one.mode, one.known_items, one.version, one.complete) == ("personalized", 5, "v1", False)
    assert {item.source for item in one.items} == {"neumf"}
    assert {item.because for item in one.items} == {None}  # nothing is explained before it is chosen


def test_a_cold_list_names_the_version_whose_blend_made_it(recommender, ranker):
    """Before a version has learnt a blend, cold lists need none and name none; from then on they name it."""
    cold = user("cold", ITEMS[:2])
    [before] = recommender.recommend([cold], 3)
    assert (before.mode, before.version) == ("cold_start", None)
    blend = Blend()
    blend.tests[2] = 1.0
    [after] = recommender.with_model(Ranker(ranker.snapshot.with_blend(blend)), "v2").recommend([cold], 3)
    assert (after.mode, after.version) == ("cold_start", "v2")


def mixing(recommender, items):
    """Return a recommender whose version knows these items alone, and has learnt a blend."""
    blend = Blend()
    blend.tests[2] = 1.0
    return recommender.with_model(Ranker(toy_snapshot(items, seed=3).with_blend(blend)), "v2")


@pytest.mark.parametrize("known", [ITEMS[15:], ("gone",)])
def test_a_cold_list_is_filled_with_what_the_version_does_not_know(recommender, known):
    """A catalogue that has grown, or that is another one, leaves no cold list short; the version's items come first."""
    [one] = mixing(recommender, known).recommend([user("cold", ITEMS[:2])], 18)
    mine = [item for item in known if item in ITEMS]
    assert set(ids(one)[: len(mine)]) == set(mine)
    assert ids(one)[len(mine) :] == [item for item in ITEMS[2:] if item not in mine]  # as they trend
    scores = [item.score for item in one.items]
    assert scores == sorted(scores, reverse=True)


def test_a_filled_cold_list_has_the_genre_first(recommender):
    """Dramas that the version does not know come before comedies that it knows, and strictly nothing else does."""
    mixed = mixing(recommender, ITEMS[15:])
    [one] = mixed.recommend([user("cold", ())], 20, mixed.read([WANTED]))
    assert ids(one)[:8] == list(ITEMS[:8])
    [strict] = mixed.recommend([user("cold", ())], 20, mixed.read([STRICT]))
    assert set(ids(strict)) == DRAMAS


def test_a_new_item_leaves_with_the_catalogue(recommender):
    """An item that was deleted is offered as new no more, whichever of the two is learnt first."""
    new = (NewItem("i0", 0.1, 0.2), NewItem("i1", 0.1, 0.2))
    smaller = CATALOGUE.changed(remove=["i0"])
    index = ContentIndex(smaller)
    assert recommender.with_new(new).with_catalogue(smaller, index).new == new[1:]
    assert recommender.with_catalogue(smaller, index).with_new(new).new == new[1:]


def test_a_draft_with_everything_is_complete(recommender):
    """Asked for more than the 15 items that are left, a one has them all and says so."""
    [one] = recommender.recommend([WARM], 16)
    assert (len(one.items), one.complete) == (15, True)


def test_a_mixed_batch_keeps_its_order(recommender):
    """Cold and personalised users in turn get the lists they get alone, in the order given."""
    profiles = [user("a", []), WARM, user("b", ["i3"]), user("c", ITEMS[5:11])]
    together = recommender.recommend(profiles, 6)
    assert [one.profile.user_id for one in together] == ["a", "warm", "b", "c"]
    assert [one.mode for one in together] == ["cold_start", "personalized", "cold_start", "personalized"]
    assert [ids(one) for one in together] == [ids(recommender.recommend([one], 6)[0]) for one in profiles]


def test_a_preferred_genre_comes_first_and_then_the_rest(recommender, ranker):
    """The three dramas that are left lead, then comedies fill up, both in the network's order."""
    [one] = recommender.recommend([WARM], 10, recommender.read([WANTED]))
    order = by_score(ranker, WARM)
    dramas = [item for item in order if item in DRAMAS]
    assert len(dramas) == 8 - 5
    assert ids(one) == (dramas + [item for item in order if item not in DRAMAS])[:10]


def test_a_strict_genre_is_all_there_is(recommender, ranker):
    """A strict wish yields the three dramas that are left and a complete one; no items for an unknown genre."""
    [one] = recommender.recommend([WARM], 10, recommender.read([STRICT]))
    assert ids(one) == [item for item in by_score(ranker, WARM) if item in DRAMAS]
    assert one.complete
    [nothing] = recommender.recommend([WARM], 10, recommender.read([Wishes(genres=GenreWishes(must=("Western",)))]))
    assert (nothing.items, nothing.complete) == ((), True)


def test_a_cold_wish_is_kept_as_well(recommender):
    """For a stranger the eight dramas lead by trend; strictly there are only they; exclusions go."""
    stranger = user("new", [])
    [preferred] = recommender.recommend([stranger], 10, recommender.read([WANTED]))
    assert ids(preferred) == list(ITEMS[:10])  # i0 to i7 are dramas, i8 and i9 the hottest of the rest
    [strict] = recommender.recommend(
        [stranger], 10, recommender.read([replace(STRICT, exclude=("i0", "i5", "absent"))])
    )
    assert ids(strict) == ["i1", "i2", "i3", "i4", "i6", "i7"]


def test_excluded_items_leave_the_others_in_order(recommender, ranker):
    """Without the two best the third leads."""
    order = by_score(ranker, WARM)
    [one] = recommender.recommend([WARM], 5, recommender.read([Wishes(exclude=(order[0], order[1], "absent"))]))
    assert ids(one) == order[2:7]


def test_what_left_the_catalogue_is_not_listed(recommender, ranker):
    """After the best item leaves the catalogue it is gone from the next list, and its title from the reasons."""
    best = by_score(ranker, WARM)[0]
    recommender.recommend([WARM], 3)  # the mask of the old catalogue has been made
    smaller = CATALOGUE.changed(remove=[best, *ITEMS[:5]])
    newer = recommender.with_catalogue(smaller, ContentIndex(smaller))
    [one] = newer.recommend([WARM], 10)
    assert best not in ids(one)
    [told] = newer.explain([(one, one.items)])
    assert {item.because.item_id for item in told} == {None}
    assert not any(item.reason.endswith(CATALOGUE.find(gone).title) for item in told for gone in ITEMS[:5])


def test_a_degraded_list_is_a_cold_one_and_changes_no_mode(recommender):
    """It is what trends and is similar, as before the first version, with the mode that the profile had."""
    profiles = [WARM, user("p", ITEMS[:9], "personalized"), user("new", [])]
    lists = recommender.degraded(profiles, 4)
    bare = recommender.with_model(None, None).recommend(profiles, 4)
    assert [one.items for one in lists] == [one.items for one in bare]
    assert ids(lists[2]) == ["i0", "i1", "i2", "i3"]
    assert [(one.mode, one.version) for one in lists[:2]] == [("cold_start", None), ("personalized", None)]


def test_genres_of_unknown_items_are_none(recommender):
    """The catalogue's genres, or none."""
    assert recommender.genres_of("i0") == ("Drama",)
    assert recommender.genres_of("absent") == ()


def test_inputs_stay_as_they_were(recommender):
    """A newer trending list makes a new recommender; the old one lists as before."""
    before = recommender.recommend([user("new", [])], 3)
    newer = recommender.with_trending(Trending.of([("i19", 9.0)]))
    assert ids(newer.recommend([user("new", [])], 3)[0])[0] == "i19"
    assert recommender.recommend([user("new", [])], 3) == before


def test_a_mode_chosen_by_hand_is_honoured_for_its_user_alone(recommender):
    """With one known item the chosen user is personalised, a neighbour with as many is not, and one without is cold."""
    chosen = recommender.with_overrides({"u": "personalized", "warm": "cold_start", "new": "personalized"})
    one = user("u", ITEMS[:1])
    assert chosen.decide(one) == ("personalized", 1)
    assert recommender.decide(one) == chosen.decide(user("v", ITEMS[:1])) == ("cold_start", 1)
    assert chosen.decide(WARM) == ("cold_start", 5)
    assert chosen.decide(user("new", [])) == ("cold_start", 0)
    assert chosen.with_model(None, None).decide(one) == ("cold_start", 0)


def test_with_the_surroundings_of_another_only_model_and_thresholds_are_its_own(recommender, ranker):
    """With the surroundings of a newer recommender, an arm keeps only its own version and thresholds."""
    arm = recommender.with_model(ranker, "v0").with_modes(ModeConfig(2, 2))
    trending, newcomers = Trending.of([("i9", 5.0)]), Trending.of([("i8", 2.0)])
    newer = recommender.with_trending(trending, newcomers).with_overrides({"u": "cold_start"})
    both = arm.with_surroundings_of(newer)
    assert (both.version, both.ranker, both.modes) == ("v0", ranker, ModeConfig(2, 2))
    assert (both.trending, both.newcomers) == (trending, newcomers)
    assert (both.overrides, both.catalogue) == (newer.overrides, newer.catalogue)


def test_what_is_listed_is_found_out_once_for_a_model_and_a_catalogue(recommender, ranker):
    """Rows listed are kept through trending, thresholds and choices, and looked up anew with another model."""
    recommender.recommend([WARM], 3)
    kept = recommender.__dict__["_listed"]
    same = recommender.with_trending(Trending()).with_modes(ModeConfig(2, 2)).with_overrides({"u": "cold_start"})
    assert same.__dict__["_listed"] is kept
    assert same.with_model(ranker, "v2").__dict__["_listed"] is kept
    assert "_listed" not in same.with_model(Ranker(ranker.snapshot), "v2").__dict__


@pytest.fixture
def returning(recommender, ranker):
    """Return the same recommender where people come back to items."""
    config = replace(ranker.snapshot.config, repeats=True)
    return replace(recommender, ranker=Ranker(replace(ranker.snapshot, config=config)), repeats=True)


def test_what_was_touched_may_be_listed_where_repeats_are_kept(recommender, returning):
    """Both kinds of lists of twenty hold all twenty items; without repeats they lack the touched ones."""
    for profile in (WARM, user("cold", ITEMS[:2])):
        touched = {one.item_id for one in profile.recent}
        assert set(ids(returning.recommend([profile], 20)[0])) == set(ITEMS)
        assert set(ids(recommender.recommend([profile], 20)[0])) == set(ITEMS) - touched


def test_a_repeat_is_not_explained_by_itself(returning):
    """An item of the history says that its user comes back to it, any other one names an item."""
    [one] = returning.recommend([WARM], 20)
    [listed] = returning.explain([(one, one.items)])
    touched = {one.item_id for one in WARM.recent}
    assert {item.reason for item in listed if item.item_id in touched} == {"You come back to it"}
    assert all(item.because.item_id != item.item_id for item in listed if item.item_id not in touched)


def test_what_is_excluded_stays_out_where_repeats_are_kept(returning):
    """A request's exclusions hold for touched items as well."""
    assert "i0" not in ids(returning.recommend([WARM], 20, returning.read([Wishes(exclude=("i0",))]))[0])
