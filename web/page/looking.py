"""What went wrong, in words for whoever looks: a page tells it and goes on, whatever it was."""

import logging
from collections.abc import Awaitable, Callable

from streams.errors import StateAway, StreamError

__all__ = ["in_words", "tried"]

_UNFORESEEN = "Something went wrong here that nobody foresaw; the log of this process says what."
logger = logging.getLogger(__name__)


async def tried(look: Callable[[], Awaitable[None]]) -> str | None:
    """Look, and return what went wrong in words; None if nothing did."""
    try:
        await look()
    except Exception as error:  # noqa: BLE001 - told, and what nobody foresaw is in the log
        return in_words(error)
    return None


def in_words(error: Exception) -> str:
    """Return what an error says to whoever looks; what nobody foresaw goes to the log."""
    if isinstance(error, StateAway):
        return "Redis does not answer."
    if isinstance(error, StreamError):
        return f"{str(error).rstrip('.')}."
    logger.error("page.failed", exc_info=error)
    return _UNFORESEEN
