import numpy as np
import pytest

from model.catalogue import Catalogue, Item
from model.feedback import RatingTallies
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from model.own_time import FAR, OLDEST, OwnTime
from model.training.learner import Learner, LearnerConfig
from streams.records.positions import DAY_MS
from streams.records.records import Action, Origin, Rating, Watch, interactions_of
from streams.state.store import State, StateConfig
from streams.state.trending import DecayedWeights, SourceHeat, merge, present_of

FILMS = Catalogue.of([Item("a", "A", 1990, ("Drama",)), Item("b", "B", 1991, ("Drama", "War")), Item("c", "C")])
WEEK = 7 * DAY_MS
NOW = 1_750_000_000_000
YEAR = 365 * DAY_MS


async def started(client, **config):
    """Return an installed state with this configuration."""
    state = State(client, StateConfig(**config))
    await state.install()
    return state


def watch(offset, item, ts, progress=1.0, partition=0, user="u"):
    """Return a watch with its origin, of an item without genres."""
    return Origin("watch-events", partition, offset), Watch(f"{partition}-{offset}", user, item, ts, progress), ()


def rate(offset, item, ts, stars=4.0, partition=0, user="u"):
    """Return a rating with its origin, of an item without genres."""
    return Origin("rate-events", partition, offset), Rating(f"{partition}-{offset}", user, item, ts, stars), ()


def heat_of(newest, *weights, landmark=None, half_life=10, warm=1.0, newcomers=(), own=None):
    """Return what a topic of a partition holds; landmark and own time are the newest event time unless given."""
    own = newest if own is None else own
    landmark = own if landmark is None else landmark
    return SourceHeat(
        newest,
        own,
        warm,
        landmark,
        DecayedWeights(half_life, dict(weights)),
        DecayedWeights(half_life, dict(newcomers)),
    )


def test_merging_brings_every_partition_to_the_newest_time():
    """With a half-life of 10: landmark 0 is 2 half-lives before 20, landmark 20 none; both weigh as of 20."""
    early = heat_of(10, ("a", 8.0), ("b", 2.0), landmark=0)
    late = heat_of(20, ("a", 1.0))
    trends = merge([early, late], Catalogue(), kept=5)
    assert trends.everything == (("a", 3.0), ("b", 0.5))  # 8 / 4 + 1 and 2 / 4


def test_newcomers_are_merged_by_their_own_half_life():
    """At half-life 10 for all and 20 for newcomers, 20 before the present leaves a quarter and a half."""
    early = SourceHeat(0, 0, 1.0, 0, DecayedWeights(10, {"a": 1.0}), DecayedWeights(20, {"a": 1.0}))
    late = heat_of(20, ("b", 1.0), newcomers=(("b", 0.25),))
    trends = merge([early, late], Catalogue(), kept=5)
    assert trends.everything == (("b", 1.0), ("a", 0.25))
    assert trends.newcomers == (("a", 0.5), ("b", 0.25))


def test_the_present_is_where_a_tenth_has_come():
    """Of 100 warm events 9 far ahead make no present, and 10 do."""
    assert present_of([heat_of(50, warm=91.0), heat_of(90, warm=9.0)]) == 50
    assert present_of([heat_of(50, warm=90.0), heat_of(90, warm=10.0)]) == 90
    assert present_of([]) == 0


def test_a_partition_of_another_time_counts_as_of_now():
    """101 half-lives ahead with 1 event of 101: both weigh as they are; 1 half-life ahead: it weighs double."""
    many = heat_of(0, ("a", 5.0), warm=100.0)
    assert merge([many, heat_of(1010, ("b", 1.0))], Catalogue(), 5).everything == (("a", 5.0), ("b", 1.0))
    assert merge([many, heat_of(10, ("b", 1.0))], Catalogue(), 5).everything == (("a", 5.0), ("b", 2.0))


def test_ties_go_to_the_lower_id_and_lists_end_at_their_bound():
    """Three items of equal heat: two are kept, by id."""
    assert merge([heat_of(0, ("c", 1.0), ("b", 1.0), ("a", 1.0))], Catalogue(), 2).everything == (
        ("a", 1.0),
        ("b", 1.0),
    )


def test_only_the_catalogue_trends_and_each_genre_has_its_list():
    """An item that left the catalogue is not listed; an item stands under each of its genres."""
    heat = heat_of(0, ("gone", 9.0), ("a", 1.0), ("b", 2.0), ("c", 3.0), newcomers=(("gone", 1.0), ("a", 1.0)))
    trends = merge([heat], FILMS, kept=5)
    assert trends.everything == (("c", 3.0), ("b", 2.0), ("a", 1.0))
    assert trends.newcomers == (("a", 1.0),)
    assert trends.genres == {"Drama": (("b", 2.0), ("a", 1.0)), "War": (("b", 2.0),)}


def test_nothing_is_merged_from_nothing():
    """Without any event all lists are empty, those of the genres too."""
    assert merge([], FILMS, kept=5).genres == {"Drama": (), "War": ()}


async def test_trending_is_written_as_merged(client):
    """hot:all, hot:newcomers, each genre's list and the set of genres hold what merging returned."""
    state = await started(client, trending_half_life_ms=1000, newcomers_half_life_ms=500)
    await state.apply([watch(0, "a", 1000), watch(0, "b", 2000, 0.75, partition=1)])
    trends = await state.merge_trending(2, FILMS)
    assert trends.everything == (("b", 0.75), ("a", 0.5))  # b: its progress; a: 1, one half-life old
    assert trends.newcomers == (("b", 0.75), ("a", 0.25))  # a: two half-lives old
    assert await state.trending(9) == trends.everything
    assert await state.newcomers(9) == trends.newcomers
    assert await state.trending(1) == (("b", 0.75),)
    assert await client.zrange("hot:genre:War", 0, -1) == [b"b"]
    assert await client.smembers("hot:genres") == {b"Drama", b"War"}


async def test_all_lists_are_written_however_many(client):
    """Of nine genres, which are written a few at a time, each has its list and its name."""
    genres = tuple(f"g{number}" for number in range(9))
    state = await started(client)
    await state.apply([watch(0, "a", 1000)])
    await state.merge_trending(1, Catalogue.of([Item("a", "A", 1990, genres)]))
    assert [await client.zrange(f"hot:genre:{genre}", 0, -1) for genre in genres] == [[b"a"]] * 9
    assert await client.smembers("hot:genres") == {genre.encode() for genre in genres}


async def test_a_genre_that_left_the_catalogue_loses_its_list(client):
    """Merging with a smaller catalogue removes the list and the name."""
    state = await started(client)
    await state.apply([watch(0, "b", 1000)])
    await state.merge_trending(1, FILMS)
    await state.merge_trending(1, FILMS.changed(remove=["b"]))
    assert await client.exists("hot:genre:War") == 0
    assert await client.smembers("hot:genres") == {b"Drama"}
    assert await state.trending(5) == ()


async def test_centuries_of_half_lives_keep_finite_weights(client):
    """After 300 half-lives, 3 at a time, the landmark has moved: the newest weighs 1, and the first is gone."""
    state = await started(client, trending_half_life_ms=1000)
    for n in range(101):
        await state.apply([watch(n, f"i{n}", 1000 + n * 3000)])
    await state.apply([watch(101, "c", 302_000)])
    trends = dict((await state.merge_trending(1, Catalogue())).everything)
    assert (trends["c"], trends["i100"], trends["i99"]) == pytest.approx((1.0, 0.5, 2**-4))
    assert "i0" not in trends or trends["i0"] < 2**-300
    assert int(await client.hget("items:{p0}:clock:watch", "landmark")) == 259_000  # the first beyond 256


async def test_another_half_life_goes_on_from_what_was_hot(client):
    """After 1,000 ms at half-life 1,000 a weighs 1/2; a further 1,000 at half-life 500 make it 1/8."""
    await (await started(client, trending_half_life_ms=1000)).apply([watch(0, "a", 1000), watch(1, "b", 2000)])
    state = await started(client, trending_half_life_ms=500)
    await state.apply([watch(2, "c", 3000)])
    trends = await state.merge_trending(1, Catalogue())
    assert dict(trends.everything) == pytest.approx({"c": 1.0, "b": 0.25, "a": 0.125})


async def test_forty_half_stars_are_no_recommendation(client):
    """A film that forty people gave half a star trends nowhere; one with ten times five stars comes first."""
    state = await started(client)
    hated = [rate(n, "hated", NOW + n, 0.5, user=f"h{n}") for n in range(40)]
    loved = [rate(40 + n, "loved", NOW + n, 5.0, user=f"l{n}") for n in range(10)]
    other = [rate(50 + n, f"i{n}", NOW + n, 4.0, user=f"o{n}") for n in range(6)]
    await state.apply([*hated, *loved, *other])
    trends = await state.merge_trending(1, Catalogue())
    assert trends.everything[0] == pytest.approx(("loved", 10.0))
    for ranked in (trends.everything, trends.newcomers):
        assert [item for item, _ in ranked] == ["loved", *(f"i{n}" for n in reversed(range(6)))]
    assert await client.hget("items:{p0}:ratings", "hated") == b"40"


async def test_what_was_left_early_counts_little(client):
    """A watch counts its progress, and nothing below a tenth: 0.1 counts, 0.09 does not."""
    state = await started(client)
    await state.apply(
        [watch(n, item, NOW, share) for n, (item, share) in enumerate([("a", 0.09), ("b", 0.1), ("c", 1.0)])]
    )
    assert (await state.merge_trending(1, Catalogue())).everything == (("c", 1.0), ("b", 0.1))


async def test_the_eleventh_event_of_a_kind_is_no_newcomers(client):
    """Of 12 watches and 12 ratings the first ten of each are a newcomer's, in whichever batches they come."""
    state = await started(client)
    watches = [watch(n, f"w{n}", NOW) for n in range(12)]
    ratings = [rate(n, f"r{n}", NOW) for n in range(12)]
    await state.apply([*watches[:4], *ratings[:11]])
    await state.apply([*watches[4:], *ratings[11:]])
    trends = await state.merge_trending(1, Catalogue())
    assert {item for item, _ in trends.newcomers} == {f"{kind}{n}" for kind in "wr" for n in range(10)}
    assert len(trends.everything) == 24


def drawn_times(rng, n=300):
    """Draw event times: a stream of 60 days, some hours late, a few of broken clocks, an old log in between."""
    times, at = [], NOW
    for number in range(n):
        at += int(rng.integers(0, DAY_MS // 3))
        strays = (at - int(rng.integers(DAY_MS)), at + int(rng.integers(6 * YEAR)), at - int(rng.integers(9 * YEAR)))
        old = 900_000_000_000 + number * DAY_MS // 10
        drawn = rng.random()
        times.append(at if drawn < 0.7 else strays[int(rng.integers(3))] if drawn < 0.8 or number < 100 else old)
    return times


@pytest.mark.parametrize("seed", range(6))
async def test_own_time_in_redis_is_that_of_the_clock_however_it_is_cut(client, seed):
    """Heat by item equals a sum over the clock's own times, and the clock is the same, in batches of any size."""
    rng = np.random.default_rng(seed)
    times = drawn_times(rng)
    events = [watch(n, f"i{n % 7}", ts, user=f"u{n % 5}") for n, ts in enumerate(times)]
    state = await started(client)
    at = 0
    while at < len(events):
        end = at + int(rng.integers(1, 60))
        await state.apply(events[at:end])
        at = end
    clock = OwnTime.beginning(times[0], WEEK)
    own = [clock.take(ts) for ts in times]
    wanted = {}
    for n, moment in enumerate(own):
        wanted[f"i{n % 7}"] = wanted.get(f"i{n % 7}", 0.0) + 2.0 ** ((moment - clock.own) / WEEK)
    stored = await client.hgetall("items:{p0}:clock:watch")
    assert (int(stored[b"newest_ts"]), int(stored[b"own_ts"])) == (clock.newest, clock.own)
    assert float(stored[b"warm"]) == pytest.approx(clock.warm)
    assert float(stored[b"other_warm"]) == pytest.approx(clock.other_warm)
    assert dict((await state.merge_trending(1, Catalogue())).everything) == pytest.approx(wanted, rel=1e-9)


def plain_decay(events, now):
    """Return items by the sum of 2 ** -(age in weeks), hottest first: what event times alone would say."""
    heat = {}
    for _, event, _ in events:
        heat[event.item_id] = heat.get(event.item_id, 0.0) + 2.0 ** ((event.ts - now) / WEEK)
    return [item for item, _ in sorted(heat.items(), key=lambda pair: (-pair[1], pair[0]))]


def a_stream(rng, begins, n=2000, n_items=40, partitions=2, first=0, late=0.0):
    """Draw ratings over 60 days, items by a power law that turns with time; ``late`` of them by up to ten hours."""
    events = []
    for number in range(n):
        ts = begins + number * 60 * DAY_MS // n
        ts -= int(rng.integers(10 * DAY_MS // 24)) * int(rng.random() < late)
        item = (int(rng.zipf(1.5)) + number * 20 // n) % n_items
        events.append(rate(first + number, f"i{item}", ts, partition=number % partitions, user=f"u{number % 97}"))
    return events


@pytest.mark.parametrize("late", [0.0, 0.2])
async def test_a_usual_stream_trends_by_its_event_times(client, late):
    """Without far times the order is that of plain decay, also where a fifth comes hours late."""
    events = a_stream(np.random.default_rng(3), NOW, late=late)
    state = await started(client)
    await state.apply(events)
    ranked = [item for item, _ in (await state.merge_trending(2, Catalogue())).everything]
    assert ranked == plain_decay(events, max(event.ts for _, event, _ in events))


@pytest.mark.parametrize("make", [watch, rate])
async def test_an_old_log_after_some_events_of_now_trends_as_by_itself(client, make):
    """Ten events of now, of one topic and partition, come before a log of 2001: its order is that of plain decay."""
    events = a_stream(np.random.default_rng(4), NOW - 24 * YEAR, first=10)
    ahead = [make(n, f"now{n}", NOW + n, user="today") for n in range(10)]
    state = await started(client)
    await state.apply(ahead)
    for first in range(0, len(events), 250):
        await state.apply(events[first : first + 250])
    ranked = [item for item, _ in (await state.merge_trending(2, Catalogue())).everything]
    wanted = plain_decay(events, max(event.ts for _, event, _ in events))
    known = [item for item in ranked if not item.startswith("now")]
    assert known[:15] == wanted[:15]
    assert not any(item.startswith("now") for item in ranked[:10])


@pytest.mark.parametrize("place", [0, 1, 1500, 1999])
async def test_one_event_years_ahead_ends_nothing(client, place):
    """Six years ahead, as the first, in the middle or last: the others keep their order, and it counts as one event."""
    events = a_stream(np.random.default_rng(5), NOW)
    origin, event, _ = events[place]
    stray = [*events]
    stray[place] = (origin, Rating(event.event_id, event.user_id, "ahead", event.ts + 6 * YEAR, 4.0), ())
    state = await started(client)
    for first in range(0, len(events), 250):
        await state.apply(stray[first : first + 250])
    trends = (await state.merge_trending(2, Catalogue())).everything
    ranked = [item for item, _ in trends if item != "ahead"]
    wanted = plain_decay(events[:place] + events[place + 1 :], events[-1][1].ts)
    assert ranked[:15] == wanted[:15]
    assert dict(trends).get("ahead", 0.0) <= 1.0


def test_a_minority_of_broken_clocks_moves_nothing():
    """One event in fifty is six years ahead, all the time: own time stays event time."""
    clock = OwnTime.beginning(NOW, WEEK)
    for n in range(5000):
        ts = NOW + n * 60_000
        own = clock.take(ts + 6 * YEAR * (n % 50 == 49))
        assert n % 50 == 49 or own == ts
    assert clock.newest == NOW + 4998 * 60_000


def test_far_is_three_half_lives():
    """21 days ahead is the stream's own; a millisecond more is not, until a second such event comes."""
    assert (FAR, OLDEST) == (3, 10)
    clock = OwnTime.beginning(NOW, WEEK)
    assert [clock.take(ts) for ts in (NOW, NOW + 21 * DAY_MS)] == [NOW, NOW + 21 * DAY_MS]
    clock = OwnTime.beginning(NOW, WEEK)
    late = NOW + 21 * DAY_MS + 1
    assert [clock.take(ts) for ts in (NOW, late, late, late + 5)] == [NOW, NOW, NOW, NOW + 5]
    assert clock.take(NOW) == NOW + 5 - 21 * DAY_MS - 1 - 5


def test_nothing_is_older_than_ten_half_lives():
    """70 days and a second before the clock count as 70 days, and 30 days, which are far as well, as 30."""
    clock = OwnTime.beginning(NOW, WEEK)
    clock.take(NOW)
    assert clock.take(NOW - 70 * DAY_MS - 1000) == NOW - 70 * DAY_MS
    assert clock.take(NOW - 30 * DAY_MS) == NOW - 30 * DAY_MS


@pytest.mark.parametrize("place", [0, 1500, 1999])
async def test_one_event_ten_weeks_ahead_pushes_nothing_off_the_hot_list(client, place):
    """69 days ahead, as the first, in the middle or last: it counts as one event, and the others as if it were not."""
    events = a_stream(np.random.default_rng(6), NOW)
    origin, event, _ = events[place]
    stray = [*events]
    stray[place] = (origin, Rating(event.event_id, event.user_id, "ahead", event.ts + 69 * DAY_MS, 4.0), ())
    state = await started(client)
    for first in range(0, len(events), 250):
        await state.apply(stray[first : first + 250])
    trends = dict((await state.merge_trending(2, Catalogue())).everything)
    assert trends.pop("ahead", 0.0) <= 1.0
    await client.flushdb()
    state = await started(client)
    await state.apply(events[:place] + events[place + 1 :])
    without = dict((await state.merge_trending(2, Catalogue())).everything)
    assert list(trends)[:10] == list(without)[:10]
    assert [trends[item] / trends["i1"] for item in list(trends)[:10]] == pytest.approx(
        [without[item] / without["i1"] for item in list(without)[:10]], rel=0.01
    )


async def test_a_learner_counts_what_trends_as_the_state_does(client):
    """Of twelve events of each of three kinds ten are a newcomer's, and what each adds is as its kind weighs."""
    # a half watch adds 0.8 / 2, a rating of any stars 0.3 but the last, which is below the user's middle, a like 0.7
    kinds = KindTable.of(
        [EventKind("watch", 0.8, is_positive=True), EventKind("rate", 0.3, is_positive=True)]
        + [EventKind("like", 0.7, is_positive=True)]
        + [kind for kind in DEFAULT_KINDS.rows if kind.effect]
    )
    made = []
    for n in range(12):
        made.append((Origin("rate-events", 0, n), Rating(f"r{n}", "u", f"i{n}", NOW, 3.0 if n == 11 else 4.0)))
        made.append((Origin("watch-events", 0, n), Watch(f"w{n}", "u", f"i{n}", NOW, 0.5)))
        made.append((Origin("action-events", 0, n), Action(f"a{n}", "u", f"i{n % 5}", NOW, "like")))
    state = State(client, StateConfig(), kinds)
    await state.install()
    await state.apply([(origin, event, ()) for origin, event in made])
    trends = await state.merge_trending(1, Catalogue())
    learner = Learner(LearnerConfig(held_out_share=0.0), kinds=kinds)
    learner.observe(interactions_of((event for _, event in made), RatingTallies(), kinds))
    learnt = learner.material(Catalogue()).trends
    for ours, theirs in ((learnt.everybody, trends.everything), (learnt.newcomers, trends.newcomers)):
        highest = theirs[0][1]
        assert dict(ours.scores) == pytest.approx({item: heat / highest for item, heat in theirs})
    assert dict(trends.newcomers) == pytest.approx({f"i{n}": 0.4 + 0.3 + 2 * 0.7 * (n < 5) for n in range(10)})
