"""What is known of new items: the events that touched them, and what came of showing them.

Touches are the partitions' item counters. Showings are counted by the scorekeeper, within the figures under
``quality:live``; without one nothing was shown, and new items are drawn alike.
"""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from model.metrics.exposure import ExposureTally
from model.ranking.exposure import ExposureEvidence
from streams.state.keys import QUALITY, PartitionKeys
from streams.state.quality import restored

__all__ = ["read_exposure"]

NOTHING_SHOWN = ExposureTally(1).describe()


async def read_exposure(client: Redis, partitions: int, item_ids: Sequence[str]) -> ExposureEvidence:
    """Return what is known of these items.

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
    pipeline: Any = client.pipeline(transaction=False)
    for keys in map(PartitionKeys.of, range(partitions)):
        pipeline.hmget(keys.watches, item_ids)
        pipeline.hmget(keys.ratings, item_ids)
        pipeline.hmget(keys.actions, item_ids)
    pipeline.get(QUALITY)
    *counters, quality = await pipeline.execute()
    touches = [sum(map(int, filter(None, counts))) for counts in zip(*counters, strict=True)]
    tally = NOTHING_SHOWN if quality is None else restored(quality).figures["exposure"]
    return ExposureEvidence.of(dict(zip(item_ids, touches, strict=True)), tally)
