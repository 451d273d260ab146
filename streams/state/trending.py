"""Trending: the forward-decayed weights of all topics and partitions, brought to one moment and merged.

Each topic of a partition adds weights in its own time and relative to a landmark of its own (``functions.lua``), so
that workers need not agree on either. Merging brings each to its own present, and decays it by how far that lies
behind the present of all. It reads 1,000 items of each and writes a few lists, so any worker may do it every few
seconds: two merges at once write the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson
from redis.asyncio import Redis

from model.catalogue import Catalogue
from model.own_time import FAR
from streams.state.calls import LIBRARY
from streams.state.keys import SOURCES, TRENDING_ALL, TRENDING_GENRES, TRENDING_NEWCOMERS, SourceKeys, genre_key

__all__ = ["DecayedWeights", "SourceHeat", "Trends", "merge", "merge_trending", "present_of"]

PRESENT_SHARE = 0.1  # of all events that are still warm; so many make a time the present
LISTS_TOGETHER = 4  # written in one round trip; each has a thousand words, which take a fraction of a millisecond
RankedItems = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class DecayedWeights:
    """Weights by item, each the sum of ``heat * 2 ** ((own time - landmark) / half_life_ms)`` over its events."""

    half_life_ms: int
    weights: Mapping[str, float]


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

    Partitions are read one after the other, and a few lists written at a time: the process that merges also answers
    events, which wait for whatever it does without a pause.

    Parameters
    ----------
    partitions : how many partitions the event topics have.
    catalogue : says which items may trend and in which genres.
    read : hottest items read of each topic of a partition.
    kept : items kept in each list.
    """
    heats = [heat for number in range(partitions) for heat in await _read(client, number, read)]
    trends = merge(heats, catalogue, kept)
    before: Any = await client.smembers(TRENDING_GENRES)
    if trends.genres:  # first, so that a list whose merge ends half-way is deleted once its genre has left
        await client.sadd(TRENDING_GENRES, *trends.genres)
    lists = [(TRENDING_ALL, trends.everything), (TRENDING_NEWCOMERS, trends.newcomers)]
    lists += [(genre_key(genre), ranked) for genre, ranked in trends.genres.items()]
    for first in range(0, len(lists), LISTS_TOGETHER):
        pipeline: Any = client.pipeline(transaction=False)
        for key, ranked in lists[first : first + LISTS_TOGETHER]:
            _replace(pipeline, key, ranked)
        await pipeline.execute()
    await _forget(client, {genre.decode() for genre in before} - set(trends.genres))
    return trends


def _merged(heats: Iterable[tuple[SourceHeat, DecayedWeights]], present: int, catalogue: Catalogue) -> RankedItems:
    by_name: dict[str, float] = {}
    for source, decayed in heats:
        ahead = source.newest_ts - present
        is_of_another_time = ahead > FAR * source.everything.half_life_ms
        age = source.landmark - source.own_ts + (0 if is_of_another_time else ahead)
        factor = 2.0 ** (age / decayed.half_life_ms)
        for name, weight in decayed.weights.items():
            by_name[name] = by_name.get(name, 0.0) + weight * factor
    total: dict[str, float] = {}
    for name, heat in by_name.items():
        item_id = catalogue.renames.first_id(name)
        if not len(catalogue) or item_id in catalogue:
            total[item_id] = total.get(item_id, 0.0) + heat
    ranked = sorted((item_id, heat) for item_id, heat in total.items() if heat > 0.0)
    return tuple(sorted(ranked, key=itemgetter(1), reverse=True))  # equal ones stay in the order of their ids


def _named(ranked: Sequence[tuple[str, float]], catalogue: Catalogue) -> RankedItems:
    if not catalogue.renames.today:
        return tuple(ranked)
    return tuple((catalogue.renames.id_of_today(item_id), heat) for item_id, heat in ranked)


async def _read(client: Redis, partition: int, read: int) -> list[SourceHeat]:
    pipeline: Any = client.pipeline(transaction=False)
    for keys in (SourceKeys.of(partition, source) for source in SOURCES):
        pipeline.execute_command("FCALL_RO", f"{LIBRARY}_read_hot", 3, keys.clock, keys.trending, keys.newcomers, read)
    return [_source(*found) for found in await pipeline.execute() if found[0][0] is not None]


def _source(clock: Sequence[bytes], everything: list[bytes], newcomers: list[bytes]) -> SourceHeat:
    newest_ts, own_ts, warm, _, _, landmark, half_life, newcomers_half_life = map(float, clock)
    return SourceHeat(
        int(newest_ts),
        int(own_ts),
        warm,
        int(landmark),
        DecayedWeights(int(half_life), _weights(everything)),
        DecayedWeights(int(newcomers_half_life), _weights(newcomers)),
    )


def _weights(flat: list[bytes]) -> dict[str, float]:
    """Read what ``ZRANGE`` said, as JSON: that takes an eighth of what ``float`` takes, for thousands of numbers."""
    return dict(zip(map(bytes.decode, flat[::2]), orjson.loads(b"[%b]" % b",".join(flat[1::2])), strict=True))


def _replace(pipeline: Any, key: str, ranked: RankedItems) -> None:
    heats = orjson.dumps([heat for _, heat in ranked])[1:-1].split(b",")  # as repr, which takes twenty times as long
    flat = [part for heat, (item_id, _) in zip(heats, ranked, strict=False) for part in (heat, item_id)]
    pipeline.execute_command("FCALL", f"{LIBRARY}_replace_zset", 1, key, *flat)


async def _forget(client: Redis, genres: set[str]) -> None:
    if not genres:
        return
    pipeline: Any = client.pipeline(transaction=False)
    for genre in genres:
        pipeline.delete(genre_key(genre))
    pipeline.srem(TRENDING_GENRES, *genres)
    await pipeline.execute()
