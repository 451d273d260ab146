"""What was decided of model versions, and when, by whom and why, as plain values."""

from dataclasses import asdict
from typing import Any

from redis import Redis

from streams.state.pointer import find_decisions

__all__ = ["history_of"]


def history_of(client: Redis, n: int = 20, *, moves_only: bool = False) -> list[dict[str, Any]]:
    """Return the latest n decisions, newest first, with the fields of ``model-versions``.

    Parameters
    ----------
    client : of Redis.
    n : how many.
    moves_only : whether to leave out rounds that changed nothing.
    """
    return [asdict(one) for one in find_decisions(client, n, moves_only=moves_only)]
