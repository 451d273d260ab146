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
