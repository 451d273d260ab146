import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.metrics.ranking import full_ranks, half_ranks
from model.network.shape import NeuMFConfig
from model.ranking.exact import Ranker
from model.training.fit import TrainingConfig
from replay.evaluation import protocol
from replay.evaluation.baselines.popularity import MostPopular, ranks_with_ties_won
from replay.evaluation.neumf import TrainedNeuMF
from replay.evaluation.protocol import MethodRun, RankingPass, over_seeds, rank_held_out
from replay.evaluation.scorers import FactorScorer, FixedScorer, RankerScorer
from replay.evaluation.summary import Estimate, groups, summary
from streams.errors import DataError

NO_LISTS = np.empty((0, 10), dtype=np.int64)
TINY = NeuMFConfig(history_length=4, factors=8, mlp_factors=4, genre_factors=2, hidden=(4, 2))


@dataclass(frozen=True)
class Chance:
    """Scores drawn by the generator that it is fitted with."""

    is_random: ClassVar[bool] = True

    def fit(self, split, generator):
        """Draw."""
        users = generator.normal(size=(len(split), 5)).astype(np.float32)
        return FactorScorer(users, generator.normal(size=(split.n_items, 5)).astype(np.float32))


def test_a_pass_agrees_with_the_metrics_one_user_at_a_time(ring_split):
    """Both ranks and the lists are those of a loop over users with Python's own sorting."""
    scorer = Chance().fit(ring_split, np.random.default_rng(3))
    found = rank_held_out(scorer, ring_split, k=5)
    recommended = np.zeros(120, dtype=np.int64)
    for place, user in enumerate(ring_split.users.tolist()):
        scores = scorer.scores(place, place + 1)[0]
        known = {(2 * user + step) % 120 for step in range(11)}
        held_out, *others = ring_split.candidates[place].tolist()
        assert found.sampled[place] == 1 + sum(scores[other] > scores[held_out] for other in others)
        left = sorted((item for item in range(120) if item not in known), key=lambda item: -scores[item])
        assert found.full[place] == 1 + left.index(held_out)
        recommended[left[:5]] += 1
        assert found.lists[place].tolist() == sorted(left[:5])
    assert (found.recommended == recommended).all()


def test_a_catalogue_of_many_items_is_ranked_few_users_at_a_time(ring_split, monkeypatch):
    """Seven users of 120 items at once, one at once and all at once have the same ranks and lists."""
    scorer = Chance().fit(ring_split, np.random.default_rng(3))
    whole = rank_held_out(scorer, ring_split)
    for most in (7 * 120, 1):
        monkeypatch.setattr(protocol, "SCORES_PER_BATCH", most)
        found = rank_held_out(scorer, ring_split)
        assert (found.full == whole.full).all()
        assert (found.sampled == whole.sampled).all()
        assert (found.lists == whole.lists).all()


def test_equal_scores_land_in_the_middle(ring_split):
    """One among 99 equals ranks 50.5; of 120 items 11 are known, and one among 108 equals ranks 1 + 108/2 = 55."""
    found = rank_held_out(FixedScorer(np.zeros(120, dtype=np.float32)), ring_split)
    assert set(found.sampled) == {50.5}
    assert set(found.full) == {55.0}
    assert set(ranks_with_ties_won(ring_split)) <= set(np.arange(1.0, 100.5, 0.5))


def test_a_score_that_is_not_a_number_is_refused(ring_split):
    """It would beat nobody and lose to nobody."""
    with pytest.raises(ValueError, match="nan"):
        rank_held_out(FixedScorer(np.full(120, np.nan, dtype=np.float32)), ring_split)


def test_what_is_random_runs_once_for_each_seed(ring_split):
    """Three seeds are three runs of chance, told one by one, and a single one of popularity."""
    told = []
    runs = over_seeds(Chance(), ring_split, range(4, 7), done=told.append)
    assert [run.seed for run in runs] == [run.seed for run in told] == [4, 5, 6]
    assert (runs[0].ranks.full != runs[1].ranks.full).any()
    assert len(over_seeds(MostPopular(), ring_split, range(4, 7))) == 1


@pytest.fixture(scope="module")
def snapshot(ring_split):
    """Return a version trained for a moment on the ring's events."""
    method = TrainedNeuMF(TINY, TrainingConfig(epochs=1))
    return method.snapshot(ring_split, np.random.default_rng(0))


def test_our_ranker_is_asked_about_the_split_s_items_in_their_order(ring_split, snapshot):
    """With the catalogue turned round, column c is the score of item 119 - c, and row r of a history that item, too."""
    turned = replace(ring_split, catalogue=Catalogue.of(reversed(list(ring_split.catalogue))))
    ranker = Ranker(snapshot)
    newest_first = [Interaction(f"i{119 - 10 - step}", 3_600_000 * step, "rate", 1.0) for step in range(10, -1, -1)]
    (scores,) = ranker.logits(ranker.histories([Profile("u5", recent=tuple(newest_first))]))
    expected = [float(scores[ranker.items.row(f"i{119 - column}")]) for column in range(120)]
    found = RankerScorer(ranker, turned).scores(4, 6)
    assert found.shape == (2, 120)
    assert np.abs(found[1] - expected).max() < 1e-4
    assert np.abs(found[1] - expected[::-1]).max() > 1e-2  # the order does matter


def test_our_ranker_reads_the_events_before_the_held_out_one(ring_split, snapshot):
    """The history it is given ends with the user's last training item, newest first in the profile."""
    seen = []

    class Listening(Ranker):
        def histories(self, profiles):
            seen.extend(profiles)
            return super().histories(profiles)

    RankerScorer(Listening(snapshot), ring_split).scores(5, 6)
    (profile,) = seen
    assert profile.user_id == "u5"
    assert [one.item_id for one in profile.recent] == [f"i{10 + step}" for step in range(10, -1, -1)]


def test_a_model_without_an_item_is_refused(ring_split, snapshot):
    """A snapshot that was trained on other items cannot rank these."""
    stranger = replace(ring_split, catalogue=Catalogue.of([*ring_split.catalogue, Item("new", "New")]))
    with pytest.raises(DataError, match="got none for 1"):
        RankerScorer(Ranker(snapshot), stranger)


def test_an_estimate_is_mean_and_standard_error():
    """Of 1, 2 and 3: mean 2, standard deviation 1, over sqrt(3); a single value has no error."""
    assert Estimate.of([1.0, 2.0, 3.0]) == Estimate(2.0, pytest.approx(1.0 / math.sqrt(3.0)))
    assert Estimate.of([0.5]) == Estimate(0.5, None)


def runs_of(split, *sampled):
    """Return runs with these ranks among the negatives for everybody, and twice those in full."""
    found = [np.full(len(split), float(rank)) for rank in sampled]
    listed = np.zeros(split.n_items, dtype=np.int64)
    listed[:3] = 1
    return [
        MethodRun(seed, RankingPass(ranks, 2 * ranks, listed, NO_LISTS), 1.0 + seed, 0.5)
        for seed, ranks in enumerate(found)
    ]


def test_a_summary_is_the_mean_over_runs(ring_split):
    """Ranks 3 and 7 at 5 hit and miss: HR 1/2, error 1/2; NDCG (1/log2(4) + 0) / 2 = 1/4; precision 1/2 / 5."""
    one = summary("x", runs_of(ring_split, 3, 7), ring_split, "sampled", k=5)
    assert one.main == one.sampled
    assert one.sampled.hit_rate == Estimate(0.5, pytest.approx(0.5))
    assert one.sampled.ndcg.mean == pytest.approx(0.25)
    assert one.sampled.precision.mean == pytest.approx(0.1)
    assert one.full.hit_rate.mean == 0.0  # ranks 6 and 14
    assert one.retrieved.mean == 1.0
    assert one.coverage.mean == pytest.approx(3 / 120)
    assert (one.fit_s, one.rank_s, one.runs) == (1.5, 0.5, 2)


def test_users_are_grouped_by_their_training_events(ring_split):
    """All 60 have 11 events, and an hour lies between any two: one group, and all are apart."""
    assert {name: members.sum() for name, members in groups(ring_split).items()} == {"<=20": 60}
    one = summary("x", runs_of(ring_split, 3), ring_split, "full", k=5)
    assert one.apart.users == 60
    assert one.by_length[0].hit_rate.mean == 0.0  # rank 6 in full
    assert one.main == one.full


def test_a_group_ends_at_its_bound(ring_split):
    """Users with 20, 21, 50, 51 and 201 training events fall into four groups, the second of two."""
    counts = [20, 21, 50, 51, 201]
    train = pd.DataFrame({"user": np.repeat(np.arange(5), counts), "item": 0, "weight": 1.0, "ts": 0})
    found = groups(replace(ring_split, train=train, users=np.arange(5)))
    assert {name: members.nonzero()[0].tolist() for name, members in found.items()} == {
        "<=20": [0],
        "21-50": [1, 2],
        "51-100": [3],
        ">200": [4],
    }


def test_ranks_come_from_the_metrics(ring_split):
    """For two users both ranks equal half_ranks and full_ranks on scores that tie."""
    scorer = FixedScorer(np.random.default_rng(0).integers(0, 4, 120).astype(np.float32))
    found, scores = rank_held_out(scorer, ring_split), scorer.scores(0, 60)
    picked = np.take_along_axis(scores, ring_split.candidates, axis=1)
    assert (found.sampled == half_ranks(picked[:, 0], picked[:, 1:])).all()
    assert (found.full == full_ranks(scores, ring_split.candidates[:, 0], ring_split.known(0, 60))).all()
