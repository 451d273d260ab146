"""The same job on quixstreams: its ``StreamingDataFrame`` calls a function for each event.

Its dependencies exclude versions that ours require, so it needs an environment of its own; ``pipeline --quix`` names
that environment's Python.
"""

import asyncio
import tempfile
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]  # an environment of its own
from quixstreams.context import message_context  # type: ignore[import-not-found]

from benchmarks.flow.lanes.recommending import Recommending
from streams.kafka.topics import RATES, RECOMMENDATIONS
from streams.records.decoding import RawRecord
from streams.records.records import Origin
from streams.settings import Settings


def run(settings: Settings) -> None:
    """Work until killed."""
    loop = asyncio.new_event_loop()
    recommending = loop.run_until_complete(Recommending.prepared(settings, has_model=True))
    app = Application(
        broker_address=settings.kafka,
        consumer_group=f"{settings.prefix}quix",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        state_dir=tempfile.mkdtemp(),
        loglevel="WARNING",
    )
    ratings = app.topic(settings.prefix + RATES, value_deserializer="bytes", key_deserializer="bytes")
    lists = app.topic(settings.prefix + RECOMMENDATIONS, value_serializer="bytes", key_serializer="bytes")

    async def answer(value: bytes, key: bytes, origin: Origin) -> list[bytes]:
        applied = await recommending.applied([RawRecord(origin, key, value)])
        made = await recommending.lists(applied)
        await recommending.state.store_lists(made)
        return [one.body for one in made]

    def apply(value: bytes, key: bytes, timestamp: int, _: Any) -> list[bytes]:
        at = message_context()
        return loop.run_until_complete(answer(value, key, Origin(at.topic, at.partition, at.offset, timestamp)))

    app.dataframe(ratings).apply(apply, expand=True, metadata=True).to_topic(lists)
    app.run()


if __name__ == "__main__":
    run(Settings.from_environment())
