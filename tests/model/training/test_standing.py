import numpy as np
import pytest

from model.metrics.paired_lead import PairedLead
from model.training.standing import HeldOutHits, Standing, judge

EVENTS = 100


def first(n):
    """Return hits on the first n of a hundred events."""
    return np.arange(EVENTS) < n


def last(n):
    """Return hits on the last n of a hundred events."""
    return np.arange(EVENTS) >= EVENTS - n


def judged(candidate, standing=None, *, is_new=None, is_thin=False, **rivals):
    """Return what a round decides, by default by a hundred new events and beside a popularity that hits nothing."""
    every = np.ones(EVENTS, dtype=np.bool_)
    hits = HeldOutHits(candidate, {"popularity": ~every} | rivals, every if is_new is None else is_new)
    return judge(hits, standing or Standing(), is_thin=is_thin)


@pytest.mark.parametrize("rival", ["popularity", "counts"])
@pytest.mark.parametrize("champion", [(), ("champion",)])
def test_what_is_behind_something_simple_does_not_serve(rival, champion):
    """4 hits less on 16 events apart pass, 6 less do not, with a champion that hits no more and without one."""
    assert judged(first(6), **dict.fromkeys(champion, first(6)), **{rival: last(10)}).decision == "promote"
    lost = judged(first(5), **dict.fromkeys(champion, first(5)), **{rival: last(11)})
    assert (lost.decision, lost.lost_to) == ("reject", (rival,))
    assert lost.leads[rival] == PairedLead(-6, 16)


def test_behind_the_counts_serves_what_is_clearly_better_than_what_serves():
    """9 ahead of the champion on 19 apart pass though the counts are 15 ahead; 8 do not, nor behind popularity."""
    assert judged(first(14), champion=last(5), counts=last(29)).decision == "promote"
    lost = judged(first(13), champion=last(5), counts=last(29))
    assert (lost.decision, lost.lost_to) == ("reject", ("counts",))
    assert judged(first(14), champion=last(5), counts=last(29), popularity=last(29)).decision == "withdraw"


def of_modes(cold, personal, popular_cold, popular_personal):
    """Return the judgement of a first version with so many hits in 40 cold and 60 personalised lists."""
    is_cold = first(40)
    candidate = (np.arange(EVENTS) < cold) | (last(60) & (np.arange(EVENTS) < 40 + personal))
    popularity = (is_cold & last(60 + popular_cold)) | last(popular_personal)
    return judge(HeldOutHits(candidate, {"popularity": popularity}, ~first(0), is_cold), Standing())


def test_the_lists_of_one_mode_are_held_against_popularity_too():
    """With 30 against 0 personalised hits all lists lead; 0 against 5 cold ones are too many, 0 against 4 are not."""
    lost = of_modes(0, 30, 5, 0)
    assert (lost.decision, lost.lost_to) == ("reject", ("popularity_cold_start",))
    assert lost.leads["popularity_cold_start"] == PairedLead(-5, 5)
    assert lost.leads["popularity_personalized"] == PairedLead(30, 30)
    assert of_modes(0, 30, 4, 0).decision == "promote"
    lost = of_modes(30, 0, 0, 5)
    assert (lost.decision, lost.lost_to) == ("reject", ("popularity_personalized",))


def test_where_all_lists_are_of_one_mode_they_are_judged_once():
    """With all lists cold, or none, the leads are those over all events alone."""
    every, none = ~first(0), first(0)
    for is_cold in (every, none, None):
        hits = HeldOutHits(first(5), {"popularity": first(5)}, every, is_cold)
        assert set(judge(hits, Standing()).leads) == {"popularity"}


def test_a_champion_turns_away_what_is_behind_by_one_standard_error():
    """6 behind on 16 events apart is rejected, 4 behind is not."""
    assert judged(first(6), champion=last(10)).decision == "promote"
    lost = judged(first(5), champion=last(11))
    assert (lost.decision, lost.lost_to) == ("reject", ("champion",))


def test_small_losses_add_up_until_the_anchor_serves_again():
    """3 behind on 9 apart each round, which no single round turns away, are too many after five: 15 > 2 sqrt(45)."""
    standing, rounds = Standing(), []
    for _ in range(5):
        found = judged(first(3), standing, champion=first(3), anchor=last(6))
        standing = found.standing
        rounds.append(found.decision)
    assert rounds == ["promote"] * 4 + ["return"]
    assert (found.lost_to, found.standing.anchor) == (("anchor",), PairedLead(-15, 45))


def test_a_champion_clearly_ahead_is_the_next_anchor():
    """9 ahead of 16 apart are more than two standard errors: it is its own anchor, and the sum begins anew."""
    found = judged(first(12), Standing(anchor=PairedLead(1, 8)), champion=first(8), anchor=first(0))
    assert found.standing.anchor == PairedLead(0, 0)
    assert (found.decision, found.is_anchored) == ("promote", True)
    assert not judged(first(12), Standing(anchor=PairedLead(0, 8)), champion=first(8), anchor=first(0)).is_anchored


def test_a_candidates_own_hits_are_not_summed():
    """What a candidate was chosen by says nothing about it: only the champion's hits count."""
    standing = judged(first(50), champion=first(10), anchor=first(8)).standing
    assert standing.anchor == PairedLead(2, 2)


def test_an_event_is_summed_once():
    """Of events that an earlier round has judged by, none is summed again."""
    standing = judged(first(10), champion=first(10), anchor=first(4), is_new=last(92)).standing
    assert standing.anchor == PairedLead(2, 2)


def test_few_events_change_nothing():
    """A thin round holds the candidate, and sums nothing."""
    before = Standing(anchor=PairedLead(-1, 9))
    found = judged(first(0), before, champion=last(50), anchor=first(60), is_thin=True)
    assert (found.decision, found.lost_to, found.standing) == ("hold", (), before)


def test_the_sum_over_something_simple_begins_when_it_was_last_behind():
    """Ahead is forgotten, so a version that was good for long and goes bad is found as soon as any."""
    standing = judged(first(40), champion=first(40), popularity=first(10)).standing
    assert standing.popularity == PairedLead(0, 0)
    assert judged(first(10), standing, champion=first(5), popularity=last(7)).standing.popularity == PairedLead(-2, 12)


def test_a_champion_behind_popularity_is_withdrawn_where_nothing_cures_it():
    """More than two standard errors behind, with a candidate that is no better: the anchor if it is, else nothing."""
    before = Standing(popularity=PairedLead(-6, 20))
    bad = {"champion": first(2), "popularity": last(12)}  # 16 behind on 34
    withdrawn = judged(first(2), before, **bad)
    assert (withdrawn.decision, withdrawn.lost_to) == ("withdraw", ("popularity",))
    assert judged(first(2), before, **bad, anchor=first(3)).decision == "withdraw"
    assert judged(first(2), before, **bad, anchor=last(12)).decision == "return"
    assert judged(last(12), before, **bad).decision == "promote"
    assert judged(first(2), Standing(), **bad | {"popularity": last(6)}).decision == "reject"


def test_a_champion_behind_the_counts_alone_stays_until_something_is_better():
    """Cold-start lists would be worse; candidates behind the counts are rejected, and the anchor may be a cure."""
    before = Standing(counts=PairedLead(-20, 60))
    bad = {"champion": first(2), "counts": last(12)}
    assert (judged(first(2), before, **bad).decision, judged(first(2), before, **bad).lost_to) == (
        "reject",
        ("counts",),
    )
    assert judged(first(2), before, **bad, anchor=last(10)).decision == "return"
    assert judged(last(12), before, **bad).decision == "promote"


def test_a_standing_comes_back():
    """Described as JSON and restored it is the same; anything else is refused."""
    standing = Standing(PairedLead(-3, 9), PairedLead(), PairedLead(-1, 5))
    assert Standing.restore(standing.describe()) == standing
    assert Standing.restore({}) == Standing()
    for foreign in ({"anchor": 3}, {"nobody": (1, 2)}, {"anchor": ("x", 1)}, 3):
        with pytest.raises(ValueError, match="pairs of numbers by rival are required"):
            Standing.restore(foreign)
