"""A Faust agent as tutorials write it: event by event, each step awaited, Faust's own defaults."""

import tempfile
from typing import Any

import faust

from benchmarks.flow.lanes.recommending import Recommending
from streams.kafka.topics import RATES, RECOMMENDATIONS
from streams.records.decoding import RawRecord
from streams.records.records import Origin
from streams.settings import Settings

SETTINGS = Settings.from_environment()
app = faust.App(
    f"{SETTINGS.prefix}tutorial",
    broker=f"kafka://{SETTINGS.kafka}",
    topic_partitions=SETTINGS.partitions,
    web_enabled=False,
    datadir=tempfile.mkdtemp(),
)
ratings = app.topic(SETTINGS.prefix + RATES, value_type=bytes, value_serializer="raw")
lists = app.topic(SETTINGS.prefix + RECOMMENDATIONS, value_type=bytes, value_serializer="raw", key_serializer="raw")
made: dict[str, Recommending] = {}


@app.agent(ratings)  # type: ignore[untyped-decorator]  # Faust ships no types
async def recommend(stream: Any) -> None:
    """Answer each rating with a list."""
    if not made:
        made["it"] = await Recommending.prepared(SETTINGS, has_model=True)
    async for event in stream.events():
        message = event.message
        origin = Origin(message.topic, message.partition, message.offset, round(message.timestamp * 1000))
        applied = await made["it"].applied([RawRecord(origin, message.key, message.value)])
        for one in await made["it"].lists(applied):
            await lists.send(key=one.user_id.encode(), value=one.body)
            await made["it"].state.store_lists([one])


if __name__ == "__main__":
    faust.Worker(app, loglevel="warning").execute_from_commandline()
