"""Trending: the forward-decayed weights of all topics and partitions, brought to one moment and merged.

Each topic of a partition adds weights in its own time and relative to a landmark of its own (``functions.lua``), so
that workers need not agree on either. Merging brings each to its own present, and decays it by how far that lies
behind the present of all. It reads 1,000 items of each and writes a few lists, so any worker may do it every few
seconds: two merges at once write the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from model.catalogue import Catalogue
from model.own_time import FAR
from streams.state.calls import LIBRARY
from streams.state.keys import SOURCES, TRENDING_ALL, TRENDING_GENRES, TRENDING_NEWCOMERS, SourceKeys, genre_key

__all__ = ["DecayedWeights", "SourceHeat", "Trends", "merge", "merge_trending", "present_of"]

PRESENT_SHARE = 0.1  # of all events that are still warm; so many make a time the present
RankedItems = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class DecayedWeights:
    """Items and weights, each the sum of ``heat * 2 ** ((own time - landmark) / half_life_ms)`` over its events."""

    half_life_ms: int
    weights: RankedItems


@dataclass(frozen=True, slots=True)
class SourceHeat:
    """The hottest items of one topic of a partition, and its clock (``model.own_time``).

    Parameters
    ----------
    newest_ts, own_ts, warm : the newest event time, own time at it, and how many events are still warm.
    landmark : own time that the weights are relative to, milliseconds.
    everything, newcomers : of all users, and of newcomers.
    """

    newest_ts: int
    own_ts: int
    warm: float
    landmark: int
    everything: DecayedWeights
    newcomers: DecayedWeights


@dataclass(frozen=True, slots=True)
class Trends:
    """Trending as it was merged: all items, each genre's, and newcomers'; hottest first, ties by item id."""

    everything: RankedItems
    genres: Mapping[str, RankedItems]
    newcomers: RankedItems


def present_of(sources: Sequence[SourceHeat]) -> int:
    """Return the newest time that a tenth of what is warm has reached, milliseconds; 0 without sources.

    So a topic or partition that knows little but what is far ahead does not make all else old.
    """
    least = PRESENT_SHARE * sum(source.warm for source in sources)
    reached = 0.0
    for source in sorted(sources, key=lambda source: -source.newest_ts):
        reached += source.warm
        if reached >= least:
            return source.newest_ts
    return 0


def merge(sources: Iterable[SourceHeat], catalogue: Catalogue, kept: int) -> Trends:
    """Merge heat as of the present of all.

    What is behind the present is decayed by that distance, what is ahead grows by it. What is further ahead than
    ``FAR`` half-lives has a clock of another time, and counts as of now. Items that the catalogue does not hold are
    left out; an empty catalogue leaves nothing out. What an item trended with under earlier ids is its own, and it is
    named by the id that it has now.
    """
    heats = tuple(sources)
    present = present_of(heats)
    ranked = _merged([(heat, heat.everything) for heat in heats], present, catalogue)
    genres: dict[str, list[tuple[str, float]]] = {genre: [] for genre in catalogue.genres()}
    for item_id, weight in ranked:
        item = catalogue.find(item_id)
        for genre in item.genres if item else ():
            genres[genre].append((item_id, weight))
    return Trends(
        _named(ranked[:kept], catalogue),
        {genre: _named(found[:kept], catalogue) for genre, found in genres.items()},
        _named(_merged([(heat, heat.newcomers) for heat in heats], present, catalogue)[:kept], catalogue),
    )


async def merge_trending(
    client: Redis, partitions: int, catalogue: Catalogue, *, read: int = 1000, kept: int = 500
) -> Trends:
    """Read all partitions, merge them, and replace each trending list at once.

    Parameters
    ----------
    partitions : how many partitions the event topics have.
    catalogue : says which items may trend and in which genres.
    read : hottest items read of each topic of a partition.
    kept : items kept in each list.
    """
    trends = merge(await _read(client, partitions, read), catalogue, kept)
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.smembers(TRENDING_GENRES)
    _replace(pipeline, TRENDING_ALL, trends.everything)
    _replace(pipeline, TRENDING_NEWCOMERS, trends.newcomers)
    for genre, ranked in trends.genres.items():
        _replace(pipeline, genre_key(genre), ranked)
    if trends.genres:
        pipeline.sadd(TRENDING_GENRES, *trends.genres)
    before = await pipeline.execute()
    await _forget(client, {genre.decode() for genre in before[0]} - set(trends.genres))
    return trends


def _merged(heats: Iterable[tuple[SourceHeat, DecayedWeights]], present: int, catalogue: Catalogue) -> RankedItems:
    total: dict[str, float] = {}
    for source, decayed in heats:
        ahead = source.newest_ts - present
        is_of_another_time = ahead > FAR * source.everything.half_life_ms
        age = source.landmark - source.own_ts + (0 if is_of_another_time else ahead)
        factor = 2.0 ** (age / decayed.half_life_ms)
        for name, weight in decayed.weights:
            item_id = catalogue.renames.first_id(name)
            if not len(catalogue) or item_id in catalogue:
                total[item_id] = total.get(item_id, 0.0) + weight * factor
    warm = ((item_id, heat) for item_id, heat in total.items() if heat > 0.0)
    return tuple(sorted(warm, key=lambda found: (-found[1], found[0])))


def _named(ranked: Sequence[tuple[str, float]], catalogue: Catalogue) -> RankedItems:
    return tuple((catalogue.renames.id_of_today(item_id), heat) for item_id, heat in ranked)


async def _read(client: Redis, partitions: int, read: int) -> list[SourceHeat]:
    pipeline: Any = client.pipeline(transaction=False)
    for partition in range(partitions):
        for keys in (SourceKeys.of(partition, source) for source in SOURCES):
            pipeline.execute_command(
                "FCALL_RO", f"{LIBRARY}_read_hot", 3, keys.clock, keys.trending, keys.newcomers, read
            )
    return [_source(*found) for found in await pipeline.execute() if found[0][0] is not None]


def _source(clock: Sequence[bytes], everything: list[bytes], newcomers: list[bytes]) -> SourceHeat:
    newest_ts, own_ts, warm, _, _, landmark, half_life, newcomers_half_life = map(float, clock)
    return SourceHeat(
        int(newest_ts),
        int(own_ts),
        warm,
        int(landmark),
        DecayedWeights(int(half_life), _pairs(everything)),
        DecayedWeights(int(newcomers_half_life), _pairs(newcomers)),
    )


def _pairs(flat: list[bytes]) -> RankedItems:
    return tuple((item_id.decode(), float(weight)) for item_id, weight in zip(flat[::2], flat[1::2], strict=True))


def _replace(pipeline: Any, key: str, ranked: RankedItems) -> None:
    flat = [part for item_id, heat in ranked for part in (repr(heat), item_id)]
    pipeline.execute_command("FCALL", f"{LIBRARY}_replace_zset", 1, key, *flat)


async def _forget(client: Redis, genres: set[str]) -> None:
    if not genres:
        return
    pipeline: Any = client.pipeline(transaction=False)
    for genre in genres:
        pipeline.delete(genre_key(genre))
    pipeline.srem(TRENDING_GENRES, *genres)
    await pipeline.execute()
