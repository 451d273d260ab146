import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.history import Interaction, Profile
from model.network.cooccurrence import EvidenceReader, RecentItems
from model.network.snapshot import Snapshot
from model.ranking.exact import Ranker, history_batch
from model.trainable.neumf import NeuMF
from model.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def ranker(ring):
    """Return a ranker of the ring."""
    return Ranker(ring.snapshot)


@pytest.fixture
def profiles(world):
    """Return a known user, an unknown one, one with an unknown item, and one without any history."""
    make = world["profile"]
    return [
        make("i3", "i5", "i6", user_id="u1"),
        make("i20", "i21"),
        make("i9", "never heard of"),
        make(),
    ]


def _expected(ranker, histories):
    """Return all logits by the plain network, one user at a time."""
    network, found = NeuMF.of(ranker.snapshot), []
    with torch.no_grad():
        for place in range(len(histories)):
            one = histories.taken(slice(place, place + 1))
            items = torch.from_numpy(one.items)
            columns = (torch.from_numpy(one.times), torch.from_numpy(one.weights), (items >= 0).sum(dim=1))
            users = network.users_now(torch.from_numpy(one.users), items.clamp(min=0), *columns)
            every = torch.arange(len(ranker)).unsqueeze(0)
            logits = network.pair_logits(users, network.item_side(), every)[0]
            newest = one.items[:, ::-1][one.items[:, ::-1] >= 0][np.newaxis]
            times = one.times[:, ::-1][one.items[:, ::-1] >= 0]
            recent = RecentItems(newest, ((times[:1] - times) / 1000).astype(np.float32)[np.newaxis])
            features = EvidenceReader(network.evidence.as_counts()).of_pairs(recent, every.numpy())[0]
            found.append(logits + network.evidence(torch.from_numpy(features)))
    return torch.stack(found).numpy()


def test_histories_hold_the_newest_distinct_known_items_oldest_first():
    """Of a, b, x, a, c seen in this order with length 2 and x unknown: a (its newer time 3) and c."""
    recent = tuple(Interaction(item, ts, "watch", 0.5) for ts, item in enumerate("abxac"))[::-1]
    profiles = [Profile("u", recent=recent), Profile("v")]
    batch = history_batch(profiles, Vocabulary("abc"), Vocabulary(["v"]), 2)
    assert batch.items.tolist() == [[0, 2], [-1, -1]]
    assert batch.times[0].tolist() == [3, 4]
    assert batch.weights.tolist() == [[0.5, 0.5], [0.0, 0.0]]
    assert batch.users.tolist() == [-1, 0]


def test_every_score_equals_the_plain_network(ranker, profiles):
    """The precomputed item side changes no logit by more than rounding."""
    histories = ranker.histories(profiles)
    assert np.allclose(ranker.logits(histories), _expected(ranker, histories), atol=1e-4)


@pytest.mark.parametrize("columns", [7, 3 * 51])
def test_blocks_join_without_a_seam(ring, ranker, profiles, columns):
    """Seven items at a time, or all 51 for three of four users and then the last, score like all at once."""
    histories = ranker.histories(profiles)
    pieces = Ranker(ring.snapshot, block=columns * ring.config.hidden[0])
    assert np.allclose(pieces.logits(histories), ranker.logits(histories), atol=1e-5)


def test_lists_are_the_best_of_the_whole_catalogue(ranker, profiles):
    """The rows are those that sorting all scores puts first, history left out."""
    histories = ranker.histories(profiles)
    logits = ranker.logits(histories)
    for place, history in enumerate(histories.items):
        logits[place, history[history >= 0]] = -np.inf
    assert np.array_equal(ranker.rank(histories, 10).rows, np.argsort(-logits, axis=1, kind="stable")[:, :10])


def test_candidate_scores_are_those_that_ranking_sorts(ranker, profiles):
    """The sigmoid of the scores of a list's rows is the list's scores, bit for bit."""
    histories = ranker.histories(profiles)
    ranked = ranker.rank(histories, 5)
    logits = ranker.score(histories, ranked.rows)
    assert np.array_equal(1.0 / (1.0 + np.exp(-logits)), ranked.scores)


def test_given_items_are_reranked_as_the_whole_catalogue_is_scored(ranker, profiles):
    """The logits of 4 x 5000 given rows, repeated ones among them, are those gathered from all, to 1e-5."""
    histories = ranker.histories(profiles)
    rows = np.random.default_rng(0).integers(0, len(ranker), (4, 5000))
    expected = ranker.logits(histories)[np.arange(4)[:, None], rows]
    assert np.abs(ranker.rerank(histories, rows) - expected).max() < 1e-5
    assert ranker.rerank(histories, rows[:, :0]).shape == (4, 0)


@pytest.mark.parametrize("wrong", [np.full((4, 1), 51), np.full((4, 1), -1), np.zeros((3, 1), dtype=np.int64)])
def test_rows_that_the_catalogue_does_not_hold_are_not_reranked(ranker, profiles, wrong):
    """Of 51 items there is no row 51 and none before 0, and 3 lines of rows do not fit 4 users."""
    with pytest.raises(ValueError, match="rerank: rows must be"):
        ranker.rerank(ranker.histories(profiles), wrong)


def test_a_user_scores_alike_alone_and_in_a_batch(ranker, profiles):
    """Who else is ranked, and how long their histories are, is none of a user's business."""
    together = ranker.logits(ranker.histories(profiles))
    alone = np.concatenate([ranker.logits(ranker.histories([profile])) for profile in profiles])
    assert np.allclose(together, alone, atol=1e-4)


def test_ties_go_to_the_lower_row(ring, world):
    """With all item weights equal and no history every score is the same: rows 0, 1, 2."""
    weights = {name: tensor.copy() for name, tensor in ring.snapshot.weights.items()}
    for name in ("item_factors", "item_mlp_factors", "item_bias", "genre_factors"):
        weights[name][:] = 0.0
    ranker = Ranker(replace(ring.snapshot, weights=weights))
    assert ranker.rank(ranker.histories([world["profile"]()]), 3).rows.tolist() == [[0, 1, 2]]


def test_excluded_and_not_allowed_items_do_not_come(ranker, profiles):
    """What would come first, once excluded, gives way to the second; with one item allowed only it comes."""
    histories = ranker.histories(profiles)
    plain = ranker.rank(histories, 3).rows
    excluded = np.zeros((len(profiles), len(ranker)), dtype=bool)
    excluded[np.arange(len(profiles)), plain[:, 0]] = True
    assert np.array_equal(ranker.rank(histories, 2, excluded=excluded).rows, plain[:, 1:])
    allowed = np.arange(len(ranker)) == 30
    ranked = ranker.rank(histories, 2, allowed=allowed)
    assert ranked.rows.tolist() == [[30, -1]] * 4
    assert ranked.scores[:, 1].tolist() == [0.0] * 4


def test_more_than_the_catalogue_holds_is_filled_with_nothing(ranker, profiles):
    """51 items less 3 of the history leave 48 of 60 places."""
    rows = ranker.rank(ranker.histories(profiles[:1]), 60).rows
    assert rows.shape == (1, 60)
    assert np.count_nonzero(rows >= 0) == 48


def test_a_mask_of_another_shape_is_refused(ranker, profiles):
    """A mask of 4 x 3 does not fit 4 users and 51 items."""
    with pytest.raises(ValueError, match="excluded must be bool"):
        ranker.rank(ranker.histories(profiles), 3, excluded=np.zeros((4, 3), dtype=bool))


def test_no_items_wanted_is_refused(ranker, profiles):
    """A list of none is a caller's mistake."""
    with pytest.raises(ValueError, match="got 0"):
        ranker.rank(ranker.histories(profiles), 0)


def test_scores_that_are_not_numbers_are_refused(ring, profiles):
    """A spoilt version raises rather than serve an arbitrary order."""
    weights = {name: tensor.copy() for name, tensor in ring.snapshot.weights.items()}
    weights["item_bias"][5] = float("nan")
    ranker = Ranker(replace(ring.snapshot, weights=weights))
    with pytest.raises(FloatingPointError, match="4 others"):
        ranker.rank(ranker.histories(profiles), 3)
    with pytest.raises(FloatingPointError, match=r"rerank.*2 others"):
        ranker.rerank(ranker.histories(profiles[:2]), np.array([[5, 1], [2, 5]]))


def test_ranking_leaves_no_trace(ranker, profiles):
    """The same question has the same answer after others were asked, and inputs and weights are unchanged."""
    histories = ranker.histories(profiles)
    given = copy.deepcopy(histories)
    weights = {name: tensor.copy() for name, tensor in ranker.snapshot.weights.items()}
    first = ranker.rank(histories, 5)
    ranker.rank(ranker.histories(profiles[::-1]), 7)
    again = ranker.rank(histories, 5)
    assert np.array_equal(first.rows, again.rows)
    assert np.array_equal(first.scores, again.scores)
    assert all(np.array_equal(getattr(histories, name), getattr(given, name)) for name in HISTORY_COLUMNS)
    assert all(np.array_equal(tensor, weights[name]) for name, tensor in ranker.snapshot.weights.items())
    assert len(ranker.users) == 60


HISTORY_COLUMNS = ("users", "items", "times", "weights")


def test_a_list_changes_with_an_event_and_without_training(ranker, world):
    """After one more watch on the other side of the ring, an unknown user's first item is another."""
    before, after = world["profile"]("i3", "i4"), world["profile"]("i3", "i4", "i30")
    lists = ranker.rank(ranker.histories([before, after]), 1).rows
    assert lists[0, 0] != lists[1, 0]


def test_evidence_counts_distinct_known_items(ranker, world):
    """i3, i4, i3 and an unknown item are two."""
    assert ranker.known_items(world["profile"]("i3", "i4", "i3", "never heard of")) == 2


def test_dislikes_count_the_same_wherever_a_score_is_read(ring, ranker):
    """All logits, those of single items, and those of users on two threads agree, and dislikes change them."""
    world = np.random.default_rng(0)
    profiles = [
        Profile(
            f"u{user}",
            recent=tuple(
                Interaction(f"i{item}", 60_000 * (20 - at), "rate", 0.1 if at % 2 else 1.0, is_positive=not at % 2)
                for at, item in enumerate(world.permutation(50)[:8].tolist())
            ),
        )
        for user in range(40)
    ]
    histories = ranker.histories(profiles)
    logits = ranker.logits(histories)
    rows = world.integers(0, len(ranker), (40, 9))
    assert np.allclose(ranker.rerank(histories, rows), np.take_along_axis(logits, rows, 1), atol=1e-4)
    assert np.allclose(Ranker(ring.snapshot, threads=2).logits(histories), logits, atol=1e-5)
    blind = ranker.logits(replace(histories, likings=np.abs(histories.likings)))
    assert not np.allclose(blind, logits, atol=1e-2)


def test_nobody_to_rank_is_no_list(ranker):
    """An empty batch makes an empty result of the asked width."""
    assert ranker.rank(ranker.histories([]), 4).rows.shape == (0, 4)


def test_a_version_without_items_is_refused(ring):
    """There is nothing to rank before the first item."""
    weights = dict(ring.snapshot.weights)
    for name in ("item_factors", "evidence.neighbours"):
        weights[name] = weights[name][:0]
    with pytest.raises(ValueError, match="with items"):
        Ranker(Snapshot(ring.config, weights, (), ring.snapshot.users, ring.snapshot.genres))


def test_warming_up_needs_no_user(ranker):
    """A made-up user is ranked and forgotten."""
    ranker.warm_up()
    assert len(ranker.users) == 60


def test_two_threads_rank_as_one(ring, ranker, world):
    """A batch divided between threads, the last share smaller, has the scores of one that is not, in its order."""
    batch = ranker.histories([world["profile"](f"i{n % 20}", f"i{n % 20 + 1}", user_id=f"u{n}") for n in range(41)])
    texts = np.random.default_rng(0).random((41, ring.config.text_width), dtype=np.float32)
    divided = Ranker(ring.snapshot, threads=2)
    for asked in (None, texts):  # products of 21 rows and of 41 may be rounded otherwise, by 3e-6 on some processors
        assert np.allclose(divided.logits(batch, asked), ranker.logits(batch, asked), atol=1e-5)
    assert divided.rank(batch, 3).rows.tolist() == ranker.rank(batch, 3).rows.tolist()


def test_nothing_is_recommended_because_of_a_disliked_item(ranker):
    """What is named is an item that was liked, and there is none where nothing was."""
    likes, dislikes = (Interaction("i1", 2, "rate", 1.0), Interaction("i2", 1, "rate", 0.1, is_positive=False))
    batch = ranker.histories([Profile("u", recent=(dislikes, likes)), Profile("v", recent=(dislikes,))])
    rows = ranker.items.rows(["i2", "i3"])
    named = ranker.because(batch, np.stack([rows, rows]))
    assert set(named[0].tolist()) <= {ranker.items.row("i1"), -1}
    assert named[1].tolist() == [-1, -1]


@pytest.fixture(scope="module")
def returning(ring):
    """Return the same ranker, of a version that keeps repeats."""
    return Ranker(replace(ring.snapshot, config=replace(ring.snapshot.config, repeats=True)))


def test_histories_with_repeats_hold_every_touch():
    """Of a, b, x, a, c with x unknown and a length of 3: b, a and c, where a version without repeats has a once."""
    recent = tuple(Interaction(item, ts, "watch", 0.5) for ts, item in enumerate("abxac"))[::-1]
    batch = history_batch([Profile("u", recent=recent)], Vocabulary("abc"), Vocabulary(), 4, repeats=True)
    assert batch.items.tolist() == [[0, 1, 0, 2]]
    assert batch.times.tolist() == [[0, 1, 3, 4]]


def test_a_version_with_repeats_may_list_the_history(ranker, returning, world):
    """All items are ranked, those of the history among them, which a version without repeats never returns."""
    histories = returning.histories([world["profile"]("i3", "i4", "i5")])
    everything = returning.rank(histories, len(returning)).rows[0]
    assert set(everything.tolist()) == set(range(len(returning)))
    without = ranker.rank(histories, len(ranker)).rows[0]
    assert set(everything.tolist()) - set(without.tolist()) == set(histories.items[0].tolist())
