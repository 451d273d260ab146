import pytest

from model.catalogue import Catalogue, Item
from streams.records.records import Origin, Watch
from streams.state.store import State, StateConfig
from streams.state.trending import PartitionHeat, merge

FILMS = Catalogue.of([Item("a", "A", 1990, ("Drama",)), Item("b", "B", 1991, ("Drama", "War")), Item("c", "C")])


async def started(client, **config):
    """Return an installed state with this configuration."""
    state = State(client, StateConfig(**config))
    await state.install()
    return state


def watch(offset, item, ts, progress=1.0, partition=0):
    """Return a watch of ``u`` with its origin, of an item without genres."""
    return Origin("watch-events", partition, offset), Watch(f"{partition}-{offset}", "u", item, ts, progress), ()


def test_merging_brings_every_partition_to_the_newest_time():
    """With a half-life of 10: landmark 0 is 2 half-lives before 20, landmark 20 none; both weigh as of 20."""
    early = PartitionHeat(0, 10, 10, (("a", 8.0), ("b", 2.0)))
    late = PartitionHeat(20, 20, 10, (("a", 1.0),))
    trends = merge([early, late], Catalogue(), kept=5)
    assert trends.everything == (("a", 3.0), ("b", 0.5))  # 8 / 4 + 1 and 2 / 4


def test_ties_go_to_the_lower_id_and_lists_end_at_their_bound():
    """Three items of equal heat: two are kept, by id."""
    assert merge([PartitionHeat(0, 0, 10, (("c", 1.0), ("b", 1.0), ("a", 1.0)))], Catalogue(), 2).everything == (
        ("a", 1.0),
        ("b", 1.0),
    )


def test_only_the_catalogue_trends_and_each_genre_has_its_list():
    """An item that left the catalogue is not listed; an item stands under each of its genres."""
    heat = PartitionHeat(0, 0, 10, (("gone", 9.0), ("a", 1.0), ("b", 2.0), ("c", 3.0)))
    trends = merge([heat], FILMS, kept=5)
    assert trends.everything == (("c", 3.0), ("b", 2.0), ("a", 1.0))
    assert trends.genres == {"Drama": (("b", 2.0), ("a", 1.0)), "War": (("b", 2.0),)}


def test_nothing_is_merged_from_nothing():
    """Without any event all lists are empty, those of the genres too."""
    assert merge([], FILMS, kept=5).genres == {"Drama": (), "War": ()}


async def test_trending_is_written_as_merged(client):
    """hot:all, each genre's list and the set of genres hold what merging returned."""
    state = await started(client, trending_half_life_ms=1000)
    await state.apply([watch(0, "a", 1000), watch(0, "b", 2000, 0.75, partition=1)])
    trends = await state.merge_trending(2, FILMS)
    assert trends.everything == (("b", 0.875), ("a", 0.5))  # b: 0.5 + 0.75 / 2; a: 1, one half-life old
    assert await state.trending(9) == trends.everything
    assert await state.trending(1) == (("b", 0.875),)
    assert await client.zrange("hot:genre:War", 0, -1) == [b"b"]
    assert await client.smembers("hot:genres") == {b"Drama", b"War"}


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
    """After 299 half-lives the landmark moves: the newest weighs 1, one half-life older half, the first is gone."""
    state = await started(client, trending_half_life_ms=1000)
    await state.apply([watch(0, "a", 1000)])
    await state.apply([watch(1, "b", 300_000)])
    await state.apply([watch(2, "c", 301_000)])
    trends = await state.merge_trending(1, Catalogue())
    assert dict(trends.everything) == pytest.approx({"c": 1.0, "b": 0.5})
    assert int(await client.hget("items:{p0}:at", "landmark")) == 300_000


async def test_another_half_life_goes_on_from_what_was_hot(client):
    """After 1,000 ms at half-life 1,000 a weighs 1/2; a further 1,000 at half-life 500 make it 1/8."""
    await (await started(client, trending_half_life_ms=1000)).apply([watch(0, "a", 1000), watch(1, "b", 2000)])
    state = await started(client, trending_half_life_ms=500)
    await state.apply([watch(2, "c", 3000)])
    trends = await state.merge_trending(1, Catalogue())
    assert dict(trends.everything) == pytest.approx({"c": 1.0, "b": 0.25, "a": 0.125})
