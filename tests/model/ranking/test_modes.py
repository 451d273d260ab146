"""Modes: a threshold with hysteresis."""

import pytest

from model.ranking.modes import ModeConfig, decide

CONFIG = ModeConfig(personalize_at=5, demote_below=3)


@pytest.mark.parametrize(
    ("mode", "known_items", "expected"),
    [
        ("cold_start", 0, "cold_start"),
        ("cold_start", 4, "cold_start"),
        ("cold_start", 5, "personalized"),
        ("cold_start", 6, "personalized"),
        ("personalized", 5, "personalized"),
        ("personalized", 3, "personalized"),
        ("personalized", 2, "cold_start"),
        ("personalized", 0, "cold_start"),
    ],
)
def test_a_mode_changes_at_its_own_threshold(mode, known_items, expected):
    """A cold user is promoted at 5 and a personalised one demoted below 3, one step either side included."""
    assert decide(mode, known_items, CONFIG) == expected


def test_evidence_that_wavers_between_the_thresholds_changes_nothing():
    """A user promoted at 5 whose known_items goes 4, 3, 4, 3 stays personalised, and a cold one stays cold."""
    for start in ("cold_start", "personalized"):
        mode = start
        for known_items in (4, 3, 4, 3):
            mode = decide(mode, known_items, CONFIG)
            assert mode == start


def test_equal_thresholds_are_a_plain_threshold():
    """With demote_below equal to personalize_at the mode depends on the known_items alone."""
    config = ModeConfig(personalize_at=2, demote_below=2)
    for mode in ("cold_start", "personalized"):
        assert [decide(mode, known_items, config) for known_items in (1, 2)] == ["cold_start", "personalized"]


@pytest.mark.parametrize(("personalize_at", "demote_below"), [(5, 0), (5, 6), (0, 0), (-1, -1)])
def test_thresholds_out_of_order_are_refused(personalize_at, demote_below):
    """demote_below must be at least 1 and at most personalize_at; the message names both."""
    with pytest.raises(ValueError, match=f"demote_below={demote_below}, personalize_at={personalize_at}"):
        ModeConfig(personalize_at, demote_below)


@pytest.mark.parametrize("mode", ["cold_start", "personalized"])
@pytest.mark.parametrize(
    ("chosen", "known_items", "expected"),
    [
        ("personalized", 0, "cold_start"),
        ("personalized", 1, "personalized"),
        ("personalized", 9, "personalized"),
        ("cold_start", 0, "cold_start"),
        ("cold_start", 9, "cold_start"),
    ],
)
def test_a_mode_chosen_by_hand_wins_over_the_thresholds(mode, chosen, known_items, expected):
    """Chosen personalised needs one known item, chosen cold needs nothing, and what the user was does not matter."""
    assert decide(mode, known_items, CONFIG, chosen) == expected
