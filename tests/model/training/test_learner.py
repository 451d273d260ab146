import copy
from dataclasses import replace

import numpy as np
import pytest

from model.catalogue import Catalogue
from model.columns.events import EventColumns
from model.columns.histories import ColumnHistories
from model.history import Interaction, Profile
from model.metrics.paired_lead import PairedLead
from model.network.blend import Blend, feature
from model.ranking.exact import Ranker
from model.training import learner as learner_module
from model.training.fit import TrainingConfig
from model.training.gate import GateVerdict, HeldOutQuality, gate
from model.training.held_out import HeldOutEvent, are_cold, held_out_ranks
from model.training.learner import Learner, LearnerConfig
from model.training.rounds import RoundConfig
from model.training.standing import Standing
from model.training.update_scale import UpdateScale


@pytest.fixture(scope="module")
def rounds(ring):
    """Return a configuration that trains the small network in a second."""
    return RoundConfig(
        network=ring.config,
        first=TrainingConfig(epochs=20, batch=16, learning_rate=1.0e-2),
        tuning=TrainingConfig(epochs=1, batch=16, learning_rate=1.0e-3),
    )


@pytest.fixture
def learner(ring, rounds):
    """Return a learner whose champion knows the ring and whose memory holds what it was trained on."""
    learner = Learner(rounds=rounds, champion=ring.snapshot)
    learner.preload(ring.events)
    return learner


def verdict(decision, lead=0, apart=0, lost_to=(), standing=None, *, is_anchored=False):
    """Return a verdict of the gate on a hundred events."""
    return GateVerdict(
        decision,
        HeldOutQuality(0.2, 0.1),
        {"champion": HeldOutQuality(0.2, 0.1), "popularity": HeldOutQuality(0.1, 0.05)},
        100,
        {"champion": PairedLead(lead, apart), "popularity": PairedLead(10, 20)},
        lost_to,
        standing or Standing(),
        is_anchored,
        10,
    )


PROMOTE, REJECT, HOLD = verdict("promote"), verdict("reject", -9, 16, ("champion",)), verdict("hold")


def _watch(item_id, ts=10**9):
    return Interaction(item_id, ts, "watch", 1.0)


def test_new_events_are_counted_until_a_round_is_settled(learner, ring):
    """Recalled events are not new; 20 observed ones are, until the round that saw them ends."""
    assert learner.new_events == 0
    learner.observe([("u1", _watch(f"i{place}", 10**9 + place)) for place in range(20)])
    assert learner.new_events == 20
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    assert learner.new_events == 20
    learner.settle(candidate, PROMOTE)
    assert learner.new_events == 0
    assert learner.champion is candidate.snapshot


def test_a_user_keeps_the_latest_events_up_to_the_bound(ring):
    """Of four events with room for three, the first is gone."""
    learner = Learner(LearnerConfig(max_events_per_user=3, held_out_share=0.0))
    learner.observe([("u", _watch(item)) for item in "abcd"])
    assert [one.item_id for one in learner.material(ring.catalogue).histories["u"]] == ["b", "c", "d"]
    assert len(learner) == 3


def test_the_users_who_stay_are_a_uniform_sample_of_all(ring):
    """Of 2,000 old users with room for 500, early and late ones stay alike, and the same ones after a restart."""
    config = LearnerConfig(max_events=500, held_out_share=0.0)
    events = [(f"u{user}", _watch("x", user)) for user in range(2000)]
    in_one, in_parts = Learner(config), Learner(config)
    in_one.preload(events)
    for start in range(0, 2000, 100):
        in_parts.preload(events[start : start + 100])
    kept = {int(user[1:]) for user in in_one.material(ring.catalogue).histories}
    assert kept == {int(user[1:]) for user in in_parts.material(ring.catalogue).histories}
    assert len(kept) == len(in_one) == 500
    assert 80 < sum(user < 500 for user in kept) < 170  # a quarter, give or take four standard deviations


def test_new_events_are_forgotten_last(ring):
    """With room for three, new ones stay and the old go first; only beyond twice the room new ones go as well."""
    learner = Learner(LearnerConfig(max_events=3, held_out_share=0.0))
    learner.preload([("old", _watch("x"))])
    learner.observe([(user, _watch("x")) for user in "abcde"])
    assert set(learner.material(ring.catalogue).histories) == {"old", *"abcde"}
    learner.observe([("f", _watch("x"))])
    assert set(learner.material(ring.catalogue).histories) == set("abcdef")
    learner.observe([("g", _watch("x"))])
    assert len(learner) == 4  # seven are more than twice three; half as much again is left


def test_an_event_is_taken_back_as_what_it_was_when_it_came(ring):
    """A user's eleventh event is no newcomer's, also where an earlier one went before: another's heat stays."""
    learner = Learner(LearnerConfig(held_out_share=0.0))
    learner.observe(
        [("v", _watch("x")), *(("u", _watch(f"i{place}", place)) for place in range(10)), ("u", _watch("x"))]
    )
    learner.learnt_to(learner.observed)
    learner.resume(None, learner.position())
    assert [learner.take_back("u", number).item_id for number in (2, 12)] == ["i0", "x"]
    assert "x" in learner.material(ring.catalogue).trends.newcomers.scores


def test_a_user_of_whom_nothing_is_left_has_one_place_when_coming_again(ring):
    """The lowest draws go first, each once: those who came again are forgotten as everybody is."""
    learner = Learner(LearnerConfig(max_events=4, held_out_share=0.0))
    for _ in range(3):
        learner.observe([("a", _watch("x"))])
        learner.take_back("a", learner.observed)
    assert len(learner) == 0
    learner.learnt_to(learner.observed)
    learner.preload([(user, _watch("x")) for user in "abcdefghijkl"])
    assert len(learner) == len(learner.material(ring.catalogue).histories) == 4


def test_the_newest_tenth_is_held_out_with_the_history_before_it(ring):
    """Of ten new events of one user the tenth is held out, after nine; the others are trained on."""
    learner = Learner()
    learner.observe([("u", _watch(f"i{place}", place)) for place in range(10)])
    material = learner.material(ring.catalogue)
    (held,) = material.held_out
    assert held.item_id == "i9"
    assert [one.item_id for one in held.before.recent] == [f"i{place}" for place in range(8, -1, -1)]
    assert len(material.histories["u"]) == 9
    assert (material.trained_to, material.observed_to) == (9, 10)


def test_held_out_events_are_bounded(ring):
    """A tenth of 100 would be ten, the bound says three."""
    learner = Learner(LearnerConfig(max_held_out=3))
    learner.observe([("u", _watch(f"i{place}", place)) for place in range(100)])
    assert len(learner.material(ring.catalogue).held_out) == 3


def test_held_out_events_are_trained_on_in_the_next_round(learner, ring):
    """After a promotion exactly the held-out two of twenty events are still new to the champion."""
    learner.observe([("u1", _watch(f"j{place}", 10**9 + place)) for place in range(20)])
    learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), PROMOTE)
    learner.observe([("u2", _watch("i1"))])
    fresh = learner.material(ring.catalogue).fresh
    assert (fresh["u1"], fresh["u2"]) == (2, 1)


def test_after_a_rejection_the_events_stay_to_be_learnt(learner, ring):
    """The champion stays, and all twenty events are fresh again but the newest tenth."""
    champion = learner.champion
    learner.observe([("u1", _watch(f"j{place}", 10**9 + place)) for place in range(20)])
    learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), REJECT)
    assert learner.champion is champion
    assert learner.material(ring.catalogue).fresh["u1"] == 18


def test_new_events_cannot_be_recalled_over(learner):
    """What the champion knows has to come before what it does not."""
    learner.observe([("u1", _watch("i1"))])
    with pytest.raises(ValueError, match="got 1"):
        learner.preload([("u1", _watch("i2"))])


def test_new_users_and_items_get_rows_and_old_rows_stay(learner, ring):
    """The candidate's vocabularies begin with the champion's and end with the newcomers."""
    learner.observe(
        [("newcomer", _watch("brand new", 1)), ("newcomer", _watch("i3", 2)), ("newcomer", _watch("i4", 3))]
    )
    snapshot = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)).snapshot
    assert snapshot.items == (*ring.snapshot.items, "brand new")
    assert snapshot.users == (*ring.snapshot.users, "newcomer")


def _followers(snapshot, item):
    """Return how often each item followed this one, by id."""
    row = snapshot.items.index(item)
    pairs = zip(snapshot.weights["evidence.neighbours"][row], snapshot.weights["evidence.counts"][row], strict=True)
    return {snapshot.items[column]: float(count) for column, count in pairs if column >= 0}


def test_a_round_adds_the_pairs_of_its_new_events(learner, ring):
    """A walk i3, brand new, i4 adds 1 to i3 -> new, 1 to new -> i4 and 1 / 1.1 to i3 -> i4; a repeat adds nothing."""
    walk = [_watch(item, at) for at, item in enumerate(["i3", "brand new", "i4", "i3"])]
    learner.observe(("newcomer", one) for one in walk)
    snapshot = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)).snapshot
    before, after = _followers(ring.snapshot, "i3"), _followers(snapshot, "i3")
    assert after["brand new"] == 1.0
    assert after["i4"] == pytest.approx(before["i4"] + 1 / 1.1)
    assert _followers(snapshot, "brand new") == {"i4": 1.0}
    others = {item: count for item, count in before.items() if item != "i4"}
    assert {item: after[item] for item in others} == others


def test_the_taste_stays_until_the_log_has_grown_by_half(learner, ring):
    """A few events leave its factors to the bit; with half as many as it was made from all are factorised anew."""
    made_from = int(ring.snapshot.weights["taste.events"])
    learner.observe(("newcomer", _watch(item)) for item in ("i3", "brand new"))
    first = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    learner.settle(first, PROMOTE)
    assert np.array_equal(first.snapshot.weights["taste.factors"][:-1], ring.snapshot.weights["taste.factors"])
    assert not first.snapshot.weights["taste.factors"][-1].any()
    learner.observe((f"n{place // 20}", _watch(f"i{place % 20}")) for place in range(made_from))
    second = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)).snapshot
    events = sum(len(history) for history in learner.material(ring.catalogue).histories.values())
    assert second.weights["taste.factors"][second.items.index("brand new")].any()
    assert (int(second.weights["taste.events"]), int(second.weights["taste.waiting"])) == (events, 0)


def test_a_late_event_is_counted_and_no_other_again(learner, ring):
    """After x1, x2, x3 were learnt, x0 comes with an earlier time: one more pair for each, and theirs stay."""
    learner.observe(("late", _watch(f"x{place}", 10**9 + place)) for place in (1, 2, 3))
    learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), PROMOTE)
    learner.observe([("late", _watch("x0", 10**9))])
    snapshot = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)).snapshot
    assert _followers(snapshot, "x0") == pytest.approx({"x1": 1.0, "x2": 1 / 1.1, "x3": 1 / 1.2})
    assert _followers(snapshot, "x1") == pytest.approx({"x2": 1.0, "x3": 1 / 1.1})
    touched = snapshot.weights["evidence.touched"]
    assert [float(touched[snapshot.items.index(f"x{place}")]) for place in range(4)] == [1.0] * 4


def test_events_are_counted_once_over_many_rounds(learner, ring):
    """Three promoted rounds of one user who comes back to old items count what one pass over all events counts."""
    events = [_watch(f"i{place % 12}", 10**9 + place) for place in range(30)]
    for start in range(0, 30, 10):
        learner.observe(("newcomer", one) for one in events[start : start + 10])
        learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), PROMOTE)
    before, after = _followers(ring.snapshot, "i0"), _followers(learner.champion, "i0")
    gained = {item: count - before.get(item, 0.0) for item, count in after.items()}
    wanted = {f"i{place}": 1 / (1 + 0.1 * (place - 1)) for place in range(1, 12)}
    assert {item: gain for item, gain in gained.items() if gain > 1e-6} == pytest.approx(wanted, rel=1e-5)


def test_items_of_the_catalogue_that_nobody_touched_can_be_listed(ring):
    """The ring's one untouched item has a row, last of all."""
    assert ring.snapshot.items[-1] == "untouched"


def test_an_item_that_left_the_catalogue_keeps_its_genres(learner, ring):
    """A round with an empty catalogue changes no old item's genres."""
    learner.observe([("u1", _watch("i3", 10**9)), ("u1", _watch("j", 10**9 + 1))])
    snapshot = learner.fine_tune(Catalogue(), generator=np.random.default_rng(0)).snapshot
    before = ring.snapshot.weights["item_genres"]
    assert np.array_equal(snapshot.weights["item_genres"][: len(before)], before)


def test_a_round_changes_neither_champion_nor_material(learner, ring):
    """Training works on copies."""
    weights = {name: tensor.copy() for name, tensor in ring.snapshot.weights.items()}
    learner.observe([("u1", _watch(f"i{place}", 10**9 + place)) for place in range(20)])
    before = copy.deepcopy(learner.material(ring.catalogue).histories)
    learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    assert learner.material(ring.catalogue).histories == before
    assert all(np.array_equal(tensor, weights[name]) for name, tensor in ring.snapshot.weights.items())


def test_equal_seeds_make_equal_candidates(learner, ring, world):
    """Two rounds on the same memory with one seed rank alike, bit for bit."""
    learner.observe([("u1", _watch(f"i{place}", 10**9 + place)) for place in range(20)])
    scores = []
    for _ in range(2):
        ranker = Ranker(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(5)).snapshot)
        scores.append(ranker.rank(ranker.histories([world["profile"]("i1", "i2")]), 5).scores)
    assert np.array_equal(*scores)


def test_a_first_version_must_hold_against_popularity(ring, rounds):
    """On the ring's walks a first round clearly beats popularity and is promoted without a champion."""
    learner = Learner(rounds=rounds)
    learner.observe(ring.events)
    verdict = gate(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), k=3)
    assert verdict.promote
    assert verdict.champion is None
    assert verdict.candidate.hit_rate > verdict.popularity.hit_rate + 0.3


def spoilt(snapshot):
    """Return a version with its item vectors turned round, which is much worse."""
    weights = snapshot.weights | {"item_factors": snapshot.weights["item_factors"][::-1].copy()}
    return replace(snapshot, weights=weights)


def test_a_spoilt_candidate_is_turned_away(learner, ring, world):
    """With its item vectors turned round, a candidate loses to the champion on 60 held-out events."""
    learner.observe(world["walks"](60, 10, seed=5))
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    assert gate(candidate, k=3).promote
    lost = gate(replace(candidate, snapshot=spoilt(candidate.snapshot)), k=3)
    assert (lost.decision, lost.lost_to[0]) == ("reject", "champion")
    assert lost.reason.startswith(
        f"on {lost.events} events the candidate is behind champion ({lost.candidate.hit_rate:.3f}"
    )


def blended(snapshot, newcomers):
    """Return a version with a learnt blend whose cold-start lists go by newcomers alone, this much."""
    blend = Blend()
    blend.weights[0, :, feature("newcomers")] = newcomers
    blend.tests[5] = 1.0
    return snapshot.with_blend(blend)


def test_lists_are_ranked_in_the_mode_of_their_moment(ring, world):
    """With two known items a list is cold, with three personalised; a blend that learnt nothing makes no cold one."""
    ranker = Ranker(blended(ring.snapshot, 1.0))
    events = [HeldOutEvent(world["profile"](*(f"i{n}" for n in range(length))), "i9") for length in (1, 2, 3, 4)]
    assert are_cold(ranker, events).tolist() == [True, True, False, False]
    histories = ranker.histories([event.before for event in events])
    cold, personal = (ranker.logits(histories, mode=mode) for mode in ("cold_start", "personalized"))
    row = ranker.items.row("i9")
    for place, (event, rank) in enumerate(zip(events, held_out_ranks(ranker, events), strict=True)):
        scores = (cold if place < 2 else personal)[place].copy()
        scores[ranker.items.rows(one.item_id for one in event.before.recent)] = -np.inf
        assert rank == 0.5 + np.count_nonzero(scores > scores[row]) + np.count_nonzero(scores == scores[row]) / 2
    assert not are_cold(Ranker(ring.snapshot), events).any()


def test_a_version_with_worse_cold_lists_than_popularity_does_not_serve(learner, ring):
    """Newcomers of two items each all go on to the most popular item: a blend that ranks it last is turned away."""
    learner.observe((f"n{user}", _watch(f"i{place}", 10**9 + user)) for place in (0, 1) for user in range(40))
    learner.observe((f"m{user}", _watch(f"i{place}", 10**9 + user)) for place in (20, 0) for user in range(8))
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    popularity = candidate.material.popularity | {"i0": 1000}
    events = tuple(event for event in candidate.material.held_out if event.item_id == "i0")
    assert len(events) == 8
    material = replace(candidate.material, popularity=popularity, held_out=events + tuple(long_walks(ring)))
    liked, shunned = (
        gate(replace(candidate, snapshot=blended(candidate.snapshot, by), material=material), k=3) for by in (1.0, -1.0)
    )
    assert liked.promote
    assert (shunned.decision, shunned.lost_to) == ("reject", ("popularity_cold_start",))
    assert shunned.reason == (
        "on 48 events the candidate is behind popularity in cold_start lists (0.000 against 1.000 on 8, "
        "2.8 standard errors)"
    )


def long_walks(ring):
    """Give forty held-out events of users who have walked ten items around the ring."""
    for user in range(40):
        events = [one for name, one in ring.events if name == f"u{user}"][:11]
        before = tuple(reversed(events[:-1]))
        yield HeldOutEvent(Profile(f"u{user}", recent=before, seen=len(before)), events[-1].item_id)


def test_a_champion_is_ranked_beside_its_anchor_and_gives_way_to_it(learner, ring, world):
    """A spoilt champion with a child that is no worse is behind its anchor; all that came since is new again."""
    learner.observe(world["walks"](20, 10, seed=6))
    learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), PROMOTE)
    learner.champion = spoilt(learner.champion)
    learner.observe(world["walks"](60, 10, seed=5))
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    found = gate(candidate, k=3)
    assert (found.decision, found.lost_to) == ("return", ("anchor",))
    assert found.rivals["anchor"].hit_rate > found.rivals["champion"].hit_rate + 0.2
    assert found.reason == (
        f"over its rounds the version that serves is behind anchor by {-found.standing.anchor.lead} hits "
        f"where {found.standing.anchor.apart} are apart"
    )
    learner.settle(candidate, found)
    assert learner.champion is ring.snapshot
    assert (learner.anchor, learner.standing, learner.update_scale) == (None, Standing(), UpdateScale(0.5, 0.5))
    assert sum(learner.material(ring.catalogue).fresh.values()) == 800 - 80


def test_counts_are_ranked_where_a_version_keeps_them(learner, ring, world):
    """The ring's co-occurrence counts alone know what follows; a version without evidence is held against none."""
    learner.observe(world["walks"](60, 10, seed=5))
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    assert gate(candidate, k=3).rivals["counts"].hit_rate > 0.8
    parts = tuple(part for part in ring.config.parts if part != "evidence")
    without = Learner(rounds=replace(learner.rounds, network=replace(ring.config, parts=parts)))
    without.observe(ring.events)
    candidate = without.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    assert set(gate(candidate).rivals) == {"popularity"}
    ranker = Ranker(candidate.snapshot)
    histories = ranker.histories([world["profile"]("i1")])
    with pytest.raises(ValueError, match="co-occurrence counts is required"):
        ranker.counts(histories)


def test_the_anchor_stays_until_a_champion_takes_its_place(learner, ring):
    """The first promotion makes the old champion the anchor, the second keeps it, and one that is ahead replaces it."""
    standing = Standing(anchor=PairedLead(2, 9))
    versions = [learner.champion]
    for said in (PROMOTE, verdict("promote", standing=standing), verdict("promote", is_anchored=True)):
        learner.observe([("u1", _watch("i1"))])
        learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), said)
        versions.append(learner.champion)
        assert learner.anchor is versions[2 if said.is_anchored else 0]
        assert learner.standing == said.standing


def test_where_a_version_is_withdrawn_learning_begins_anew(learner, ring):
    """No champion and no anchor; everything remembered is new, and the next round is a first training."""
    learner.observe([("u1", _watch(f"j{place}", 10**9 + place)) for place in range(20)])
    learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), verdict("withdraw"))
    material = learner.material(ring.catalogue)
    assert (learner.champion, learner.anchor, material.champion) == (None, None, None)
    assert sum(material.fresh.values()) == material.trained_to


def test_an_event_is_judged_by_once(learner, ring):
    """After a rejection the newest tenth of 40 events holds 4, of which a champion's sums take the last 2."""
    learner.observe([("u1", _watch(f"j{place}", 10**9 + place)) for place in range(38)])
    learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), REJECT)
    learner.observe([("u1", _watch(f"k{place}", 2 * 10**9 + place)) for place in range(2)])
    material = learner.material(ring.catalogue)
    assert [event.is_new for event in material.held_out] == [False, False, True, True]
    learner.note_judged()
    assert [event.is_new for event in learner.material(ring.catalogue).held_out] == [False, False, True, False]


def test_fine_tuning_does_not_forget_the_ring(learner, ring, world):
    """After a round on one user's odd habits, other users' next items still come first as often, less 10 points."""
    learner.observe([("odd", _watch(f"i{place * 7 % 50}", 10**9 + place)) for place in range(40)])
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    events = {}
    for user_id, event in world["walks"](100, 8, seed=77):
        events.setdefault(user_id, []).append(event.item_id)
    held_out = [HeldOutEvent(world["profile"](*items[:-1]), items[-1]) for items in events.values()]
    before, after = (held_out_ranks(Ranker(one), held_out) for one in (ring.snapshot, candidate.snapshot))
    assert np.mean(after <= 2) >= np.mean(before <= 2) - 0.1


def test_first_events_of_new_users_alone_make_a_version(ring, rounds):
    """With nothing to predict a round trains nothing, gives the newcomers rows and does not fail."""
    learner = Learner(rounds=rounds, champion=ring.snapshot)
    learner.observe([("new 1", _watch("i1")), ("new 2", _watch("j"))])
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    assert candidate.training.steps == 0
    assert candidate.snapshot.users[-2:] == ("new 1", "new 2")
    assert (gate(candidate).decision, gate(candidate).events) == ("hold", 0)  # until there is something to judge by


def test_a_round_predicts_no_more_than_its_bound(learner, ring):
    """Of forty events an epoch three are new, and old windows of at most ten make up for most of the rest."""
    learner.rounds = replace(learner.rounds, max_predicted=40, replay=100.0)
    learner.observe([("newcomer", _watch(f"i{place}", 10**9 + place)) for place in range(4)])
    result = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)).training
    samples = learner.rounds.tuning.epochs * (1 + learner.rounds.tuning.negatives)
    assert 27 * samples < result.samples <= 40 * samples


def test_a_long_window_alone_may_be_beyond_the_bound(learner, ring):
    """A round of one event still trains on one window, whole."""
    learner.rounds = replace(learner.rounds, max_predicted=2)
    learner.observe([("newcomer", _watch(f"i{place}", 10**9 + place)) for place in range(8)])
    result = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)).training
    assert result.samples == 7 * learner.rounds.tuning.epochs * (1 + learner.rounds.tuning.negatives)


def test_an_item_without_a_row_is_a_miss(ring, world):
    """What a version cannot list it cannot hit."""
    held_out = [HeldOutEvent(world["profile"]("i1"), "never heard of")]
    assert held_out_ranks(Ranker(ring.snapshot), held_out).tolist() == [np.inf]


def test_bounds_below_one_are_refused():
    """A memory for no events is no memory."""
    with pytest.raises(ValueError, match="at least 1"):
        LearnerConfig(max_events=0)


def test_few_held_out_events_hold_a_candidate(learner, ring):
    """Two held-out events decide nothing about a champion's place; all events stay new, and scale and champion too."""
    champion = learner.champion
    learner.observe([("u1", _watch(f"j{place}", 10**9 + place)) for place in range(20)])
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    held = gate(candidate, min_events=3)
    assert (held.decision, held.events) == ("hold", 2)
    assert gate(candidate, min_events=2).decision != "hold"
    learner.settle(candidate, held)
    assert learner.champion is champion
    assert learner.update_scale == UpdateScale()
    assert learner.material(ring.catalogue).fresh["u1"] == 18


def test_pace_follows_the_verdicts():
    """Halved where training did harm, raised by a clear gain, drawn back to the middle by neither; work never grows."""
    slow = UpdateScale().after(REJECT)
    assert slow == UpdateScale(0.5, 0.5)
    assert slow.after(HOLD) == slow
    assert slow.after(verdict("reject", 2, 4, ("counts",))) == slow
    assert UpdateScale().after(verdict("return", 2, 4, ("anchor",))) == slow
    assert slow.after(PROMOTE) == UpdateScale(0.5**0.5, 0.625)
    assert UpdateScale().after(verdict("promote", 5, 16)) == UpdateScale(1.25, 1.0)
    for said, limit in ((REJECT, UpdateScale(0.125, 0.125)), (verdict("promote", 5, 16), UpdateScale(2.0, 1.0))):
        scale = UpdateScale()
        for _ in range(20):
            scale = scale.after(said)
        assert scale == limit


def test_a_round_trains_at_its_pace(learner):
    """After a rejection the rate and the events of the next round are half of the configured ones."""
    learner.update_scale = UpdateScale().after(REJECT)
    scaled, rounds = learner.scaled_rounds(), learner.rounds
    assert scaled.tuning.learning_rate == rounds.tuning.learning_rate / 2
    assert scaled.max_predicted == rounds.max_predicted / 2
    assert scaled.first == rounds.first


def test_a_first_verdict_says_nothing_about_fine_tuning(ring, rounds):
    """A first version that leads popularity by far leaves the scale of the rounds that follow as configured."""
    learner = Learner(rounds=rounds)
    learner.observe(ring.events)
    learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), verdict("promote", 9, 16))
    assert learner.update_scale == UpdateScale()


def test_where_waiting_leads_to_no_more_events_a_candidate_is_not_held(ring, rounds):
    """Of a held-out tail at its bound, 2 events, a user's first do not count: one is left, and it decides."""
    learner = Learner(LearnerConfig(max_held_out=2), rounds, ring.snapshot)
    learner.preload(ring.events)
    learner.observe([("u1", _watch(f"j{place}", 10**9 + place)) for place in range(40)] + [("new", _watch("i1"))])
    candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
    assert len(candidate.material.held_out) == 1
    assert gate(candidate, min_events=30).decision != "hold"


def test_a_learner_goes_on_with_the_same_memory(ring, rounds):
    """Observed anew with its promotions at their places, a learner that forgot remembers whom it did before."""
    config = LearnerConfig(max_events=120, held_out_share=0.0)
    events = [(f"v{n % 60}", _watch(f"i{n % 20}", n)) for n in range(400)]
    learner = Learner(config, rounds, ring.snapshot)
    for start in range(0, 400, 80):
        learner.observe(events[start : start + 80])
        learner.settle(learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), PROMOTE)
    again, observed = Learner(config, rounds), 0
    for until, learnt in learner.position()["promotions"]:
        again.observe(events[observed:until])
        again.learnt_to(learnt)
        observed = until
    again.resume(learner.champion, learner.position(), learner.anchor)
    remembered = learner.material(ring.catalogue)
    assert len(learner) <= 120
    assert again.material(ring.catalogue).histories == remembered.histories
    again_is, was = (
        (one.update_scale, one.position(), one.champion, one.anchor, one.standing) for one in (again, learner)
    )
    assert again_is == was
    assert learner.anchor is ring.snapshot
    for one in (again, learner):
        one.settle(one.fine_tune(ring.catalogue, generator=np.random.default_rng(0)), verdict("return"))
    assert again.material(ring.catalogue).fresh == learner.material(ring.catalogue).fresh


def test_repeats_are_held_out_where_they_are_kept(ring, rounds):
    """Of ten events of one user with two items, the newest two are tested with repeats and neither without."""
    for keeps, tested in ((True, 2), (False, 0)):
        some = replace(rounds, network=replace(ring.config, repeats=keeps))
        learner = Learner(LearnerConfig(held_out_share=0.2), some)
        learner.observe([("u", _watch(f"i{place % 2}", place)) for place in range(10)])
        assert learner.keeps_repeats is keeps
        assert len(learner.material(ring.catalogue).held_out) == tested


def test_a_held_out_repeat_competes_with_known_items_where_repeats_are_kept(ring):
    """The rank is among all items: one more than those of higher score, known ones among them."""
    returning = Ranker(replace(ring.snapshot, config=replace(ring.config, repeats=True)))
    before = tuple(_watch(f"i{place}", 60_000 * place) for place in (7, 6, 5))
    event = HeldOutEvent(Profile("u", recent=before), "i20")
    scores = returning.logits(returning.histories([event.before]))[0]
    row = returning.items.row("i20")
    assert held_out_ranks(returning, [event]).tolist() == [1 + np.count_nonzero(scores > scores[row])]


def test_a_guests_events_are_learnt_as_the_accounts(ring):
    """Merged before or after its events, a guest is nobody, and the account's history is both in order of time."""
    accounts = {}
    learner = Learner(LearnerConfig(held_out_share=0.0), accounts=lambda: accounts)
    learner.preload([("ann", _watch("a1", 1)), ("guest", _watch("g2", 2)), ("ben", _watch("b", 2))])
    learner.observe([("ann", _watch("a3", 3)), ("guest", _watch("g4", 4)), ("ann", _watch("a2", 2))])
    assert set(learner.material(ring.catalogue).histories) == {"ann", "guest", "ben"}
    accounts["guest"] = "ann"
    material = learner.material(ring.catalogue)
    assert {user: [one.item_id for one in history] for user, history in material.histories.items()} == {
        "ann": ["a1", "g2", "a2", "a3", "g4"],
        "ben": ["b"],
    }
    assert material.fresh == {"ann": 3, "ben": 0}
    learner.observe([("guest", _watch("g5", 5))])
    assert learner.material(ring.catalogue).fresh == {"ann": 4, "ben": 0}
    learner.forget_users({"guest": "nobody"})
    alone = learner.material(ring.catalogue).histories["ann"]
    assert [one.item_id for one in alone] == ["a1", "a3", "a2"]  # as they came, where nothing is joined


def test_a_merge_that_ends_parts_the_histories(ring):
    """What was the guest's is the guest's again, each event once; a guest without events makes no account."""
    accounts = {"guest": "ann", "other": "nobody"}
    learner = Learner(LearnerConfig(held_out_share=0.0), accounts=lambda: accounts)
    learner.observe([("guest", _watch("g1", 1)), ("ann", _watch("a2", 2))])
    assert list(learner.material(ring.catalogue).histories) == ["ann"]
    accounts.clear()
    histories = learner.material(ring.catalogue).histories
    assert {user: len(history) for user, history in histories.items()} == {"guest": 1, "ann": 1}


def test_held_out_events_of_a_guest_come_after_the_accounts_history(ring):
    """Of ten events the tenth is a guest's: it is tested after what the account did, once, and as the account."""
    learner = Learner(accounts=lambda: {"guest": "ann"})
    learner.observe([*(("ann", _watch(f"i{place}", place)) for place in range(9)), ("guest", _watch("i9", 9))])
    (held,) = learner.material(ring.catalogue).held_out
    assert (held.before.user_id, held.item_id) == ("ann", "i9")
    assert [one.item_id for one in held.before.recent] == [f"i{place}" for place in range(8, -1, -1)]


def test_a_joined_history_is_bounded_as_every_other(ring):
    """Of two users with three events each and room for three the three latest are left."""
    learner = Learner(LearnerConfig(max_events_per_user=3, held_out_share=0.0), accounts=lambda: {"guest": "ann"})
    learner.observe([(user, _watch(f"{user}{n}", n)) for user in ("ann", "guest") for n in range(3)])
    assert [one.item_id for one in learner.material(ring.catalogue).histories["ann"]] == ["guest1", "ann2", "guest2"]


@pytest.fixture(scope="module")
def mixed(ring):
    """Return the ring's events, some of them ratings and other kinds, disliked or watched in part."""
    draw, kinds = np.random.default_rng(0), ("watch", "rate", "share")
    return [
        (
            user_id,
            replace(
                one, kind=kinds[draw.integers(3)], weight=float(draw.random()), is_positive=bool(draw.random() < 0.8)
            ),
        )
        for user_id, one in ring.events
    ]


def _twins(events, rounds, **config):
    """Return two learners of the same events: one was given them one by one, the other as columns."""
    one_by_one, at_once = (Learner(LearnerConfig(**config), rounds) for _ in range(2))
    one_by_one.observe(events)
    at_once.observe_columns(EventColumns.of([user_id for user_id, _ in events], [one for _, one in events]))
    return one_by_one, at_once


def _same_material(first, second):
    versions = {"champion": None, "anchor": None}
    plain = replace(second, histories=dict(second.histories), **versions)
    return replace(first, **versions) == plain and list(first.histories) == list(second.histories)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("unheated", [50, 10_000])
def test_events_as_columns_teach_what_the_same_events_teach_one_by_one(
    ring, rounds, mixed, monkeypatch, share, unheated
):
    """Histories, held-out events and what trends are equal to the last bit, and no event became an object for it."""
    monkeypatch.setattr(learner_module, "MAX_UNHEATED", unheated)
    one_by_one, at_once = _twins(mixed, rounds, held_out_share=share)
    material = at_once.material(ring.catalogue)
    assert isinstance(material.histories, ColumnHistories)
    assert _same_material(one_by_one.material(ring.catalogue), material)
    assert (len(at_once), at_once.observed, at_once.new_events) == (len(mixed), len(mixed), len(mixed))


def test_a_version_from_columns_is_the_version_from_the_same_events_one_by_one(ring, rounds, mixed):
    """Both trainings lead to the same weights, ids and verdict; and so do the rounds after them."""
    made = []
    for learner in _twins(mixed, rounds, held_out_share=0.2):
        candidate = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(0))
        learner.settle(candidate, gate(candidate))
        learner.observe([("u1", _watch(f"i{place}", 10**9 + place)) for place in range(20)])
        again = learner.fine_tune(ring.catalogue, generator=np.random.default_rng(1))
        made.append((candidate, again, gate(candidate)))
    (first, later, verdict), (twin, twin_later, twin_verdict) = made
    for mine, other in ((first, twin), (later, twin_later)):
        assert (mine.snapshot.users, mine.snapshot.items) == (other.snapshot.users, other.snapshot.items)
        assert all(
            np.array_equal(weight, other.snapshot.weights[name]) for name, weight in mine.snapshot.weights.items()
        )
        assert _same_material(mine.material, other.material)
    assert verdict == twin_verdict


@pytest.mark.parametrize("config", [{"max_events": 400}, {"max_events_per_user": 7}])
def test_columns_of_which_not_all_are_kept_are_observed_one_by_one(ring, rounds, mixed, config):
    """Users beyond a bound are forgotten, and a user's oldest events, as if each event had come alone."""
    one_by_one, at_once = _twins(mixed, rounds, **config)
    assert len(one_by_one) == len(at_once) < len(mixed)
    assert one_by_one.material(ring.catalogue) == at_once.material(ring.catalogue)


def test_columns_become_events_once_single_ones_are_asked_for(ring, rounds, mixed):
    """What is taken back, and what comes later, leaves the same as after events that came one by one."""
    one_by_one, at_once = _twins(mixed, rounds)
    at_once.material(ring.catalogue)
    for learner in (one_by_one, at_once):
        learner.name_latest(mixed[-1][0], 7)
        assert learner.number_of(mixed[-1][0], 7) == len(mixed)
        assert learner.take_back("u3", 4) == mixed[3][1]
        learner.observe_columns(EventColumns.of(["u3"], [_watch("i1")]))
    assert dict(one_by_one.beginnings()) == dict(at_once.beginnings())
    assert one_by_one.material(ring.catalogue) == at_once.material(ring.catalogue)


def test_events_of_guests_are_the_accounts_in_columns_too(ring, rounds, mixed):
    """Where guests are merged, columns teach what the same events teach one by one."""
    learners = [Learner(rounds=rounds, accounts=lambda: {"u1": "u2"}) for _ in range(2)]
    learners[0].observe(mixed)
    learners[1].observe_columns(EventColumns.of([user_id for user_id, _ in mixed], [one for _, one in mixed]))
    first, second = (learner.material(ring.catalogue) for learner in learners)
    assert "u1" not in second.histories
    assert first == second
