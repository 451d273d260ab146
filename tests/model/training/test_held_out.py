"""Where versions rank held-out events: in a large catalogue misses are told early, and hits are those of all items."""

from dataclasses import replace

import numpy as np
import pytest

from model.history import Interaction, Profile
from model.metrics.ranking import full_ranks
from model.network.blend import FEATURES, Blend, feature
from model.network.cooccurrence import kernel_weights
from model.ranking.exact import MANY_ITEMS, Ranker, recent_of
from model.ranking.signals import Signals
from model.training.held_out import HeldOutEvent, Questions, are_cold, counts_ranks, held_out_ranks, popularity_ranks
from tests.toy import toy_snapshot

N = MANY_ITEMS + 700
K = 10


@pytest.fixture(scope="module")
def ranker():
    """Rank so many items that only some are scored for everybody; counts, taste and blend are made up."""
    generator = np.random.default_rng(0)
    snapshot = toy_snapshot([f"i{n}" for n in range(N)], neighbours=6)
    weights = dict(snapshot.weights)
    for name in ("item_factors", "item_mlp_factors", "item_bias", "taste.factors", "fuse_mlp"):
        weights[name] = generator.normal(0.0, 0.5, weights[name].shape).astype(np.float32)
    weights["evidence.neighbours"] = np.sort(generator.integers(0, N // 6, (N, 6)) * 6 + np.arange(6), axis=1)
    weights["evidence.neighbours"] = weights["evidence.neighbours"].astype(np.int32)
    weights["evidence.counts"] = generator.integers(1, 9, (N, 6)).astype(np.float32)
    weights["evidence.followed"] = weights["evidence.counts"].sum(axis=1)
    weights["evidence.touched"] = generator.integers(1, 50, N).astype(np.float32)
    weights["evidence.liked"] = weights["evidence.touched"] - 1.0
    weights["evidence.newcomers"] = generator.integers(0, 9, N).astype(np.float32)
    weights["evidence.scale"] = np.full(3, 0.1, dtype=np.float32)
    blend = Blend()
    blend.weights[1, :] = np.linspace(0.3, 0.7, len(FEATURES))
    blend.weights[0, :, [feature("genres"), feature("trending")]] = 0.5
    blend.tests[5] = 1.0
    return Ranker(replace(snapshot, weights=weights).with_blend(blend))


@pytest.fixture(scope="module")
def trends():
    """Return signals in which some items trend."""
    return Signals(*np.random.default_rng(4).random((2, N), dtype=np.float32))


def profile(user, generator):
    """Return a user with 1 to 12 items, some of them disliked."""
    rows = generator.choice(N, generator.integers(1, 13), replace=False)
    recent = (
        Interaction(f"i{row}", 10_000_000 - 60_000 * place, "rate", 0.8, bool(generator.random() < 0.7))
        for place, row in enumerate(rows.tolist())
    )
    return Profile(f"u{user}", recent=tuple(recent))


@pytest.fixture(scope="module")
def events(ranker):
    """Return events of 45 users, with the best items, with what follows an item, or any; one with an unknown item."""
    generator = np.random.default_rng(2)
    befores = [profile(user, generator) for user in range(45)]
    best = ranker.rank(ranker.histories(befores), 20).rows
    follow = ranker.snapshot.weights["evidence.neighbours"][ranker.items.rows(one.recent[0].item_id for one in befores)]
    rows = [(best[user, user % 20], follow[user, user % 6], generator.integers(N))[user % 3] for user in range(45)]
    found = [HeldOutEvent(one, f"i{row}") for row, one in zip(rows, befores, strict=True)]
    return [*found, HeldOutEvent(befores[0], "never heard of")]


def unknown_to(ranker, events):
    """Return targets and what is out of the competition, as `full_ranks` takes them."""
    known = np.zeros((len(events), N), dtype=np.bool_)
    for place, event in enumerate(events):
        known[place, ranker.items.rows(one.item_id for one in event.before.recent)] = True
    return ranker.items.rows(event.item_id for event in events), known


def pairwise(ranker, events, mode):
    """Return the logits of all items, scored as candidates are: another way through the same parts."""
    histories = ranker.histories([event.before for event in events])
    return ranker.rerank(histories, np.broadcast_to(np.arange(N), (len(events), N)), mode=mode)


@pytest.mark.parametrize("repeats", [False, True])
def test_columns_of_profiles_are_read_as_profiles_are(ranker, events, repeats):
    """Histories are those that a ranker makes itself, with items that come twice, unknown ones and long histories."""
    config = replace(ranker.snapshot.config, repeats=repeats)
    mine = Ranker(replace(ranker.snapshot, config=config))
    generator = np.random.default_rng(6)
    profiles = [event.before for event in events]
    for length in (0, 3, config.history_length, 2 * config.history_length):
        ids = [f"i{row}" for row in generator.integers(0, 40, length)]
        recent = (Interaction(one, 90 - n, "rate", 0.2, bool(n % 3)) for n, one in enumerate(["unknown", *ids]))
        profiles.append(Profile(f"long {length}", recent=tuple(recent)))
    asked = Questions.of(mine, [HeldOutEvent(profile, "i0") for profile in profiles])
    wanted = mine.histories(profiles)
    for name in ("users", "items", "times", "weights", "likings"):
        np.testing.assert_array_equal(getattr(asked.histories, name), getattr(wanted, name), err_msg=name)
    assert asked.known_counts.tolist() == [mine.known_items(profile) for profile in profiles]


def test_hits_are_those_of_the_whole_catalogue(ranker, events):
    """Up to k a rank is the one among all items that are scored pair by pair; beyond k both are; half are cold."""
    is_cold = are_cold(ranker, events)
    assert 0 < is_cold.sum() < len(events)
    scores = pairwise(ranker, events, "personalized")
    scores[is_cold] = pairwise(ranker, [one for one, cold in zip(events, is_cold, strict=True) if cold], "cold_start")
    exact = full_ranks(scores, *unknown_to(ranker, events))
    found = held_out_ranks(ranker, events, k=K)
    assert 3 < np.count_nonzero(exact <= K) < 20
    assert np.array_equal(np.where(exact <= K, exact, np.inf), np.where(found <= K, found, np.inf))
    assert np.isinf(found[-1])


def test_without_a_length_all_ranks_are_exact(ranker, events):
    """Misses as well have the rank among all items, but for rounding where two scores all but tie."""
    some = [event for event, cold in zip(events, are_cold(ranker, events), strict=True) if not cold]
    exact = full_ranks(pairwise(ranker, some, "personalized"), *unknown_to(ranker, some))
    found = held_out_ranks(ranker, some)
    assert np.abs(found[np.isfinite(exact)] - exact[np.isfinite(exact)]).max() <= 1


def test_ranks_by_counts_need_no_score_of_every_item(ranker, events):
    """What the counts say nothing of ties at zero, and known items are left out: as if all were scored."""
    found = counts_ranks(ranker, events)
    scores = ranker.counts(ranker.histories([event.before for event in events]))
    assert np.array_equal(found, full_ranks(scores, *unknown_to(ranker, events)))
    assert (found < N / 2 - 100).any()
    assert (found[:-1] > N / 2 - 100).any()


def test_ranks_by_popularity_are_those_of_sorted_counts(ranker, events):
    """A rank is one more than the unknown items that are more popular, and half of those that are as popular."""
    popularity = {f"i{n}": n % 7 for n in range(0, N, 3)}
    counts = np.array([popularity.get(f"i{n}", 0) for n in range(N)], dtype=np.float32)
    expected = full_ranks(np.tile(counts, (len(events), 1)), *unknown_to(ranker, events))
    assert np.array_equal(popularity_ranks(ranker, events, popularity), expected)


def test_entries_are_the_sums_that_are_not_zero(ranker, events):
    """Each pair of asker and item comes once, with all of its sums, also where askers are taken few at a time."""
    evidence = ranker._evidence
    recent = recent_of(ranker.histories([event.before for event in events]))
    askers, items, sums = evidence.entries_of_catalogue(recent.items, kernel_weights(recent))
    found = np.zeros((len(events), 3, N), dtype=np.float32)
    found[askers, :, items] += sums.T
    np.testing.assert_allclose(found, evidence.sums_of_catalogue(recent.items, kernel_weights(recent)), atol=1e-7)
    assert len(np.unique(askers * N + items)) == len(items)


def test_features_by_their_weights_are_the_logits_without_approval(ranker, events, trends):
    """What the blend learns from is what it mixes in lists: features times weights, and approval on top."""
    histories = ranker.histories([replace(event.before, recent=event.before.recent[:1]) for event in events])
    liked = replace(histories, likings=np.abs(histories.likings))
    rows = np.random.default_rng(5).integers(0, N, (len(events), 30))
    weights = ranker.snapshot.blend().at(liked.lengths(), "personalized")
    mixed = np.einsum("bcf,bf->bc", ranker.features(liked, rows, trends), weights)
    approval = ranker._approval.of_items[rows]
    logits = ranker.logits(liked, None, trends, "personalized")
    np.testing.assert_allclose(mixed + approval, np.take_along_axis(logits, rows, axis=1), atol=2e-4)


def test_the_foremost_items_are_most_of_the_best(ranker, events, trends):
    """With the MLP taken for linear, nine in ten of the hundred best are found, and in cold start, without it, all."""
    histories = ranker.histories([event.before for event in events])
    _, known = unknown_to(ranker, events)
    for mode, share in (("personalized", 0.9), ("cold_start", 1.0)):
        found = ranker.foremost(histories, 100, known, trends, mode)
        logits = np.where(known, -np.inf, ranker.logits(histories, None, trends, mode))
        least = np.sort(logits, axis=1)[:, -100, None]
        assert np.mean(np.take_along_axis(logits, found, axis=1) >= least - 1e-4) >= share


def test_the_foremost_are_among_items_that_somebody_touched_or_that_trend(ranker):
    """Where too few are for a list of each user, they are among all."""
    weights = dict(ranker.snapshot.weights)
    for name in ("evidence.touched", "evidence.newcomers"):
        weights[name] = np.where(np.arange(N) % 3 == 0, weights[name], np.float32(0.0))
    mine = Ranker(replace(ranker.snapshot, weights=weights))
    trends = Signals(np.eye(1, N, 4, dtype=np.float32)[0], np.zeros(N, dtype=np.float32))
    touched = np.flatnonzero(weights["evidence.touched"] + weights["evidence.newcomers"])
    assert mine.linear_items(trends, 100).rows.tolist() == sorted([4, *touched.tolist()])
    assert len(mine.linear_items(trends, len(touched)).rows) == N
