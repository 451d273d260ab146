"""Announcing what the trainer decides, by a producer of its own: there is something to say every few seconds."""

from typing import Any

from agents.retry import Retry
from streams.kafka import topics
from streams.kafka.clients import producer
from streams.kafka.kafka_errors import answer_required, cluster_required
from streams.kafka.model_versions import key_of
from streams.records.codec import encode
from streams.records.records import ModelVersion
from streams.settings import Settings
from streams.state.store import State

__all__ = ["Announcer"]


class Announcer:
    """Puts decisions on ``model-versions``.

    Parameters
    ----------
    settings : where the cluster is.
    state : Redis, where what is not about the pointer is put into the history.
    retry : waits for both.
    """

    def __init__(self, settings: Settings, state: State, retry: Retry) -> None:
        self._state = state
        self._settings = settings
        self._retry = retry
        self._topic = settings.prefix + topics.MODEL_VERSIONS
        self._producer: Any = None

    async def start(self) -> None:
        """Connect; raise TopicError if there is no cluster."""
        with cluster_required("trainer", self._settings):
            self._producer = producer(self._settings)
            await self._producer.start()

    async def stop(self) -> None:
        """Disconnect, also where ``start`` never came to it."""
        if self._producer is not None:
            await self._producer.stop()

    async def announce(self, decided: ModelVersion) -> None:
        """Put a decision into the history and announce it, however long that takes; the topic keeps the latest."""
        await self._retry.until_available(self._state.note_decision, decided)
        await self._retry.until_available(self.send, decided)

    async def send(self, decided: ModelVersion) -> None:
        """Announce a decision.

        Raises
        ------
        ClusterAway
            If Kafka cannot take it for now.
        TopicError
            If waiting cures nothing.
        """
        with answer_required(f"trainer: {self._topic} must take an announcement"):
            await self._producer.send_and_wait(self._topic, encode(decided), key=key_of(decided))
