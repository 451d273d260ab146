"""Approval by hand: zero where nothing is known or all is liked, and below it for what was not liked."""

import math

import numpy as np
import pytest
import torch

from model.network.cooccurrence import EvidenceReader, RecentItems
from model.ranking.approval import (
    FOLLOWING_PRIOR,
    GENRE_PRIOR,
    ITEM_PRIOR,
    USER_PRIOR,
    Approval,
    ApprovalConfig,
)
from model.sequences import Sequences
from model.trainable.evidence import Evidence

WEIGHTS = ApprovalConfig(item=0.5, genre=0.7, following=1.5)
GENRES = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], dtype=np.float32)  # horror; horror and comedy; neither


def approval(liked=(0.0, 0.0, 0.0), touched=(0.0, 0.0, 0.0), evidence=None):
    """Return approval over three items with these counts."""
    counts = {f"evidence.{name}": np.array(one, np.float32) for name, one in (("liked", liked), ("touched", touched))}
    return Approval(counts | {"item_genres": GENRES}, evidence, WEIGHTS)


def recent(items, likings):
    """Return one user's items with their likings, newest first and all of one moment."""
    rows = np.array([items], dtype=np.int64)
    return RecentItems(rows, np.zeros(rows.shape, np.float32), likings=np.array([likings], dtype=np.float32))


def test_an_item_is_held_against_the_share_of_all():
    """With 60 of 120 events positive, an item of 0 of 40 gets log((0 + 10) / (40 + 20) / 0.5), and one without 0."""
    share = ITEM_PRIOR * 0.5
    expected = [(share / (40.0 + ITEM_PRIOR)) / 0.5, ((60.0 + share) / (80.0 + ITEM_PRIOR)) / 0.5, 1.0]
    found = approval([0.0, 60.0, 0.0], [40.0, 80.0, 0.0]).of_items
    assert found.tolist() == pytest.approx([WEIGHTS.item * math.log(one) for one in expected])


@pytest.mark.parametrize("counts", [([0.0] * 3, [0.0] * 3), ([7.0, 2.0, 0.0], [7.0, 2.0, 0.0]), ([0.0] * 3, [9.0] * 3)])
def test_items_are_equal_where_all_or_nothing_was_liked(counts):
    """Without events, without dislikes and without likes no item is worth more than another."""
    assert approval(*counts).of_items.tolist() == [0.0, 0.0, 0.0]


def test_disliked_genres_count_against_their_items():
    """Half a star for horror alone: log(s / (0.9 + s)) with the prior s, and half of it where comedy is mixed in."""
    lift = WEIGHTS.genre * math.log(GENRE_PRIOR / (0.9 + GENRE_PRIOR))
    disliked = recent([0, -1], [-0.9, 0.0])
    assert approval().of_users(disliked, None)[0].tolist() == pytest.approx([lift, lift / 2.0, 0.0], rel=1e-5)
    some = approval().of_pairs(disliked, np.array([[2, 0]]))
    assert some[0].tolist() == pytest.approx([0.0, lift], rel=1e-5)


def test_likes_are_measured_by_the_users_own_share():
    """Liked 1 of horror and disliked 0.5 elsewhere: horror's 1 + s stands over the share (1 + 2) / (1.5 + 2)."""
    share = (1.0 + USER_PRIOR) / (1.5 + USER_PRIOR)
    lift = WEIGHTS.genre * math.log((1.0 / share + GENRE_PRIOR) / (1.0 + GENRE_PRIOR))
    found = approval().of_users(recent([0, 2], [1.0, -0.5]), None)[0]
    assert lift > 0.0
    assert found[0].item() == pytest.approx(lift, rel=1e-5)


def test_what_follows_disliked_items_is_held_back():
    """Item 1 followed item 0 and nothing else, so all that speaks for it was disliked; nothing speaks for item 2."""
    evidence = Evidence(3, 3)
    evidence.count(Sequences.of([0, 0], [0, 1], [0, 10_000], [1.0, 1.0]))
    evidence.scale = torch.ones(3)
    reader = EvidenceReader(evidence.as_counts())
    known = approval(evidence=reader).of_pairs(recent([0], [-0.9]), np.array([[0, 1, 2]]))
    without = approval().of_pairs(recent([0], [-0.9]), np.array([[0, 1, 2]]))
    spoken = 0.9 / (21.0 * math.sqrt(2.0))  # one count, over 1 + 20 in all and the root of 1 + 1 events
    expected = WEIGHTS.following * math.log(FOLLOWING_PRIOR / (spoken + FOLLOWING_PRIOR))
    assert (known - without)[0].tolist() == pytest.approx([0.0, expected, 0.0], abs=1e-6)
    some = approval(evidence=reader).of_pairs(recent([0], [-0.9]), np.array([[1, 0, 2]]))
    assert np.allclose(some, known[:, [1, 0, 2]], atol=1e-6)


def test_who_likes_everything_or_is_unknown_gets_nothing_added():
    """Whatever is touched of a genre says nothing while all of it is liked."""
    assert approval().of_users(recent([-1, -1], [0.0, 0.0]), None).tolist() == [[0.0, 0.0, 0.0]]
    assert approval().of_users(recent([0, 1], [1.0, 0.3]), None).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("wrong", [{"item": -0.1}, {"genre": math.inf}, {"following": math.nan}])
def test_weights_that_are_none_are_refused(wrong):
    """A negative weight would look for what is disliked, and one without end would forget the rest."""
    with pytest.raises(ValueError, match="finite weights of 0 or more"):
        ApprovalConfig(**wrong)


def test_the_more_is_disliked_the_more_it_costs():
    """Five disliked films of a genre push further than one, and a liked one in between takes some of it back."""
    likings = ([-0.9, 0.0, 0.0, 0.0, 0.0], [-0.9] * 5, [-0.9, -0.9, 0.8, -0.9, -0.9])
    costs = [
        approval().of_users(recent([0 if one else -1 for one in mine], mine), None)[0, 0].item() for mine in likings
    ]
    once, often, mixed = costs
    assert often < once < 0.0
    assert often < mixed
