from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.catalogue import Catalogue, Item
from replay.datasets.dataset import Dataset, Provenance
from replay.evaluation.leave_one_out import leave_one_out
from streams.errors import DataError

ROWS = [
    ("bob", "a", 1),
    ("ann", "a", 1),
    ("ann", "b", 1),
    ("cid", "c", 2),
    ("bob", "c", 3),
    ("ann", "c", 4),
    ("ann", "a", 9),
    ("bob", "b", 3),
]


@pytest.fixture
def log():
    """Return a log of three users: ann repeats an item at her end, and cid has a single one; nobody touches z."""
    table = pd.DataFrame(ROWS, columns=["user_id", "item_id", "ts"]).assign(rating=4.0).sort_values("ts", kind="stable")
    catalogue = Catalogue.of(Item(name, name.upper()) for name in "zabcdefg" if name not in "defg")
    return Dataset("log", catalogue, table[["user_id", "item_id", "rating", "ts"]], Provenance("csv", "f", "0" * 64))


@pytest.fixture
def split(log):
    """Return the log with each last event held out, ranked among all items only."""
    return leave_one_out(log, np.random.default_rng(0), negatives=0)


def test_the_last_new_item_is_held_out(split):
    """Ann's repeated `a` is no event, so `c` at 4 is her last; bob's is `b`, which comes after `c` at 3."""
    assert [split.user_ids[user] for user in split.users] == ["ann", "bob"]
    assert split.candidates.tolist() == [[2], [1]]  # rows of c and b among a, b, c
    assert split.times.tolist() == [4, 3]


def test_training_events_are_judged_in_their_order(log):
    """Ann's first rating of one star is not positive, her second of four is, and nobody else's depends on hers."""
    stars = {("ann", "a"): 1.0, ("ann", "b"): 4.0, ("bob", "a"): 3.0, ("bob", "c"): 2.0}
    table = log.interactions
    pairs = zip(table["user_id"], table["item_id"], strict=True)
    rated = replace(log, interactions=table.assign(rating=[stars.get(pair, 5.0) for pair in pairs]))
    split = leave_one_out(rated, np.random.default_rng(0), negatives=0)
    assert split.positive().tolist() == [False, True, True, False, True]
    assert split.wanted().tolist() == pytest.approx([0.4, 1.0, 1.0, 0.8, 1.0])  # twice the share of five stars


def test_a_log_that_says_what_was_liked_is_believed(log):
    """All ratings have four stars, and the log says that only what bob touched was liked."""
    table = log.interactions
    told = replace(log, interactions=table.assign(is_positive=table["user_id"] == "bob"))
    split = leave_one_out(told, np.random.default_rng(0), negatives=0)
    assert split.positive().tolist() == [False, False, True, True, False]


def test_a_user_of_one_item_trains_and_is_not_tested(split):
    """What is left is ann's a and b, bob's a and c, and cid's only c; a rating of 4 of 5 weighs 0.8."""
    assert list(split.event_users()) == ["ann", "ann", "bob", "bob", "cid"]
    assert list(split.event_items()) == ["a", "b", "a", "c", "c"]
    assert split.train["weight"].tolist() == [0.8] * 5


def test_items_that_nobody_touched_are_no_items_of_the_split(split):
    """The catalogue describes z as well."""
    assert tuple(split.catalogue.items) == ("a", "b", "c")


def test_what_a_user_knows_is_what_they_trained_on(split):
    """Ann knows a and b, bob a and c; a batch may begin anywhere."""
    assert split.known(0, 2).tolist() == [[True, True, False], [True, False, True]]
    assert split.known(1, 2).tolist() == [[True, False, True]]


def test_lengths_owners_and_ties(split):
    """Two events each; a, b and c have 2, 1 and 2 owners; of the two second events only ann's shares its time."""
    assert split.lengths().tolist() == [2, 2]
    assert split.owners().tolist() == [2, 1, 2]
    assert split.tied_share() == 0.5


def test_apart_are_those_whose_held_out_event_has_another_time(split):
    """Ann's comes 3 ms after the one before it, bob's at the same time."""
    assert split.apart().tolist() == [True, False]


def test_validation_holds_out_the_event_before(split):
    """Of a, b and a, c the second ones are held out, and cid still is not tested."""
    validation = split.validation(np.random.default_rng(0))
    assert validation.candidates.tolist() == [[1], [2]]
    assert list(validation.event_users()) == ["ann", "bob", "cid"]


def test_negatives_are_different_unseen_items(ring_split):
    """Every user touched 12 items of 120, the held-out one among them: 99 others, none touched, none twice."""
    for place, user in enumerate(ring_split.users):
        touched = {(2 * user + step) % 120 for step in range(12)}
        others = ring_split.candidates[place, 1:].tolist()
        assert len(set(others) - touched) == 99
    assert ring_split.candidates[:, 0].tolist() == [(2 * user + 11) % 120 for user in range(60)]


def test_every_unseen_item_may_be_drawn(ring_split):
    """In 60 draws of 99 of 108, item 0 is missed by all who have not touched it only once in 10^60."""
    drawn = set(ring_split.candidates[:, 1:].ravel().tolist())
    assert drawn == set(range(120))


def test_too_few_unseen_items_are_refused(log):
    """Ann touched all three items: not one is left for a negative, and the message says what to do."""
    with pytest.raises(DataError, match=r"'ann' has not touched.*got 0.*eval full"):
        leave_one_out(log, np.random.default_rng(0), negatives=1)


def test_a_log_without_a_second_item_is_refused(log):
    """A log of first events holds nothing to hold out."""
    firsts = replace(log, interactions=log.interactions.drop_duplicates("user_id"))
    with pytest.raises(DataError, match="two items"):
        leave_one_out(firsts, np.random.default_rng(0))


def test_repeats_are_counted_and_kept_only_where_asked_for():
    """Of x, y, x the last one is a repeat: dropped, y is held out; kept, x is, and competes with all items."""
    rows = [("u", "x", 0), ("u", "y", 1), ("u", "x", 2), ("v", "y", 0), ("v", "x", 1)]
    frame = pd.DataFrame(
        [(user, item, 5.0, ts) for user, item, ts in rows], columns=["user_id", "item_id", "rating", "ts"]
    )
    catalogue = Catalogue.of([Item("x", "X"), Item("y", "Y")])
    log = Dataset("made", catalogue, frame.sort_values("ts", ignore_index=True), Provenance("table", "made", "0"))
    dropped = leave_one_out(log, np.random.default_rng(0), negatives=0)
    kept = leave_one_out(log, np.random.default_rng(0), negatives=0, repeats=True)
    assert [(split.repeated, split.repeats, len(split.train)) for split in (dropped, kept)] == [
        (1, False, 2),
        (1, True, 3),
    ]
    assert (dropped.candidates[0, 0], kept.candidates[0, 0]) == (1, 0)
    assert kept.known(0, 1).all()
    assert not kept.excluded(0, 2).any()
    assert dropped.excluded(0, 1).tolist() == dropped.known(0, 1).tolist() == [[True, False]]


def test_some_of_the_tested_users_are_drawn_at_random(ring_split):
    """Nine of sixty are asked what they were asked before, the training is the same, and sixty are told of."""
    some = ring_split.sampled(9, np.random.default_rng(1))
    places = np.searchsorted(ring_split.users, some.users)
    assert (len(some), some.sampled_of) == (9, 60)
    assert (np.diff(some.users) > 0).all()
    assert (some.candidates == ring_split.candidates[places]).all()
    assert (some.times == ring_split.times[places]).all()
    assert some.train is ring_split.train
    assert some.known(2, 5).tolist() == [ring_split.known(at, at + 1)[0].tolist() for at in places[2:5].tolist()]
    assert some.users.tolist() != ring_split.sampled(9, np.random.default_rng(2)).users.tolist()
    assert some.sampled(3, np.random.default_rng(1)).sampled_of == 60


def test_a_split_with_few_users_is_no_sample(ring_split):
    """Sixty users are all tested where sixty may be, and the penultimate events are of all users again."""
    assert ring_split.sampled(60, np.random.default_rng(1)) is ring_split
    again = ring_split.sampled(9, np.random.default_rng(1)).validation(np.random.default_rng(1))
    assert (len(again), again.sampled_of) == (60, None)
