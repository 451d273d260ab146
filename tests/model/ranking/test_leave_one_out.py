"""What a history's items are worth to listed ones: the closed forms beside the ranking of a shorter history."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.history import Interaction, Profile
from model.network.shape import NeuMFConfig
from model.ranking.exact import Ranker
from model.ranking.signals import Signals
from model.sequences import Sequences
from model.trainable.neumf import NeuMF

N_ITEMS, N_GENRES = 60, 5
SHAPE = NeuMFConfig(history_length=30, factors=8, mlp_factors=8, genre_factors=4, taste_factors=6, hidden=(8, 4))
ITEMS, GENRES = tuple(f"i{row}" for row in range(N_ITEMS)), tuple(f"g{row}" for row in range(N_GENRES))


def snapshot_of(config, seed=0):
    """Return a version whose every part is drawn at random, and so says something."""
    draw = np.random.default_rng(seed)
    membership = (draw.random((N_ITEMS, N_GENRES)) < 0.4).astype(np.float32)
    generator = torch.Generator().manual_seed(seed)
    network = NeuMF(config, 1, membership, generator)
    users, times = np.repeat(np.arange(40), 25), np.tile(np.arange(25) * 60_000, 40)
    log = Sequences.of(users, draw.integers(0, N_ITEMS, len(users)), times, np.ones(len(users)))
    network.evidence.count(log)
    network.evidence.liked = network.evidence.touched * 0.7
    network.evidence.calibrate(log, config.history_length, draw)
    network.taste.fit(log, config.history_length)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.startswith("tower") or name in ("user_factors", "item_bias", "item_factors"):
                weight.add_(0.5 * torch.randn(weight.shape, generator=generator))
        network.blend.weights += torch.rand(network.blend.weights.shape, generator=generator)
    return network.snapshot(ITEMS, ("u",), GENRES)


def profile_of(n, seed=0, user="u", disliked=0.3):
    """Return a user who touched so many items some seconds apart, some of which were disliked; newest first."""
    draw = np.random.default_rng(seed)
    times = np.cumsum(draw.integers(0, 200_000, n)).tolist()
    events = [
        Interaction(f"i{row}", ts, "rate", 0.9 if liked else 0.2, bool(liked))
        for row, ts, liked in zip(draw.permutation(N_ITEMS)[:n], times, draw.random(n) >= disliked, strict=True)
    ]
    return Profile(user, recent=tuple(reversed(events)))


def without(profile, place):
    """Return the same user without the item at a place."""
    return replace(profile, recent=profile.recent[:place] + profile.recent[place + 1 :])


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 3, 19, 20, 22, 29])
@pytest.mark.parametrize("disliked", [0.0, 0.3])
def test_each_contribution_is_what_the_score_loses_without_the_item(blocks, n, disliked):
    """For each place, what is said is the logit of the whole history less that of the history without the place."""
    ranker = Ranker(snapshot_of(replace(SHAPE, blocks=blocks)))
    profiles = [profile_of(n, seed=seed, user=user, disliked=disliked) for seed, user in ((1, "u"), (2, "stranger"))]
    rows = np.array([[3, 40, 17, 58], [5, 6, 7, 8]])
    signals = Signals(np.linspace(0, 1, N_ITEMS, dtype=np.float32), np.linspace(1, 0, N_ITEMS, dtype=np.float32))
    for mode in ("personalized", "cold_start"):
        said = ranker.contributions(ranker.histories(profiles), rows, signals, mode)
        assert said.shape == (2, 4, n)
        whole = ranker.rerank(ranker.histories(profiles), rows, signals=signals, mode=mode)
        for place in range(n):
            shorter = ranker.histories([without(profile, place) for profile in profiles])
            left = ranker.rerank(shorter, rows, signals=signals, mode=mode)
            np.testing.assert_allclose(said[:, :, place], whole - left, atol=2e-4)


def test_histories_of_several_lengths_are_read_together():
    """A user's contributions are the same whoever is asked about beside them; beyond a history nothing is worth."""
    ranker = Ranker(snapshot_of(SHAPE))
    short, long = profile_of(3, seed=3), profile_of(21, seed=4)
    rows = np.array([[1, 2], [3, -1]])
    both = ranker.contributions(ranker.histories([short, long]), rows)
    alone = ranker.contributions(ranker.histories([short]), rows[:1])
    np.testing.assert_allclose(both[0, :, :3], alone[0], atol=1e-5)
    assert np.isneginf(both[0, :, 3:]).all()
    assert np.isneginf(both[1, 1]).all()


def test_what_speaks_most_is_named_and_nothing_that_was_disliked():
    """The item of the greatest contribution is named if it was liked; a user who liked nothing is told of nothing."""
    ranker = Ranker(snapshot_of(SHAPE))
    profiles = [profile_of(12, seed=5), profile_of(12, seed=6, disliked=1.0), Profile("nobody", recent=())]
    rows = np.tile(np.arange(10), (3, 1))
    histories = ranker.histories(profiles)
    named = ranker.because(histories, rows)
    lost = ranker.contributions(histories, rows)
    assert (named[1:] == -1).all()
    assert (named[0] >= 0).any()
    for row, found in zip(rows[0], named[0], strict=True):
        most = profiles[0].recent[int(lost[0, row].argmax())]
        expected = int(most.item_id[1:]) if most.is_positive and lost[0, row].max() > 0.0 else -1
        assert found == expected


def test_where_repeats_are_kept_all_places_of_an_item_count_together():
    """An item that was touched twice is worth the sum of what both places are worth."""
    ranker = Ranker(snapshot_of(replace(SHAPE, repeats=True)))
    once = profile_of(6, seed=7, disliked=0.0)
    again = replace(once, recent=(replace(once.recent[2], ts=once.recent[0].ts + 1000), *once.recent))
    said = ranker.contributions(ranker.histories([again]), np.array([[4, 5]]))
    np.testing.assert_allclose(said[:, :, 0], said[:, :, 3], atol=1e-5)
