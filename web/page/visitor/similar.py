"""What is similar to an item, in a dialog: by what it is, by what people do, or by both."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from web.gateway.gateway import Gateway
from web.page.cards import ItemCard
from web.page.elements import Tag, button, describe, tag
from web.page.looking import in_words
from web.page.rights import Rights
from web.page.words import title_of

__all__ = ["SimilarDialog"]

KINDS = {"both": "By both", "content": "By what it is", "behaviour": "By what people do"}


class SimilarDialog:
    """A dialog that is opened for one item at a time.

    Parameters
    ----------
    gateway : knows what is similar.
    rights : of whoever looks.
    """

    def __init__(self, gateway: Gateway, rights: Rights) -> None:
        self._gateway = gateway
        self._rights = rights
        self._found: Mapping[str, Any] | None = None
        self._asked = 0
        with tag("dialog") as self._dialog, tag("div", classes="inner"):
            with tag("div", classes="head"):
                self._heading = tag("h2", "Similar items")
                button("Close", self._close)
            with tag("div", classes="chips", role="group", aria_label="Similar how"):
                self._kinds: dict[str, Tag] = {
                    kind: button(text, partial(self._show, kind), "chip") for kind, text in KINDS.items()
                }
            self._said = tag("p", "", "small muted", role="status")
            self._list = tag("ol", classes="cards")
        describe(self._dialog, aria_labelledby=self._heading.html_id)

    async def open(self, item_id: str) -> None:
        """Show what is similar to an item; an answer that another question overtook is dropped."""
        self._asked += 1
        asked = self._asked
        self._found = None
        self._heading.set_text("Similar items")
        self._list.clear()
        self._said.set_text("Looking it up")
        self._dialog.run_method("showModal")
        try:
            self._rights.require("read")
            found = await self._gateway.similar(item_id)
        except Exception as error:  # noqa: BLE001 - told
            if asked == self._asked:
                self._said.set_text(f"Similar items cannot be looked up: {in_words(error)}")
            return
        if asked != self._asked:
            return
        self._found = found
        self._heading.set_text(f"Similar to {title_of(self._found['item'] if self._found else {'item_id': item_id})}")
        self._show("both")

    def _show(self, kind: str) -> None:
        for name, chip in self._kinds.items():
            describe(chip, aria_pressed="true" if name == kind else "false")
        similar = self._found[kind] if self._found else []
        nothing = "Nothing is known to be similar by this yet." if self._found else "The catalogue does not hold it."
        self._said.set_text(f"{len(similar)} items, the most similar first" if similar else nothing)
        self._list.clear()
        with self._list:
            for row in similar:
                ItemCard(row, None, note=f"{row['score']:.0%} alike")

    def _close(self) -> None:
        self._dialog.run_method("close")
