import os
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model.catalogue import Catalogue, Item
from model.network.shape import NeuMFConfig
from model.ranking.exact import Ranker
from model.ranking.exposure import ExposureConfig
from model.ranking.modes import ModeConfig
from model.reranking.diversified import DiversityConfig
from model.training.fit import TrainingConfig
from model.training.gate import gate
from model.training.learner import LearnerConfig
from model.training.rounds import RoundConfig
from replay.datasets.dataset import Dataset, Provenance
from replay.prequential.baseline_ranks import baseline_ranks
from replay.prequential.baselines import STREAM_BASELINES, AllTimePopularity, DecayedPopularity, Isgd, half_rank
from replay.prequential.checkpoint import keep, restore
from replay.prequential.list_figures import ListFigures
from replay.prequential.offline_worker import OfflineWorker, OfflineWorkerConfig
from replay.prequential.outcome import FROZEN, ONLINE, PrequentialOutcome, TasteFigures, moving_average, slices
from replay.prequential.run import PrequentialConfig, PrequentialRun
from replay.prequential.second_process import SecondProcess, frozen_ranks
from replay.prequential.stream import Stream
from replay.prequential.threshold import always_cold, always_personalised, low_history, mode_hit_rates, propose
from streams.errors import DataError
from streams.records.records import Origin, Rating
from streams.serving.lists import ServingConfig

HOUR = 3_600_000
TINY = NeuMFConfig(history_length=8, factors=8, mlp_factors=8, genre_factors=4, hidden=(8, 8), neighbours=8, blocks=1)
CONFIG = PrequentialConfig(
    round_every=150,
    merge_every=20,
    learner=LearnerConfig(held_out_share=0.1),
    rounds=RoundConfig(
        network=TINY,
        first=TrainingConfig(epochs=6, batch=8, learning_rate=0.02),
        tuning=TrainingConfig(epochs=1, batch=8, learning_rate=2e-3),
    ),
)


def dataset(rows, n_items=40):
    """Return a log of (user, item, ts, stars)."""
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "ts", "rating"])
    catalogue = Catalogue.of(Item(f"i{row}", f"Item {row}") for row in range(n_items))
    return Dataset("made", catalogue, table, Provenance("table", "made.csv", "0" * 64))


@pytest.fixture(scope="module")
def ring():
    """Return 900 events in which 45 users walk a ring of 40 items from different starts, one after the other."""
    rows = [(f"u{user}", f"i{(3 * user + step) % 40}", 0, 4.0) for user in range(45) for step in range(20)]
    order = np.random.default_rng(0).permutation(len(rows)).argsort()
    shuffled = sorted(range(len(rows)), key=lambda at: (at // 20 + at % 20, order[at]))
    return dataset([(*rows[at][:2], HOUR * number, rows[at][3]) for number, at in enumerate(shuffled)])


@pytest.fixture(scope="module")
def stream(ring):
    """Return its stream."""
    return Stream.of(ring, warm_up=0.3)


def finished(run, until=10**9, checkpoint=None):
    """Warm a run up if need be, take it so far, and return it; with a checkpoint keep it after each round."""
    if not run.done:
        run.warm_up(run.stream.warm)
        run.round()
    first = run.learner.champion
    while run.done < min(until, len(run.stream)):
        run.block()
        if run.is_due():
            run.round()
            if checkpoint is not None:
                keep(checkpoint, run, first, {}, {"run": 1})
    return run


@pytest.fixture(scope="module")
def whole(stream):
    """Return a run in one piece."""
    return finished(PrequentialRun(stream, CONFIG))


def test_a_stream_knows_what_is_tested():
    """First events, items touched before and the warm-up are no tests; novelty and seconds are told apart."""
    rows = [("a", "x", 0, 5), ("a", "y", 0, 5), ("b", "x", 1000, 5), ("b", "z", 1000, 5), ("b", "x", 2000, 5)]
    rows += [("a", "z", 3000, 5), ("c", "y", 4000, 5), ("c", "w", 5000, 1)]
    found = Stream.of(dataset(rows), warm_up=0.25)
    assert found.tests.tolist() == [3, 5, 7]
    assert found.history.tolist() == [1, 2, 1]
    assert found.is_first_of_second.tolist() == [False, True, True]
    assert found.is_novel.tolist() == [True, False, True]
    assert Stream.of(dataset(rows), warm_up=0.3, least_stars=2).tests.tolist() == [3, 5]


def test_a_log_with_nothing_to_test_is_refused():
    """Three users of one event each leave no test."""
    with pytest.raises(DataError, match=r"3 events of made with 0\.0 stars or more, 2 to warm up on, 0 to test"):
        Stream.of(dataset([("a", "x", 0, 5), ("b", "x", 1, 5), ("c", "x", 2, 5)]), warm_up=0.7)


def test_lists_and_learning_agree_on_what_is_positive():
    """Profile and learner judge each of a user's ratings alike, by the scale's middle at first and then by the mean."""
    stars = [2.0, 3.0, 5.0, 5.0, 5.0, 3.5, 4.0, 3.9]  # the mean of the first five is 4, of six 3.9166, of seven 3.93
    rows = [("u", f"i{number}", HOUR * number, given) for number, given in enumerate(stars)]
    run = PrequentialRun(Stream.of(dataset(rows), warm_up=0.3), CONFIG)
    run.warm_up(len(rows))
    expected = [False, True, True, True, True, False, True, False]
    assert [one.is_positive for one in run.worker.state.profile("u").recent][::-1] == expected
    history = run.learner.material(run.stream.catalogue).histories["u"]
    assert [one.is_positive for one in history] == expected[: len(history)]


def test_a_list_never_knows_its_own_event(stream, whole):
    """Whatever an event in the middle of a block turns out to be, the lists up to its own are the same."""
    events = list(stream.events(400, 500))
    origin, event = events[25]
    others = [*events[:25], (origin, replace(event, item_id="i0", ts=event.ts + 1)), *events[26:]]
    lists = []
    for some in (events, others):
        worker = OfflineWorker(stream.catalogue)
        worker.state.apply(one for _, one in stream.events(0, 400))
        worker.merge_trending()
        worker.use(Ranker(whole.learner.champion), "1")
        lists.append([made.items for made in worker.ask(some, range(100))])
    assert event.item_id != "i0"
    assert lists[0][:26] == lists[1][:26]
    assert lists[0][26:] != lists[1][26:]


def test_learning_beats_chance_and_the_frozen_model_can_be_run_beside(stream, whole):
    """On a ring each next item is known: hits are far above 10 of 40, and the second process finds what one finds."""
    run = PrequentialRun(stream, CONFIG)
    with SecondProcess(stream, CONFIG, ["popularity", FROZEN]) as beside:
        run.warm_up(stream.warm)
        run.round()
        first = run.learner.champion
        beside.freeze(first)
        while not beside.collect(wait_s=0.2):
            assert beside.done <= beside.of
    assert np.isfinite(whole.track.ranks).mean() > 0.5
    assert len(whole.marks) >= 4
    assert whole.track.versions.max() == whole.promoted
    assert beside.found["popularity"].tolist() == baseline_ranks(stream, "popularity", 0).tolist()
    assert beside.found[FROZEN].tolist() == frozen_ranks(stream, first, CONFIG).tolist()


def test_an_interrupted_run_goes_on_to_the_same_figures(stream, whole, tmp_path):
    """A run that is kept after a round and taken up anew has the ranks, modes and rounds of one in one piece."""
    finished(PrequentialRun(stream, CONFIG), until=600, checkpoint=tmp_path / "kept")
    resumed = PrequentialRun(stream, CONFIG)
    assert restore(tmp_path / "kept", resumed, {"run": 1}) is not None
    assert stream.warm < resumed.done < len(stream)
    finished(resumed)
    assert resumed.track.ranks.tolist() == whole.track.ranks.tolist()
    assert resumed.track.modes.tolist() == whole.track.modes.tolist()
    assert [mark.events for mark in resumed.marks] == [mark.events for mark in whole.marks]
    assert [mark.candidate for mark in resumed.marks] == [mark.candidate for mark in whole.marks]
    assert [mark.rivals for mark in resumed.marks] == [mark.rivals for mark in whole.marks]
    assert resumed.learner.position() == whole.learner.position()
    assert "anchor" in whole.marks[-1].rivals


def test_a_return_and_a_withdrawal_change_what_serves(stream):
    """After a return the anchor serves; after a withdrawal all lists are cold start, of no version."""
    run = finished(PrequentialRun(stream, CONFIG), until=600)
    anchor = run.learner.anchor
    candidate = run.learner.fine_tune(stream.catalogue, generator=np.random.default_rng(0))
    run.settle(candidate, replace(gate(candidate), decision="return"))
    assert run.worker.recommender.ranker.snapshot is anchor is run.learner.champion
    run.settle(candidate, replace(gate(candidate), decision="withdraw"))
    before = run.done
    run.block()
    tested = (stream.tests >= before) & (stream.tests < run.done)
    assert tested.sum() > 5
    assert (set(run.track.versions[tested]), set(run.track.modes[tested])) == ({0}, {0})


def test_a_second_process_that_ends_is_told(stream):
    """A baseline that nobody knows ends it with its cause; one that was killed says that it said nothing."""
    with SecondProcess(stream, CONFIG, ["nobody"]) as beside, pytest.raises(DataError, match="KeyError: 'nobody'"):
        all_of(beside)
    with SecondProcess(stream, CONFIG, [FROZEN]) as beside:
        os.kill(beside.pid, signal.SIGKILL)
        with pytest.raises(DataError, match="no word, it was ended from outside"):
            all_of(beside)


def all_of(beside):
    """Wait until all is collected."""
    while not beside.collect(wait_s=0.1):
        pass


def test_a_round_that_cannot_be_trained_changes_nothing(stream, monkeypatch):
    """A loss that diverges is a mark, and the same version serves on until as many events have come again."""
    run = PrequentialRun(stream, CONFIG)
    run.warm_up(stream.warm)
    run.round()
    champion = run.learner.champion
    while not run.is_due():
        run.block()
    monkeypatch.setattr(run.learner, "fine_tune", diverge)
    assert run.round().decision == "failed"
    monkeypatch.undo()
    assert run.learner.champion is champion
    assert not run.is_due()
    while not run.is_due():
        run.block()
    assert run.round().decision in {"promote", "reject"}


def diverge(*_, **__):
    """Raise what a training raises."""
    raise FloatingPointError("fit: a finite loss is required")


def test_a_checkpoint_of_another_run_is_refused(stream, tmp_path):
    """The message says what was required, what was got, and the cure."""
    finished(PrequentialRun(stream, CONFIG), until=500, checkpoint=tmp_path / "kept")
    with pytest.raises(DataError, match=r"must be of this run, .*'run': 2.*, got .*'run': 1.*; remove it"):
        restore(tmp_path / "kept", PrequentialRun(stream, CONFIG), {"run": 2})
    assert restore(tmp_path / "none", PrequentialRun(stream, CONFIG), {"run": 1}) is None


def test_asking_before_is_having_been_told_after(stream, whole):
    """The list just before an event is the one published after the event before it, while nothing else changes."""
    config = OfflineWorkerConfig(modes=ModeConfig(may_learn=False))
    asked, told = OfflineWorker(stream.catalogue, config), OfflineWorker(stream.catalogue, config)
    events = list(stream.events(0, 200))
    for worker in (asked, told):
        worker.use(Ranker(whole.learner.champion), "1")
        worker.state.apply(event for _, event in events[:50])
        worker.merge_trending()
    places = [place for place in range(150) if place % 3]
    before = dict(zip(places, asked.ask(events[50:], places), strict=True))
    last, modes = {}, set()
    for place, (_, event) in enumerate(events[50:]):
        if event.user_id in last and place in before:
            assert [item.item_id for item in before[place].items] == last[event.user_id]
        (after,) = told.take([[(Origin("rate-events", 0, 0), event)]])
        last[event.user_id] = [item.item_id for item in after.items]
        modes.add(after.mode)
    assert len(last) > 10
    assert modes == {"cold_start", "personalized"}


def test_what_was_shown_goes_back_list_by_list(stream, whole):
    """With a discount lists change more from one to the next, each made after the one before it; learning does not."""
    config = replace(CONFIG, diversity=DiversityConfig(impression_discount=0.5))
    run = finished(PrequentialRun(stream, config))
    assert run.reranked is not None
    assert run.track.items.tolist() == whole.track.items.tolist()
    before, after = (ListFigures.of(stream, track.items).temporal_diversity for track in (run.track, run.reranked))
    assert before < after
    tested = stream.user_ids[stream.tests].tolist()
    assert set(run.worker.state.impressions()) == set(tested)
    user = max(set(tested), key=tested.count)
    counted = run.worker.state.impressions()[user]
    assert sum(counted.values()) <= 10 * sum(0.95**n for n in range(tested.count(user))) + 0.1
    listed = run.reranked.items[[at for at, one in enumerate(tested) if one == user][-1]]
    assert all(counted[f"i{row}"] >= 1.0 for row in listed.tolist() if row >= 0)


def test_a_batch_gets_one_list_for_each_user_it_touched(stream):
    """Two events of one user in a batch make one list, of the later moment; in two batches they make two."""
    worker = OfflineWorker(stream.catalogue)
    events = [(Origin("rate-events", 0, n), Rating(str(n), "u", f"i{n}", n, 4.0)) for n in range(3)]
    made = worker.take([events[:2], events[2:]])
    assert [(one.user_id, one.sequence) for one in made] == [("u", 2), ("u", 3)]
    assert {item.item_id for item in made[0].items}.isdisjoint({"i0", "i1"})
    assert "i2" not in {item.item_id for item in made[1].items}


def test_half_rank_counts_ties_half_and_leaves_known_items_out():
    """Item 1 of score 2 has one better (5), two equals, and a known better one that does not count."""
    scores = np.array([5.0, 2.0, 2.0, 2.0, 9.0], dtype=np.float32)
    assert half_rank(scores, 1, np.array([4])) == 1 + 1 + 2 / 2
    assert half_rank(scores, 1, np.array([4, 2])) == 1 + 1 + 1 / 2


def test_popularity_by_hand():
    """After x, x and y, a stranger to both is offered x before y, and a user who knows x has y first."""
    rows = [("a", "x", 0, 5), ("b", "x", 1, 5), ("c", "y", 2, 5), ("c", "x", 3, 5), ("a", "y", 4, 5), ("b", "z", 5, 5)]
    found = baseline_ranks(Stream.of(dataset(rows), warm_up=0.4), "popularity", 0)
    assert found.tolist() == [1.0, 1.0, np.inf]


def test_decayed_popularity_halves_in_a_week():
    """One event today outweighs one of a week ago and equals two of it, also across years."""
    for start in (0, 10**12):
        decayed = DecayedPopularity(3)
        week = DecayedPopularity.half_life_ms
        for item, ts in ((0, start), (1, start), (1, start), (2, start + week)):
            decayed.learn(0, item, ts)
        weights = decayed.scores(0, start + week)
        assert weights[2] == pytest.approx(2 * weights[0])
        assert weights[2] == pytest.approx(weights[1])
        decayed.learn(0, 0, start + 400 * week)
        assert np.isfinite(decayed.scores(0, 0)).all()
        assert decayed.scores(0, 0).argmax() == 0


def test_isgd_moves_towards_one():
    """Each step on a pair brings its product nearer to one."""
    isgd = Isgd(5, seed=1)
    errors = []
    for _ in range(20):
        isgd.learn(0, 3, 0)
        errors.append(-isgd.scores(0, 0)[3])
    assert errors[-1] < errors[0] / 2


def test_co_occurrence_knows_the_ring(stream):
    """On a ring, what followed the last item is what comes next: far better than popularity."""
    assert (baseline_ranks(stream, "co-occurrence", 0) <= 10).mean() > (
        baseline_ranks(stream, "popularity", 0) <= 10
    ).mean()
    assert set(STREAM_BASELINES) == {"popularity", "decayed popularity", "co-occurrence", "isgd"}


def test_popularity_counts():
    """Scores are counts."""
    popularity = AllTimePopularity(2)
    popularity.learn(0, 1, 0)
    assert popularity.scores(5, 0).tolist() == [0.0, 1.0]


def test_a_moving_average_of_few_is_of_those():
    """The mean of up to three values, each with those before it."""
    assert moving_average(np.array([3.0, 0.0, 0.0, 6.0]), 3).tolist() == [3.0, 1.5, 1.0, 2.0]


def test_hits_are_told_apart_by_what_was_given():
    """Of four hits in five tests one was of two stars; two of the three tests of four stars or more were hit."""
    ranks = np.array([1.0, 10.0, 2.5, 11.0, 3.0])
    stars = np.array([4.0, 2.0, 5.0, 4.5, 3.0])
    assert TasteFigures.of(ranks, stars, 10) == TasteFigures(3, 2 / 3, 1 / 4)
    assert TasteFigures.of(np.array([np.inf]), np.array([1.0]), 10) == TasteFigures(0, 0.0, 0.0)


def test_an_outcome_parts_its_tests(stream, whole):
    """Every way of parting the tests covers each of them once, and a switch of mode is counted once."""
    outcome = PrequentialOutcome(stream, whole.track, whole.marks, {ONLINE: whole.track.ranks}, 10)
    for some in slices(outcome).values():
        assert np.sum([part.is_in for part in some], axis=0).tolist() == [1] * len(stream.tests)
    users = stream.users[stream.tests]
    switched = sum(int(np.abs(np.diff(whole.track.modes[users == user])).sum()) for user in np.unique(users))
    assert len(outcome.switches()) == switched > 0
    assert outcome.figures(ONLINE).hit_rate == np.isfinite(whole.track.ranks).mean()


def low_stream(users, history):
    """Return a stream whose tests are of these users with so many past events."""
    n = len(users)
    rows = [("a", "x", 0, 5), ("a", "y", 1, 5), ("a", "z", 2, 5), ("b", "x", 3, 5)]
    found = Stream.of(dataset(rows), warm_up=0.5)
    fields = {"users": np.array(users), "tests": np.arange(n), "history": np.array(history)}
    return Stream(*(fields.get(name, getattr(found, name)) for name in found.__slots__))


def test_the_threshold_with_most_hits_is_proposed():
    """Cold lists hit at one past event and personalised ones at two and three: two, in every draw of equal users."""
    some = low_stream([0, 0, 0, 1, 1, 1], [1, 2, 3, 1, 2, 3])
    cold, personalised = np.array([True, False, False] * 2), np.array([False, True, True] * 2)
    found = propose(some, cold, personalised, 5, np.random.default_rng(0))
    assert (found.threshold, found.low, found.high, found.hit_rate) == (2, 2, 2, 1.0)
    assert found.gain == found.gain_low == found.gain_high == pytest.approx(2 / 3)  # of 3 tests 5 leaves 1 hit
    by_past = mode_hit_rates(some, cold, personalised)
    assert [(one.past_events, one.tests, one.cold, one.personalised) for one in by_past] == [
        (1, 2, 1.0, 0.0),
        (2, 2, 0.0, 1.0),
        (3, 2, 0.0, 1.0),
    ]


def test_a_threshold_that_users_disagree_about_is_uncertain():
    """One user's hits speak for three, the other's for one: drawn anew, either may be proposed."""
    some = low_stream([0, 0, 0, 1, 1, 1], [1, 2, 3, 1, 2, 3])
    cold, personalised = np.array([True, True, False, False, False, False]), np.array([False] * 2 + [True] * 4)
    found = propose(some, cold, personalised, 3, np.random.default_rng(0))
    assert (found.low, found.high) == (1, 3)
    assert found.gain_low < found.gain < found.gain_high


def test_both_passes_test_the_same_events(stream):
    """One pass has cold lists only, the other personalised ones where it can, up to the history that was asked for."""
    low = low_history(stream, 6)
    assert 0 < len(low.tests) < len(stream.tests)
    cold, personalised = PrequentialRun(low, always_cold(CONFIG)), PrequentialRun(low, always_personalised(CONFIG))
    for one in (cold, personalised):
        one.warm_up(low.warm)
        one.round()
    for _ in range(8):
        cold.block()
        personalised.block()
    done = int(np.searchsorted(low.tests, cold.done))
    assert done > 20
    assert not cold.track.modes[:done].any()
    assert personalised.track.modes[:done].all()


def test_an_offline_worker_shows_new_items_and_learns_what_comes_of_it():
    """With every list exposed a film that nobody touched has the last place; touched by the next event it counts."""
    films = Catalogue.of(Item(f"i{n}", f"Film {n}", 1990 + n) for n in range(12))
    serving, exposure = ServingConfig(k=5, expose=1.0), ExposureConfig(until=2, pool=1)
    worker = OfflineWorker(films, OfflineWorkerConfig(serving=serving, exposure=exposure))
    worker.apply([Rating(f"e{n}", f"u{n % 9}", f"i{n % 11}", n, 4.0) for n in range(22)])  # i11 alone is new
    worker.merge_trending()
    asked = [(Origin("rate-events", 0, 22, 22), Rating("e22", "u0", "i11", 22, 4.0))]
    [made] = worker.ask(asked, {0})
    assert [item.source for item in made.items] == ["trending"] * 4 + ["exposure"]
    assert (made.items[-1].item_id, made.items[-1].propensity) == ("i11", 1.0)
    assert worker.last_places() == {"shown": 0, "hits": 0, "items": {"i11": [1, 1]}}


def test_repeats_are_tested_where_they_are_kept():
    """Of six events after the warm-up of two, two are repeats: counted either way, and tested only where kept."""
    rows = [("a", "x", 0, 5), ("a", "y", 0, 5), ("b", "x", 1000, 5), ("b", "z", 1000, 5), ("b", "x", 2000, 5)]
    rows += [("a", "z", 3000, 5), ("a", "x", 4000, 5)]
    dropped, kept = (Stream.of(dataset(rows), warm_up=0.3, repeats=repeats) for repeats in (False, True))
    assert (dropped.repeated, dropped.tests.tolist()) == (2, [3, 5])
    assert (kept.repeated, kept.tests.tolist()) == (2, [3, 4, 5, 6])
    with pytest.raises(ValueError, match="repeats must be kept in stream and network alike, got True and False"):
        PrequentialRun(kept, CONFIG)


def test_lists_and_rivals_may_hit_a_repeat():
    """Everybody touches two items in turn: cold lists hold them again, and popularity ranks them first."""
    rows = [(f"u{user}", f"i{step % 2}", 100 * step + user, 5) for step in range(6) for user in range(8)]
    stream = Stream.of(dataset(rows), warm_up=0.4, repeats=True)
    network = replace(CONFIG.rounds.network, repeats=True)
    run = PrequentialRun(stream, replace(CONFIG, round_every=0, rounds=replace(CONFIG.rounds, network=network)))
    run.warm_up(stream.warm)
    for _ in run.blocks():
        pass
    assert np.isfinite(run.track.ranks).all()
    assert (baseline_ranks(stream, "popularity", 0) <= 2).all()
