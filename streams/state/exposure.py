"""What is known of new items, and which of them lists may show.

Touches are the partitions' item counters. Showings are counted by the scorekeeper, within the figures under
``quality:live``; without one nothing was shown, and new items are drawn alike. One worker looks at all of this, and
writes the few items that it finds for all others.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from redis.asyncio import Redis

from model.metrics.exposure import ExposureTally
from model.ranking.exposure import ExposureEvidence, NewItem
from streams.errors import StateError
from streams.records.codec import encode
from streams.state.keys import NEW_ITEMS, QUALITY, PartitionKeys
from streams.state.quality import restored

__all__ = ["read_exposure", "read_new_items", "write_new_items"]

NOTHING_SHOWN = ExposureTally(1).describe()
KEPT_S = 60  # much longer than two looks are apart, so it expires only where nobody looks any more


async def read_exposure(client: Redis, partitions: int, item_ids: Sequence[str]) -> ExposureEvidence:
    """Return what is known of these items.

    Partitions are read one after the other, so that neither Redis nor this process stands still for all of them.

    Parameters
    ----------
    client : of the state.
    partitions : how many partitions the event topics have.
    item_ids : at least one.

    Raises
    ------
    StateError
        If the figures are not a scorekeeper's.
    """
    touches = [0] * len(item_ids)
    for keys in map(PartitionKeys.of, range(partitions)):
        pipeline: Any = client.pipeline(transaction=False)
        for counters in (keys.watches, keys.ratings, keys.actions):
            pipeline.hmget(counters, item_ids)
        for counts in await pipeline.execute():
            touches = [before + int(count or 0) for before, count in zip(touches, counts, strict=True)]
    quality: Any = await client.get(QUALITY)
    tally = NOTHING_SHOWN if quality is None else restored(quality).figures["exposure"]
    return ExposureEvidence.of(dict(zip(item_ids, touches, strict=True)), tally)


async def write_new_items(client: Redis, new: Iterable[NewItem]) -> None:
    """Write the new items that lists may show; they are gone after ``KEPT_S`` unless they are written again."""
    await client.set(NEW_ITEMS, encode(list(new)), ex=KEPT_S)


async def read_new_items(client: Redis) -> tuple[NewItem, ...]:
    """Return the new items that lists may show; none where nobody has looked lately.

    Raises
    ------
    StateError
        If what is there was not written by ``write_new_items``.
    """
    found: Any = await client.get(NEW_ITEMS)
    try:
        return () if found is None else tuple(map(_new_item, orjson.loads(found)))
    except (ValueError, TypeError) as error:
        raise StateError(
            f"state: new items are required under {NEW_ITEMS}, got {found[:80]!r} ({error}); delete that key, and the "
            "worker that leads writes it anew"
        ) from error


def _new_item(described: Any) -> NewItem:
    match described:
        case {"item_id": str(item_id), "mean": float(mean), "bound": float(bound)} if bound > 0.0:
            return NewItem(item_id, mean, bound)
    raise ValueError(f"an item_id, a mean and a positive bound are required, got {described!r}")
