"""The catalogue: a value with a stable order."""

import dataclasses

import pytest

from model.catalogue import Catalogue, Item

HEAT = Item("1", "Heat", 1995, ("Crime", "Drama"))
ALIEN = Item("2", "Alien", 1979, ("Horror",))
UNKNOWN = Item("3", "Unknown")


def test_items_keep_the_order_in_which_they_were_first_seen():
    """Iteration follows first appearance, and of two items with one id the later one is kept in the first's place."""
    newer = Item("1", "Heat (remastered)", 1995)
    assert list(Catalogue.of([HEAT, ALIEN, newer])) == [newer, ALIEN]


def test_a_change_makes_a_new_catalogue():
    """Putting and removing leaves the old catalogue as it was."""
    before = Catalogue.of([HEAT, ALIEN])
    after = before.changed(put=[UNKNOWN], remove=["1"])
    assert list(before) == [HEAT, ALIEN]
    assert list(after) == [ALIEN, UNKNOWN]


def test_replacing_keeps_the_place():
    """A replaced item stays in its row."""
    renamed = dataclasses.replace(HEAT, title="Heat II")
    assert list(Catalogue.of([HEAT, ALIEN]).changed(put=[renamed])) == [renamed, ALIEN]


def test_removing_wins_over_putting_and_over_absence():
    """An item put and removed in one change is gone, and removing an unknown id does nothing."""
    catalogue = Catalogue.of([HEAT])
    assert list(catalogue.changed(put=[ALIEN], remove=["2", "9"])) == [HEAT]


def test_find_returns_none_for_an_unknown_id_and_stores_nothing():
    """Asking never adds."""
    catalogue = Catalogue.of([HEAT])
    assert catalogue.find("1") is HEAT
    assert catalogue.find("9") is None
    assert len(catalogue) == 1
    assert "1" in catalogue
    assert "9" not in catalogue


def test_genres_are_sorted_and_named_once():
    """Every genre that occurs is returned once, by name."""
    assert Catalogue.of([HEAT, ALIEN, Item("4", "Ran", 1985, ("Drama",))]).genres() == ("Crime", "Drama", "Horror")


def test_an_empty_catalogue_has_nothing():
    """A new catalogue holds no items and no genres."""
    assert (len(Catalogue()), list(Catalogue()), Catalogue().genres()) == (0, [], ())


def test_a_catalogue_cannot_be_written_to():
    """The mapping inside refuses assignment."""
    with pytest.raises(TypeError):
        Catalogue.of([HEAT]).items["2"] = ALIEN


@pytest.mark.parametrize(
    ("dates", "moments"),
    [
        ({}, {0: True, 10**15: True}),
        ({"released": 100}, {99: False, 100: True, 10**15: True}),
        ({"expires": 200}, {-(10**15): True, 199: True, 200: False}),
        ({"released": 100, "expires": 200}, {99: False, 100: True, 199: True, 200: False}),
        ({"released": 100, "hidden": True}, {99: False, 150: False}),
    ],
)
def test_an_item_is_listed_from_its_release_to_before_its_end(dates, moments):
    """The moment of the release is within, that of the end is not; a hidden item is never listed."""
    item = dataclasses.replace(HEAT, **dates)
    assert {at: item.is_listed(at) for at in moments} == moments
    assert {at: list(Catalogue.of([item, ALIEN]).listed(at)) == [item, ALIEN] for at in moments} == moments


def test_what_all_may_be_listed_is_the_very_catalogue():
    """Where nothing is left out nothing is copied."""
    catalogue = Catalogue.of([HEAT, ALIEN])
    assert catalogue.listed(0) is catalogue


def test_the_next_change_is_the_next_date_of_an_item_that_is_not_hidden():
    """Dates that have passed, and those of hidden items, change nothing."""
    dated = dataclasses.replace(HEAT, released=100, expires=300)
    hidden = dataclasses.replace(ALIEN, released=150, hidden=True)
    catalogue = Catalogue.of([dated, hidden, UNKNOWN])
    assert [catalogue.changes_after(at) for at in (0, 99, 100, 299, 300)] == [100, 100, 300, 300, None]
    assert Catalogue.of([UNKNOWN]).changes_after(0) is None
