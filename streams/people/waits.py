"""What an open forgetting waits for: that every event from before it is applied."""

import logging
import time
from collections.abc import Callable, Mapping

from streams.records.positions import TopicPartition

__all__ = ["EarlierEvents"]

TELL_S = 60.0
logger = logging.getLogger(__name__)


class EarlierEvents:
    """The events that lay on the topics when a request was first seen; says once a minute that they keep it waiting.

    Parameters
    ----------
    request_id : of the request.
    ends : the offset after the last of them in each partition.
    clock : seconds.
    """

    def __init__(
        self, request_id: str, ends: dict[TopicPartition, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._request_id = request_id
        self._clock = clock
        self._told_at = clock()  # or first seen
        self.ends = ends

    def are_applied(self, reached: Mapping[TopicPartition, int]) -> bool:
        """Return whether all of them are, where every partition has been applied up to these offsets."""
        behind = next((at for at, end in self.ends.items() if reached[at] < end), None)
        if behind is not None and self._clock() >= self._told_at + TELL_S:
            self._told_at = self._clock()
            logger.warning(
                "forget.waiting request %s: %s/%s is to be applied up to %s, got %s; a transaction that is open, "
                "or a partition that no worker has or has caught up in, holds it up",
                *(self._request_id, *behind, self.ends[behind], reached[behind]),
            )
        return behind is None
