"""Bearer tokens as each Kafka client asks for them; apart from ``tokens``, so that settings load no client."""

import asyncio

from aiokafka.abc import AbstractTokenProvider as AsyncProvider
from kafka.net.sasl.oauth import AbstractTokenProvider as BlockingProvider

from streams.tokens import TokenSource

__all__ = ["AsyncTokens", "BlockingTokens"]


class BlockingTokens(BlockingProvider):  # type: ignore[misc]  # kafka-python ships no types
    """The tokens of a source as kafka-python asks for them."""

    def __init__(self, source: TokenSource) -> None:
        super().__init__()
        self._source = source

    def token(self) -> str:
        """Return a token; called in the client's thread."""
        return self._source.get_or_log()


class AsyncTokens(AsyncProvider):  # type: ignore[misc]  # aiokafka ships no types
    """The tokens of a source as aiokafka, and with it Faust, asks for them."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def token(self) -> str:
        """Return a token; an issuer is waited for in a thread."""
        return await asyncio.to_thread(self._source.get_or_log)
