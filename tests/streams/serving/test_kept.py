"""Profiles that were read before the lists of the batch before were kept."""

from model.history import Profile
from streams.serving.kept import KeptLists
from streams.state.store import StoredList


def profile(user_id):
    """Return a cold user who was shown one item."""
    return Profile(user_id, 1, 0, 0, 0.0, 0, 0, "cold_start", 1, 0, (), {}, impressions={"i1": 1.0})


def test_a_profile_of_before_is_brought_forward():
    """Mode and impressions are of the list that was kept meanwhile, where it says so; others are as they were read."""
    kept = KeptLists()
    before = kept.n_batches
    kept.note([StoredList("a", 1, "personalized", b"", {"i2": 1.0}), StoredList("b", 1, "personalized", b"")])
    found = kept.brought_forward({user: profile(user) for user in "abc"}, before)
    assert [(one.mode, dict(one.impressions)) for one in found.values()] == [
        ("personalized", {"i2": 1.0}),
        ("personalized", {"i1": 1.0}),
        ("cold_start", {"i1": 1.0}),
    ]


def test_a_profile_of_after_is_as_it_was_read():
    """Who read the profile after the list was kept may know of one that somebody else has made since."""
    kept = KeptLists()
    kept.note([StoredList("a", 1, "personalized", b"")])
    assert kept.brought_forward({"a": profile("a")}, kept.n_batches)["a"].mode == "cold_start"
