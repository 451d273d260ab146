"""Trending: the partitions' forward-decayed weights, brought to one moment and merged.

Each partition adds weights relative to a landmark of its own (``functions.lua``), so that workers need not agree on
one. Merging decays each weight from its landmark to the newest event time of all partitions. It reads 1,000 items of
each partition and writes a few lists, so any worker may do it every few seconds: two merges at once write the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from model.catalogue import Catalogue
from streams.state.calls import LIBRARY
from streams.state.keys import TRENDING_ALL, TRENDING_GENRES, PartitionKeys, genre_key

__all__ = ["PartitionHeat", "Trends", "merge", "merge_trending"]

RankedItems = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class PartitionHeat:
    """A partition's hottest items, relative to its landmark.

    Parameters
    ----------
    landmark, newest_ts : event times, milliseconds.
    half_life_ms : the half-life that the weights were added with.
    weights : item and weight, sum of ``heat * 2 ** ((ts - landmark) / half_life_ms)`` over its events.
    """

    landmark: int
    newest_ts: int
    half_life_ms: int
    weights: RankedItems


@dataclass(frozen=True, slots=True)
class Trends:
    """Trending as it was merged: all items, and each genre's; hottest first, ties by item id."""

    everything: RankedItems
    genres: Mapping[str, RankedItems]


def merge(partitions: Iterable[PartitionHeat], catalogue: Catalogue, kept: int) -> Trends:
    """Merge the partitions' heat as of the newest event time.

    Items that the catalogue does not hold are left out; an empty catalogue leaves nothing out.
    """
    heats = tuple(partitions)
    now = max((heat.newest_ts for heat in heats), default=0)
    total: dict[str, float] = {}
    for heat in heats:
        factor = 2.0 ** ((heat.landmark - now) / heat.half_life_ms)
        for item_id, weight in heat.weights:
            total[item_id] = total.get(item_id, 0.0) + weight * factor
    ranked = tuple(
        sorted(
            ((item_id, heat) for item_id, heat in total.items() if not len(catalogue) or item_id in catalogue),
            key=lambda found: (-found[1], found[0]),
        )
    )
    genres: dict[str, list[tuple[str, float]]] = {genre: [] for genre in catalogue.genres()}
    for item_id, weight in ranked:
        item = catalogue.find(item_id)
        for genre in item.genres if item else ():
            genres[genre].append((item_id, weight))
    return Trends(ranked[:kept], {genre: tuple(found[:kept]) for genre, found in genres.items()})


async def merge_trending(
    client: Redis, partitions: int, catalogue: Catalogue, *, read: int = 1000, kept: int = 500
) -> Trends:
    """Read all partitions, merge them, and replace each trending list at once.

    Parameters
    ----------
    partitions : how many partitions the event topics have.
    catalogue : says which items may trend and in which genres.
    read : hottest items read of each partition.
    kept : items kept in each list.
    """
    trends = merge(await _read(client, partitions, read), catalogue, kept)
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.smembers(TRENDING_GENRES)
    _replace(pipeline, TRENDING_ALL, trends.everything)
    for genre, ranked in trends.genres.items():
        _replace(pipeline, genre_key(genre), ranked)
    if trends.genres:
        pipeline.sadd(TRENDING_GENRES, *trends.genres)
    before = await pipeline.execute()
    await _forget(client, {genre.decode() for genre in before[0]} - set(trends.genres))
    return trends


async def _read(client: Redis, partitions: int, read: int) -> list[PartitionHeat]:
    pipeline: Any = client.pipeline(transaction=False)
    for keys in map(PartitionKeys.of, range(partitions)):
        pipeline.execute_command("FCALL_RO", f"{LIBRARY}_read_hot", 2, keys.at, keys.trending, read)
    return [
        PartitionHeat(int(clock[0]), int(clock[1]), int(clock[2]), _pairs(flat))
        for clock, flat in await pipeline.execute()
        if clock[0] is not None
    ]


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
