"""From profiles to lists: over-fetch and the seen filter, identities, wishes, degraded lists and mode changes.

The seen sets here are a second implementation of ``SeenFilter``, a dictionary; that Redis answers alike is shown
in tests/streams/state/test_store.py.
"""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from typing import ClassVar

import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.exposure import NewItem
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.reranking.diversified import DiversityConfig
from model.wishes.wishes import GenreWishes, Wishes
from streams.records.records import Origin
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.lists import ExperimentContext, Serving, ServingConfig, Trigger
from tests.toy import toy_snapshot

N = 200
ITEMS = tuple(f"i{n}" for n in range(N))  # i0 trends most; even numbers are dramas
CATALOGUE = Catalogue.of(Item(item, f"Film {n}", None, (("Drama", "Comedy")[n % 2],)) for n, item in enumerate(ITEMS))
DRAMAS, ONLY_DRAMAS = GenreWishes(want=("Drama",)), GenreWishes(must=("Drama",))
TRIGGER = Trigger.of_event(Origin("watch-events", 1, 7, 999), "e", 5)


class Seen(dict):
    """Seen sets by user, which count how often they were asked."""

    asked = 0

    async def seen_among(self, wanted, renames):  # noqa: ARG002 - a SeenFilter's signature
        """Return which of the given items each user has seen."""
        self.asked += 1
        return [frozenset(items) & self.get(profile.user_id, frozenset()) for profile, items in wanted]

    async def hidden_among(self, wanted, renames):  # noqa: ARG002 - a SeenFilter's signature
        """Return that nobody has hidden anything."""
        return [frozenset() for _ in wanted]


class Slow(Recommender):
    """A recommender whose scoring takes a fifth of a second."""

    def recommend(self, profiles, n, asked=None):
        """Return the drafts late."""
        time.sleep(0.2)
        return super().recommend(profiles, n, asked)


def ranked(*, sick=False):
    """Return a ranker; a sick one scores NaN, as a diverged model would."""
    item_genres = [[n % 2 == 0, n % 2 == 1] for n in range(N)]
    return Ranker(toy_snapshot(ITEMS, genres=("Drama", "Comedy"), item_genres=item_genres, seed=5, is_sick=sick))


def made(kind=Recommender, ranker=None, version=None):
    """Return a recommender over the catalogue, cold unless a ranker is given."""
    trending = Trending.of((item, float(N - n)) for n, item in enumerate(ITEMS))
    return kind(CATALOGUE, ContentIndex(CATALOGUE), trending, ColdStart(), ModeConfig(5, 3), ranker, version)


def user(user_id, recent=(), seen=0, mode="cold_start"):
    """Return a profile with these recent items and so many seen ones."""
    touched = tuple(Interaction(item, 1000 - n, "watch", 1.0) for n, item in enumerate(recent))
    return Profile(user_id, watches=seen, seen=seen, recent=touched, mode=mode, last_ts=5)


def ids(answer):
    """Return the listed ids of an answer."""
    return [item.item_id for item in answer.recommendation.items]


@pytest.fixture
def serving():
    """Return a function that makes a ``Serving`` over given seen sets."""
    pools = []

    def make(seen=None, config=None, failures=3):
        config = config or ServingConfig(budget_s=30.0)
        pools.append(BudgetedScorer(config.budget_s, Breaker(BreakerConfig(failures), time.monotonic)))
        return Serving(config, pools[-1], Seen() if seen is None else seen, lambda: 123)

    yield make
    for pool in pools:
        pool.close()


async def test_what_was_shown_is_counted_where_that_counts(serving):
    """With a discount an answer has its own list counted; without one, what was counted once is dropped."""
    counting = ServingConfig(budget_s=30.0, diversity=DiversityConfig(impression_discount=0.2))
    before = replace(user("u"), impressions={"i0": 1.0, "i199": 2.0})
    [answer] = await serving(config=counting).answer(made(), [(before, TRIGGER)])
    assert answer.impressions == {"i0": 1.95, "i199": 1.9} | dict.fromkeys(ITEMS[1:10], 1.0)
    answers = await serving().answer(made(), [(before, TRIGGER), (user("v"), TRIGGER)])
    assert [answer.impressions for answer in answers] == [{}, None]


async def test_seen_items_are_dropped_from_the_over_fetch(serving):
    """Without the 15 hottest, which are seen, the list is the next ten in one look: 40 candidates are enough."""
    seen = Seen(u=set(ITEMS[:15]))
    [answer] = await serving(seen).answer(made(), [(user("u", seen=15), TRIGGER)])
    assert ids(answer) == list(ITEMS[15:25])
    assert [item.rank for item in answer.recommendation.items] == list(range(1, 11))
    assert seen.asked == 1


async def test_a_user_who_saw_the_top_gets_deeper_ones(serving):
    """With the 60 hottest seen, 40 candidates leave none and 160 leave the next ten; the neighbour is not disturbed."""
    seen = Seen(u=set(ITEMS[:60]))
    answers = await serving(seen).answer(made(), [(user("u", seen=60), TRIGGER), (user("v", seen=1), TRIGGER)])
    assert [ids(answer) for answer in answers] == [list(ITEMS[60:70]), list(ITEMS[:10])]
    assert seen.asked == 2


async def test_a_user_who_saw_all_but_three_gets_three(serving):
    """Where fewer than ten are left the list has what is left."""
    seen = Seen(u=set(ITEMS[:-3]))
    [answer] = await serving(seen).answer(made(), [(user("u", seen=N - 3), TRIGGER)])
    assert ids(answer) == list(ITEMS[-3:])


async def test_a_user_who_has_seen_everything_gets_an_empty_list(serving):
    """There is an answer, with no items in it."""
    [answer] = await serving(Seen(u=set(ITEMS))).answer(made(), [(user("u", seen=N), TRIGGER)])
    assert answer.recommendation.items == ()
    assert (answer.recommendation.user_id, answer.recommendation.k) == ("u", 10)


async def test_a_warm_user_who_saw_the_top_gets_deeper_ones_as_well(serving):
    """A personalised list, too, is the unlimited ranking without what was seen."""
    ranker = ranked()
    warm = user("u", ITEMS[:5], seen=105)
    recommender = made(ranker=ranker, version="v1")
    [whole] = recommender.recommend([warm], N)
    order = [item.item_id for item in whole.items]
    seen = Seen(u={*ITEMS[:5], *order[:100]})
    [answer] = await serving(seen).answer(recommender, [(warm, TRIGGER)])
    assert ids(answer) == order[100:110]


async def test_answers_come_in_the_order_asked(serving):
    """Seven users in chunks of two, some of whom need a deeper look, are answered in their order."""
    wanted = [(user(f"u{n}", seen=60 * (n % 2)), TRIGGER) for n in range(7)]
    seen = Seen({f"u{n}": set(ITEMS[:60]) for n in (1, 3, 5)})
    config = ServingConfig(budget_s=30.0, chunk=2)
    answers = await serving(seen, config).answer(made(), wanted)
    assert [answer.recommendation.user_id for answer in answers] == [f"u{n}" for n in range(7)]
    assert [ids(answer)[0] for answer in answers] == ["i0", "i60"] * 3 + ["i0"]


async def test_nobody_asked_is_nobody_answered(serving):
    """No users, no lists."""
    assert await serving().answer(made(), []) == ()


async def test_a_list_says_what_it_was_made_from(serving):
    """Trigger, times, sequence and version are those of the event, the profile and the clock."""
    [answer] = await serving().answer(made(), [(user("u", seen=3), TRIGGER)])
    found = answer.recommendation
    assert (found.ts, found.event_ts, found.published_ts, found.sequence) == (5, 5, 123, 3)
    assert (found.mode, found.model_version, found.k) == ("cold_start", None, 10)
    assert found.trigger == {
        "topic": "watch-events",
        "partition": 1,
        "offset": 7,
        "event_id": "e",
        "timestamp": 999,
    }


async def test_the_identity_is_of_user_trigger_and_version(serving):
    """The same event and version repeat the id; another version, event, user or a request make another."""
    ranker = ranked()
    warm = user("u", ITEMS[:5], seen=5)
    first, second = made(ranker=ranker, version="v1"), made(ranker=ranker, version="v2")
    later = Trigger.of_event(Origin("watch-events", 1, 8, 999), "e", 5)
    redelivered = Trigger.of_event(Origin("watch-events", 1, 7, 999), "e", 5)
    request = Trigger.of_request("e", 5)

    async def rec_id(recommender, profile, trigger):
        [answer] = await serving().answer(recommender, [(profile, trigger)])
        return answer.recommendation.rec_id

    same = await rec_id(first, warm, TRIGGER)
    assert await rec_id(first, warm, redelivered) == same
    others = {
        await rec_id(second, warm, TRIGGER),
        await rec_id(first, warm, later),
        await rec_id(first, warm, request),
        await rec_id(first, user("v", ITEMS[:5], seen=5), TRIGGER),
    }
    assert len(others) == 4
    assert same not in others


async def test_a_request_is_served_as_wished(serving):
    """Three dramas without i0 that u has not seen; strictly no comedy even where dramas run out."""
    asked = [(user("u", seen=1), Trigger.of_request("r", 5))]
    seen = Seen(u={"i2"})
    [answer] = await serving(seen).answer(made(), asked, wishes=[Wishes(DRAMAS, exclude=("i0",), k=3)])
    assert (ids(answer), answer.recommendation.k) == (["i4", "i6", "i8"], 3)
    assert answer.recommendation.trigger == {"request_id": "r"}
    dramas = set(ITEMS[::2]) - {"i198"}
    [preferred] = await serving(Seen(u=dramas)).answer(made(), asked, wishes=[Wishes(DRAMAS, k=3)])
    assert ids(preferred) == ["i198", "i1", "i3"]
    [strict] = await serving(Seen(u=dramas)).answer(made(), asked, wishes=[Wishes(ONLY_DRAMAS, k=3)])
    assert ids(strict) == ["i198"]


async def test_a_sick_model_is_answered_by_a_degraded_list(serving):
    """NaN scores yield unseen dramas like those touched last, marked degraded; no change of mode is announced."""
    warm = user("u", ITEMS[100:105], seen=6)
    seen = Seen(u={*ITEMS[100:105], "i0"})
    [answer] = await serving(seen).answer(made(ranker=ranked(sick=True), version="v1"), [(warm, TRIGGER)])
    assert ids(answer) == list(ITEMS[2:22:2])
    assert (answer.recommendation.mode, answer.recommendation.model_version) == ("degraded", None)
    assert (answer.mode, answer.change) == ("cold_start", None)
    [kept] = await serving(seen).answer(
        made(ranker=ranked(sick=True), version="v1"), [(replace(warm, mode="personalized"), TRIGGER)]
    )
    assert (kept.mode, kept.change) == ("personalized", None)


async def test_a_late_model_is_answered_by_a_degraded_list(serving):
    """Scoring that takes 200 ms of a budget of 30 is answered before it ends."""
    config = ServingConfig(budget_s=0.03)
    warm = user("u", ITEMS[100:105], seen=5)
    served = serving(config=config)
    recommender = made(Slow)
    began = time.monotonic()
    [answer] = await served.answer(recommender, [(warm, TRIGGER)])
    assert time.monotonic() - began < 0.2
    assert answer.recommendation.mode == "degraded"
    assert ids(answer) == list(ITEMS[:20:2])
    assert answer.recommendation.tier == "hybrid"


async def test_each_list_says_how_much_of_its_user_is_in_it(serving):
    """Personalised, then hybrid, then trending, then the catalogue's own order, as less and less is known."""
    warm, stranger = user("u", ITEMS[100:105], seen=5), user("v")
    bare = made().with_trending(Trending())
    asked = [(made(ranker=ranked(), version="v1"), warm), (made(), warm), (made(), stranger), (bare, stranger)]
    answers = [(await serving().answer(recommender, [(one, TRIGGER)]))[0] for recommender, one in asked]
    assert [one.recommendation.tier for one in answers] == ["personalized", "hybrid", "trending", "static"]
    assert all(len(one.recommendation.items) == 10 for one in answers)


class Counting(Recommender):
    """A recommender that notes for how many users it scores at once."""

    calls: ClassVar[list[int]] = []

    def recommend(self, profiles, n, asked=None):
        """Note and rank."""
        self.calls.append(len(profiles))
        return super().recommend(profiles, n, asked)


async def test_lists_with_wishes_are_made_as_many_at_once_as_the_catalogue_allows(serving):
    """Scores of three fit into a call: ten lists go in threes, in the order asked, and ten events all at once."""
    Counting.calls.clear()
    served, recommender = serving(config=ServingConfig(wished_scores=3 * len(ITEMS) + 2)), made(Counting)
    asked = [(user(f"u{n}"), Trigger.of_request(f"r{n}", 5)) for n in range(10)]
    answers = await served.answer(recommender, asked, wishes=[Wishes(DRAMAS, k=n + 1) for n in range(10)])
    assert [one.recommendation.k for one in answers] == list(range(1, 11))
    assert Counting.calls == [3, 3, 3, 1]
    await served.answer(recommender, asked, wishes=[Wishes(k=5)] * 10)
    await served.answer(recommender, asked)
    assert Counting.calls[4:] == [10, 10]


class SlowReading(Recommender):
    """A recommender that reads queries for a fifth of a second."""

    def read(self, wishes, *, at_once=False):
        """Read, late unless all at once."""
        if not at_once:
            time.sleep(0.2)
        return super().read(wishes, at_once=at_once)


async def test_slow_reading_of_queries_stops_no_ranking():
    """Five queries in a row that are late are left out and say so; the lists are scored, as is an event's."""
    scoring, reading = (BudgetedScorer(budget, Breaker(BreakerConfig(), lambda: 0.0)) for budget in (10.0, 0.02))
    served = Serving(ServingConfig(), scoring, Seen(), lambda: 123, reading=reading)
    recommender, warm = made(SlowReading, ranked(), "v1"), user("u", ITEMS[100:105], seen=5, mode="personalized")
    for _ in range(5):
        [answer] = await served.answer(recommender, [(warm, TRIGGER)], wishes=[Wishes(query="dramas")])
        assert answer.recommendation.mode == "personalized"
        assert answer.recommendation.unfilled == ("query was not read: nothing that reads words serves at the moment",)
    [answer] = await served.answer(recommender, [(warm, TRIGGER)])
    assert answer.recommendation.mode == "personalized"
    for pool in (scoring, reading):
        pool.close()


async def test_what_was_seen_is_listed_only_where_that_is_allowed(serving):
    """Of two requests in one call the one that allows what was seen has the two hottest, the other one has not."""
    asked = [(user("u", ("i0",), seen=2), Trigger.of_request(f"r{n}", 5)) for n in range(2)]
    seen = Seen(u={"i0", "i1"})
    plain, again = await serving(seen).answer(made(), asked, wishes=[Wishes(k=5), Wishes(allow_seen=True, k=200)])
    assert {"i0", "i1"}.isdisjoint(ids(plain))
    assert {"i0", "i1"} <= set(ids(again))
    assert len(ids(plain)) == 5


async def test_a_list_tells_what_it_could_not_fulfil(serving):
    """A genre that there is not comes with the nearest name, and so does a list that is shorter than asked for."""
    asked = [(user("u"), Trigger.of_request("r", 5))]
    wishes = Wishes(GenreWishes(must=("Drama",), want=("Comdy",)), like=("gone",), k=150)
    [answer] = await serving().answer(made(), asked, wishes=[wishes])
    assert answer.recommendation.unfilled == (
        "genres: no genre 'Comdy'; the catalogue has Comedy, Drama (nearest: Comedy)",
        "like: the catalogue has no item 'gone'",
        "100 of 150 items",
    )
    assert set(ids(answer)) == set(ITEMS[::2])


class Stalling(Recommender):
    """A recommender whose scoring hangs for a quarter of a second while ``switch`` says so."""

    switch: ClassVar = [False]

    def recommend(self, profiles, n, asked=None):
        """Return the drafts, late while it hangs."""
        if self.switch[0]:
            time.sleep(0.25)
        return super().recommend(profiles, n, asked)


async def test_lists_go_on_through_a_stalled_model_and_come_back_to_it():
    """All 20 lists of a stall are whole; three late calls open the breaker, and one that is in time closes it."""
    clock = [0.0]
    breaker = Breaker(BreakerConfig(failures=3, rest_s=5.0), lambda: clock[0])
    scoring = BudgetedScorer(0.05, breaker)
    served, recommender = Serving(ServingConfig(), scoring, Seen(), lambda: 123), made(Stalling, ranked(), "v1")
    warm = user("u", ITEMS[100:105], seen=5, mode="personalized")

    async def tier_and_length():
        """Return what one list is like."""
        [answer] = await served.answer(recommender, [(warm, TRIGGER)])
        return answer.recommendation.tier, answer.recommendation.mode, len(answer.recommendation.items)

    recommender.switch[0] = False
    ranker_is_warm = recommender.recommend([warm], 10)
    assert ranker_is_warm[0].mode == "personalized"
    recommender.switch[0] = True
    was_open = []
    for _ in range(20):
        was_open.append(breaker.is_open())
        assert await tier_and_length() == ("hybrid", "degraded", 10)
    assert was_open == [False] * 3 + [True] * 17
    recommender.switch[0] = False
    assert await tier_and_length() == ("hybrid", "degraded", 10)  # the breaker rests
    clock[0] += 5.0
    await asyncio.sleep(0.3)  # what still hung has ended
    while (last := await tier_and_length())[1] == "degraded":  # on a busy machine the budget may be over once more
        clock[0] += 5.0
    assert last == ("personalized", "personalized", 10)
    assert not breaker.is_open()
    scoring.close()


async def test_lists_that_are_behind_events_are_not_looked_into(serving):
    """With more lists at once than are explained, none names an item of a history; with as many, all do."""
    recommender = made(ranker=ranked(), version="v1")
    most = ServingConfig().explain
    for wanted, is_explained in ((most, True), (most + 1, False)):
        users = [(user(f"u{n}", ITEMS[100:106], seen=6, mode="personalized"), TRIGGER) for n in range(wanted)]
        answers = await serving(config=ServingConfig(budget_s=30.0, explain_budget_s=30.0)).answer(recommender, users)
        named = [any(item.because.item_id for item in answer.recommendation.items) for answer in answers]
        assert named == [is_explained] * wanted


async def test_a_search_for_reasons_that_fails_costs_no_list():
    """It raises again and again: all lists are ranked, with general reasons, and the ranking's breaker stays closed."""
    breaker = Breaker(BreakerConfig(failures=1), time.monotonic)
    scoring, explaining = BudgetedScorer(30.0, breaker), BudgetedScorer(30.0, Breaker(BreakerConfig(1), time.monotonic))
    served = Serving(ServingConfig(), scoring, Seen(), lambda: 123, explaining)
    recommender = made(Unexplained, ranked(), "v1")
    for _ in range(3):
        [answer] = await served.answer(recommender, [(user("u", ITEMS[100:106], seen=6), TRIGGER)])
        assert (answer.recommendation.mode, len(answer.recommendation.items)) == ("personalized", 10)
        assert {item.because.kind for item in answer.recommendation.items} == {"taste"}
    assert not breaker.is_open()
    scoring.close()
    explaining.close()


class Unexplained(Recommender):
    """A recommender that can rank, and not say why."""

    def explain(self, lists, *, at_once=False):
        """Raise, but for what is known without looking."""
        if not at_once:
            raise RuntimeError("no reason")
        return super().explain(lists, at_once=True)


async def test_a_degraded_user_who_saw_the_top_gets_deeper_ones(serving):
    """The seen filter goes deeper in a degraded list as well, with the breaker open in the meantime."""
    seen = Seen(u=set(ITEMS[:60]))
    warm = user("u", ITEMS[:5], seen=60)
    recommender = made(ranker=ranked(sick=True), version="v1")
    [answer] = await serving(seen, failures=1).answer(recommender, [(warm, TRIGGER)])
    assert (ids(answer), answer.recommendation.mode) == (list(ITEMS[60:80:2]), "degraded")


async def test_modes_change_exactly_on_crossing(serving):
    """Evidence 1 to 6 and back to 1: announced at 5 upwards and at 2 downwards, and nowhere else."""
    served, recommender = serving(), made(ranker=ranked(), version="v1")
    mode, announced = "cold_start", []
    for known in (1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1):
        [answer] = await served.answer(recommender, [(user("u", ITEMS[:known], known, mode), TRIGGER)])
        mode = answer.mode
        assert answer.recommendation.mode == mode
        if answer.change is not None:
            announced.append((known, answer.change.previous, answer.change.mode, answer.change.known_items))
    assert announced == [(5, "cold_start", "personalized", 5), (2, "personalized", "cold_start", 2)]


EXPLORING = ServingConfig(budget_s=30.0, explore=2)


async def test_the_last_places_are_drawn_from_the_further_candidates(serving):
    """Of 40 candidates 3 are seen: eight keep their places, two come from the 29 behind, each with 2 / 29."""
    seen = Seen(u={"i0", "i1", "i2"})
    [answer] = await serving(seen, EXPLORING).answer(made(), [(user("u", seen=3), TRIGGER)])
    places = answer.recommendation.items
    assert ids(answer)[:8] == list(ITEMS[3:11])
    assert set(ids(answer)[8:]) <= set(ITEMS[11:40])
    assert [place.rank for place in places] == list(range(1, 11))
    assert [place.source for place in places] == ["trending"] * 8 + ["exploration"] * 2
    assert [place.propensity for place in places] == [1.0] * 8 + [2 / 29] * 2
    assert all(place.reason for place in places)


async def test_a_redelivered_event_draws_the_same_items(serving):
    """The draw is of the list's identity: the same twice, another for most other events."""
    triggers = [Trigger.of_event(Origin("watch-events", 1, offset, 999), "e", 5) for offset in range(20)]
    wanted = [(user("u"), trigger) for trigger in triggers]
    first = await serving(config=EXPLORING).answer(made(), wanted)
    again = await serving(config=EXPLORING).answer(made(), wanted)
    assert first == again
    assert len({tuple(ids(answer)[8:]) for answer in first}) > 10  # of 32 * 31 equally likely pairs in order


async def test_every_candidate_is_shown_as_often_as_its_propensity_says(serving):
    """Over 3,200 identities 2 of 32 show each candidate 200 times, within four deviations sqrt(3200 * 15 / 256)."""
    triggers = [Trigger.of_request(f"r{n}", 5) for n in range(3200)]
    answers = await serving(config=EXPLORING).answer(made(), [(user("u"), trigger) for trigger in triggers])
    shown = Counter(item for answer in answers for item in ids(answer)[8:])
    assert set(shown) == set(ITEMS[8:40])
    assert all(n == pytest.approx(200, abs=4 * 13.7) for n in shown.values())  # sqrt(187.5) = 13.7


async def test_a_degraded_list_leaves_nothing_to_chance(serving):
    """When the model is sick the list comes as ranked, every place certain."""
    warm = user("u", ITEMS[100:105], seen=5)
    [answer] = await serving(config=EXPLORING).answer(made(ranker=ranked(sick=True), version="v1"), [(warm, TRIGGER)])
    assert answer.recommendation.mode == "degraded"
    assert ids(answer) == list(ITEMS[:20:2])
    assert {place.propensity for place in answer.recommendation.items} == {1.0}


EXPOSING = ServingConfig(budget_s=30.0, expose=1.0)
NEW = (NewItem("i198", 0.02, 0.03), NewItem("i5", 0.01, 0.02), NewItem("i199", 0.01, 0.01))


async def test_the_last_place_goes_to_a_new_item_that_the_user_has_not_touched(serving):
    """Of three new items one is ranked anyway and one is seen: the third has the place for certain."""
    served = serving(Seen(u={"i199"}), EXPOSING)
    [answer] = await served.answer(made().with_new(NEW), [(user("u", seen=1), TRIGGER)])
    assert ids(answer) == [*ITEMS[:9], "i198"]
    last = answer.recommendation.items[-1]
    assert (last.rank, last.source, last.propensity, last.score) == (10, "exposure", 1.0, 0.02)
    assert {place.propensity for place in answer.recommendation.items[:9]} == {1.0}


async def test_a_share_of_the_lists_is_exposed_and_the_others_say_so(serving):
    """Of 2,000 identities a fifth is exposed, within four deviations of 17.9; else the tenth has a propensity of .8."""
    triggers = [Trigger.of_request(f"r{n}", 5) for n in range(2000)]
    served = serving(config=replace(EXPOSING, expose=0.2))
    answers = await served.answer(made().with_new(NEW), [(user("u"), trigger) for trigger in triggers])
    last = Counter(
        (answer.recommendation.items[-1].item_id, answer.recommendation.items[-1].propensity) for answer in answers
    )
    assert {item for item, _ in last} == {"i9", "i198", "i199"}
    assert last["i9", 0.8] == pytest.approx(1600, abs=4 * 17.9)
    propensities = {item: propensity for item, propensity in last if item != "i9"}
    assert propensities == {"i198": pytest.approx(0.15), "i199": pytest.approx(0.05)}  # bounds of .03 and .01


@pytest.mark.parametrize("wishes", [Wishes(DRAMAS), Wishes(exclude=("i0",))])
async def test_a_list_with_wishes_exposes_nothing(serving, wishes):
    """Whoever asks for a genre, or leaves items out, gets what was asked for."""
    served = serving(config=EXPOSING)
    [answer] = await served.answer(made().with_new(NEW), [(user("u"), TRIGGER)], wishes=[wishes])
    assert "exposure" not in {place.source for place in answer.recommendation.items}


async def test_a_list_that_explores_or_is_degraded_exposes_nothing(serving):
    """An arm with places for chance draws as ever, and a degraded list is as ranked."""
    served = serving(config=EXPOSING)
    [answer] = await served.answer(
        made().with_new(NEW), [(user("u"), TRIGGER)], under=ExperimentContext("depth", "b", 1)
    )
    assert [place.source for place in answer.recommendation.items] == ["trending"] * 9 + ["exploration"]
    sick = made(ranker=ranked(sick=True), version="v1").with_new(NEW)
    [answer] = await serving(config=EXPOSING).answer(sick, [(user("v", ITEMS[100:105], seen=5), TRIGGER)])
    assert (answer.recommendation.mode, ids(answer)) == ("degraded", list(ITEMS[:20:2]))


async def test_an_arm_is_written_on_its_lists_and_its_exploration_wins(serving):
    """An arm with three places for chance, one with none, and one that leaves it to the configuration's two."""
    served = serving(config=EXPLORING)
    for slots, drawn in ((3, 3), (0, 0), (None, 2)):
        under = ExperimentContext("depth", "b", slots)
        [answer] = await served.answer(made(), [(user("u"), TRIGGER)], under=under)
        assert (answer.recommendation.experiment, answer.recommendation.arm) == ("depth", "b")
        assert [place.source for place in answer.recommendation.items].count("exploration") == drawn
    [plain] = await served.answer(made(), [(user("u"), TRIGGER)])
    assert (plain.recommendation.experiment, plain.recommendation.arm) == (None, None)
