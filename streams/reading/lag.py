"""How far a consumer of aiokafka is behind, by what its latest fetches said: no question to the cluster."""

from aiokafka import AIOKafkaConsumer

from streams.reading.unreadable import position_of, states_of
from streams.records.positions import TopicPartition

__all__ = ["lag_of"]


def lag_of(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    """Return how many offsets of each partition were not handed out; one that was never fetched is left out."""
    found = {}
    for at, state in states_of(consumer):
        end, position = state.lso, position_of(state)
        if end is not None and position is not None:
            found[at.topic, at.partition] = max(0, end - position)
    return found
