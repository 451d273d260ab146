"""Dead letters by cause, and sending those of a cause back as they are, asked twice."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from web.gateway.gateway import Gateway
from web.page.confirming import Confirmation
from web.page.elements import button, tag
from web.page.frame import Announcer
from web.page.looking import in_words
from web.page.operator.figures import panel
from web.page.rights import Rights

__all__ = ["Letters"]


class Letters:
    """A part with what was refused.

    Parameters
    ----------
    gateway : reaches Kafka.
    rights : of whoever looks.
    announcer : says what became of a replay.
    confirmation : asks before.
    """

    def __init__(self, gateway: Gateway, rights: Rights, announcer: Announcer, confirmation: Confirmation) -> None:
        self._gateway = gateway
        self._rights = rights
        self._announcer = announcer
        self._confirmation = confirmation
        self._told: Any = None
        _, self._body = panel("Dead letters")

    async def look(self) -> None:
        """Count them, and show that; raises StreamError where Kafka does not answer."""
        self._rights.require("read")
        found = await self._gateway.letters.count()
        if found == self._told:
            return
        self._told = found
        self._body.clear()
        with self._body:
            self._show(found)

    def _show(self, found: Mapping[str, Any]) -> None:
        if not found["letters"]:
            with tag("div", classes="empty"):
                tag("p", "None: every record so far kept its contract.")
            return
        tag("p", f"Refused so far: {found['letters']:,}; of these sent again: {found['replayed']:,}.")
        with tag("ul", classes="rows"):
            for cause, n in found["causes"].items():
                with tag("li"):
                    tag("span", f"{cause.replace('_', ' ')}: {n:,}", "what")
                    button("Replay", partial(self._ask, cause), label=f"Replay letters of {cause}")
        with tag("details"):
            tag("summary", "The newest")
            with tag("ul", classes="rows small"):
                for one in found["newest"]:
                    with tag("li"):
                        tag("span", f"{one['topic']}, {one['cause']}", "what")
                        tag("span", one["reason"], "muted what")

    def _ask(self, cause: str) -> None:
        async def replay() -> None:
            try:
                self._rights.require("operate")
                done = await self._gateway.letters.replay(cause)
            except Exception as error:  # noqa: BLE001 - told
                self._announcer.show(f"Not replayed: {in_words(error)}", is_error=True)
                return
            self._announcer.show(
                f"{done['sent']:,} sent, {done['replayed_before']:,} were sent before, "
                f"{done['refused']:,} still break their contract."
            )
            await self.look()

        text = "What has become right, such as an event on an item that was missing, is sent once; the rest stays here."
        self._confirmation.ask(f"Replay letters of {cause}?", text, "Replay", replay)
