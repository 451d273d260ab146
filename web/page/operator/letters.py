"""Dead letters by cause, and sending those of a cause back as they are, asked twice."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from web.page.elements import button, tag
from web.page.operator.deciding import DecidingPart

__all__ = ["Letters"]


class Letters(DecidingPart):
    """What was refused."""

    title = "Dead letters"

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
        async def replay() -> str:
            done = await self._gateway.letters.replay(cause)
            return (
                f"{done['sent']:,} sent, {done['replayed_before']:,} were sent before, "
                f"{done['refused']:,} still break their contract."
            )

        text = "What has become right, such as an event on an item that was missing, is sent once; the rest stays here."
        self._decide(f"Replay letters of {cause}?", text, "Replay", "Not replayed", replay)
