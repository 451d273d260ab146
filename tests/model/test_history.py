"""Histories: what a user did, as values."""

import dataclasses

import pytest

from model.history import Interaction, Profile, distinct_items


def test_distinct_items_keeps_the_newest_of_each():
    """Of several interactions with one item the first, which is the newest, is kept, and the order stays."""
    newest = Interaction("a", 3, "rate", 0.8)
    other = Interaction("b", 2, "watch", 0.5)
    oldest = Interaction("a", 1, "watch", 1.0)
    assert distinct_items((newest, other, oldest)) == (newest, other)
    assert distinct_items(()) == ()


def test_a_profiles_sequence_counts_every_event():
    """Watches and ratings count alike: 3 + 2 = 5."""
    assert Profile("u", watches=3, ratings=2).sequence == 5
    assert Profile("u").sequence == 0


def test_a_new_profile_is_cold_and_empty():
    """A user without events is cold and has no interactions and no genres."""
    profile = Profile("u")
    assert (profile.mode, profile.recent, dict(profile.genres), profile.seen) == ("cold_start", (), {}, 0)


def test_values_cannot_be_changed():
    """Profiles and interactions are frozen, so a batch can share them between threads."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Profile("u").watches = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Interaction("a", 1, "watch", 1.0).weight = 0.0


def test_liking_is_below_zero_for_what_was_not_liked():
    """Half a star of five says -0.9, a rating just below one's middle little, and a watch left early nearly nothing."""
    assert Interaction("a", 1, "rate", 1.0).liking == 1.0
    assert Interaction("a", 1, "rate", 0.1, is_positive=False).liking == -0.9
    assert Interaction("a", 1, "rate", 0.6, is_positive=False).liking == -0.4
    assert Interaction("a", 1, "watch", 0.05, is_positive=False).liking == -0.05


def test_what_was_not_liked_counts_less_in_training():
    """A positive event counts in full whatever it weighs, half a star 0.2, and a watch left early 0.1."""
    assert Interaction("a", 1, "watch", 0.2).wanted == 1.0
    assert Interaction("a", 1, "rate", 0.1, is_positive=False).wanted == 0.2
    assert Interaction("a", 1, "watch", 0.05, is_positive=False).wanted == 0.1
