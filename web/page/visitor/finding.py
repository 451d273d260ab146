"""Finding an item by its title, however it is spelt, to rate, watch or hide it."""

from collections.abc import Mapping, Sequence
from typing import Any

from web.gateway.gateway import Gateway
from web.page.cards import Actions, ItemCard
from web.page.elements import describe, tag, text_input
from web.page.looking import in_words
from web.page.rights import Rights

__all__ = ["Finding"]

N_FOUND = 6
MIN_TYPED = 2  # letters
THROTTLE_S = 0.2


class Finding:
    """A search field with what was found below it.

    Parameters
    ----------
    gateway : knows the catalogue.
    rights : of whoever looks.
    actions : what can be done with what was found.
    """

    def __init__(self, gateway: Gateway, rights: Rights, actions: Actions) -> None:
        self._gateway = gateway
        self._rights = rights
        self._actions = actions
        self._asked = 0
        with tag("section", classes="panel", role="search") as section:
            heading = tag("h2", "Find an item")
            with tag("form") as form:
                text_input(
                    "Title", self._find, throttle_s=THROTTLE_S, type="search", name="title", placeholder="any spelling"
                )
            form.on("submit", js_handler="(event) => event.preventDefault()")
            self._said = tag("p", "Rate what you know, and your list follows.", "small muted", role="status")
            self._found = tag("ul", classes="cards")
        describe(section, aria_labelledby=heading.html_id)

    async def _find(self, text: str) -> None:
        """Show what is called so; an answer that another overtook is dropped."""
        self._asked += 1
        asked = self._asked
        if len(text.strip()) < MIN_TYPED:
            self._show([], "Rate what you know, and your list follows.")
            return
        try:
            self._rights.require("read")
            found = await self._gateway.search(text.strip(), N_FOUND)
        except Exception as error:  # noqa: BLE001 - told
            self._show([], f"The search did not answer: {in_words(error)}")
            return
        if asked == self._asked:
            n = len(found)
            self._show(found, f"{n} found" if n else f"Nothing is called “{text.strip()}”. Another spelling may help.")

    def _show(self, rows: Sequence[Mapping[str, Any]], said: str) -> None:
        self._said.set_text(said)
        self._found.clear()
        with self._found:
            for row in rows:
                ItemCard(row, self._actions)
