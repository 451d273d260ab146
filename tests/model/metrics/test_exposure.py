"""What the place for new items brings, counted by hand: through the scoreboard, bounded, and after a restart."""

import json

import pytest

from model.metrics.exposure import ExposureTally
from model.metrics.live import PublishedList, Scoreboard

RANKED = tuple("abcdefghij")


def board_of(*tests):
    """Return a scoreboard after tests of one list each: its items, what is exposed, and the item touched."""
    board = Scoreboard()
    for n, (items, exposed, touched, *by_chance) in enumerate(tests):
        listed = PublishedList(f"r{n}", f"u{n}", 1, "cold_start", None, tuple(items), None, None, *by_chance)
        board.add_list(listed if exposed is None else _exposing(listed, exposed))
        board.add_event(f"u{n}", touched, 2)
    return board


def _exposing(listed, item):
    fields = (listed.rec_id, listed.user_id, listed.at_ms, listed.mode, listed.version, listed.items)
    return PublishedList(*fields, None, None, is_by_chance=True, exposed=item)


def test_showings_and_hits_of_new_items_and_of_the_last_place():
    """Of two showings of x one is touched; of three ranked lists the last place of one, a hit elsewhere is none."""
    exposing = (*RANKED[:9], "x")
    board = board_of(
        (exposing, "x", "x"), (exposing, "x", "a"), (RANKED, None, "j"), (RANKED, None, "a"), (RANKED, None, "z")
    )
    assert board.describe()["exposure"] == {"shown": 3, "hits": 1, "items": {"x": [2, 1]}}


def test_lists_that_say_nothing_of_the_last_place_are_not_counted():
    """A short list, one that explores, and one whose new item is beyond the tenth place count for neither."""
    longer = (*RANKED, "k", "x")
    board = board_of((RANKED[:5], None, "e"), (RANKED, None, "j", True), (longer, "x", "x"))
    assert board.total.tests == 3
    assert board.describe()["exposure"] == {"shown": 0, "hits": 0, "items": {}}


def test_the_latest_shown_items_are_kept():
    """With two kept, the third forgets the one not shown for longest; shown again, it begins anew."""
    tally = ExposureTally(2)
    for item in ("x", "y", "x", "z", "y"):
        tally.add(item, is_hit=True)
    assert tally.describe()["items"] == {"z": [1, 1], "y": [1, 1]}


def test_the_counts_outlive_the_process():
    """Described as JSON and restored, counts and order are the same, and go on."""
    tally = ExposureTally(2)
    for item in ("x", "y", None):
        tally.add(item, is_hit=False)
    again = ExposureTally.restored(json.loads(json.dumps(tally.describe())), 2)
    assert again.describe() == tally.describe() == {"shown": 1, "hits": 0, "items": {"x": [1, 0], "y": [1, 0]}}
    again.add("z", is_hit=True)
    assert list(again.describe()["items"]) == ["y", "z"]


@pytest.mark.parametrize(
    "wrong", [{}, {"shown": 1, "hits": "2", "items": {}}, {"shown": 1, "hits": 0, "items": {"x": [1]}}]
)
def test_figures_of_another_shape_are_refused_by_the_scoreboard(wrong):
    """What is no count of showings makes the figures none of ours."""
    with pytest.raises(ValueError, match="what `describe` returns is required"):
        Scoreboard().restore(Scoreboard().describe() | {"exposure": wrong})
