"""What a visitor does with items becomes events on Kafka, and is said to have been sent."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from web.gateway.gateway import Gateway
from web.page.frame import Announcer
from web.page.looking import in_words
from web.page.rights import Rights

__all__ = ["Acting", "new_visitor"]

VISITOR = "visitor-"


def new_visitor() -> str:
    """Return the id of somebody who was not here before."""
    return VISITOR + uuid4().hex[:8]


class Acting:
    """Sends events of one visitor, who may begin with the first.

    Parameters
    ----------
    gateway : takes events.
    announcer : says what became of them.
    rights : of whoever acts.
    who : returns the visitor's id, and makes one where there is none.
    rec_id : returns the list that led to an event, if any.
    """

    def __init__(
        self,
        gateway: Gateway,
        announcer: Announcer,
        rights: Rights,
        who: Callable[[], str],
        rec_id: Callable[[str], str | None],
    ) -> None:
        self._gateway = gateway
        self._rights = rights
        self._announcer = announcer
        self._who = who
        self._rec_id = rec_id

    async def rate(self, item_id: str, stars: int) -> bool:
        """Rate an item with 1 to 5 stars; return whether the rating was taken."""
        return await self._send(item_id, "Rating sent", kind="rate", rating=stars)

    async def watch(self, item_id: str) -> None:
        """Say that an item was watched to its end."""
        await self._send(item_id, "Watch sent", kind="watch", progress=1.0)

    async def hide(self, item_id: str) -> None:
        """Keep an item out of the visitor's lists; that can be taken back."""
        if await self._send(item_id, None, kind="hide"):

            async def undo() -> None:
                await self._send(item_id, "It may be listed again", kind="unhide")

            self._announcer.show("Hidden; it will not be listed again.", undo=undo)

    async def _send(self, item_id: str, done: str | None, **fields: Any) -> bool:
        try:
            self._rights.require("write")
            event = {
                "event_id": f"page-{uuid4().hex}",
                "user_id": self._who(),
                "item_id": item_id,
                "ts": time.time_ns() // 1_000_000,
                "rec_id": self._rec_id(item_id),
                **fields,
            }
            [result] = await self._gateway.send_events([event])
        except Exception as error:  # noqa: BLE001 - told
            self._announcer.show(f"Not sent: {in_words(error)}", is_error=True)
            return False
        if result.status == "refused":
            self._announcer.show(f"Not taken: {result.detail}", is_error=True)
            return False
        if done is not None:
            self._announcer.say(done)
        return True
