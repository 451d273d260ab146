"""The visitor's list, which changes by itself: as it was stored, and each new one as it is published."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from web.page.cards import Actions, ItemCard, focus
from web.page.elements import Tag, button, describe, tag
from web.page.frame import Announcer
from web.page.words import TIERS, mode_words, title_of

__all__ = ["LiveList"]

GHOSTS = 5  # as many as fit a screen


class LiveList:
    """A list of cards under a heading, with the mode it was made in and what changed.

    Parameters
    ----------
    actions : what the cards do.
    announcer : says aloud that the list has changed.
    heading : above the list.
    """

    def __init__(self, actions: Actions | None, announcer: Announcer, heading: str) -> None:
        self._actions = actions
        self._announcer = announcer
        self._cards: dict[str, ItemCard] = {}
        self._sequence, self._published_ms = -1, -1
        self._told: Any = None  # what stands in the place of a list
        self.rec_id: str | None = None
        with tag("section", classes="panel") as self.section:
            with tag("div", classes="head") as self._head:
                self._heading = tag("h2", heading, tabindex="-1")
                self._badge = tag("span", "", "badge", data_mode="")
            self._made = tag("p", "", "muted small")
            self._unfilled = tag("ul", classes="small muted")
            self._empty = tag("div", classes="empty", hidden=True)
            self._cards_at = tag("ol", classes="cards", aria_busy="true")
            with self._cards_at:
                for _ in range(GHOSTS):
                    tag("li", classes="ghost", aria_hidden="true")
        describe(self.section, aria_labelledby=self._heading.html_id)

    @property
    def heading(self) -> Tag:
        """Where the keyboard goes when the list was asked for."""
        return self._heading

    @property
    def sequence(self) -> int:
        """How many of the user's events the list shown has seen, -1 before the first."""
        return self._sequence

    def cards(self) -> Mapping[str, ItemCard]:
        """Return the cards that are shown, by item."""
        return self._cards

    def call(self, heading: str) -> None:
        """Give the list another heading."""
        self._heading.set_text(heading)

    def show(self, record: Mapping[str, Any], *, is_stored: bool = False) -> None:
        """Show a published list with its titles, unless a newer one is shown.

        Where the state was emptied the events of a user are counted anew: the list that is stored, and was published
        later, is the newer one, whatever its sequence.
        """
        is_counted_anew = is_stored and record["published_ts"] > self._published_ms
        if record["rec_id"] == self.rec_id or (record["sequence"] < self._sequence and not is_counted_anew):
            return
        is_first = not self._cards
        self._sequence, self.rec_id, self._told = record["sequence"], record["rec_id"], None
        self._published_ms = record["published_ts"]
        mode, colour = mode_words(record["mode"])
        self._say_mode(mode, colour, record["mode"])
        tier = TIERS.get(record["tier"] or "", "")
        version = f" by version {record['model_version']}" if record["model_version"] else ""
        at = time.strftime("%H:%M:%S", time.localtime(record["published_ts"] / 1000))
        self._made.set_text(f"{tier[:1].upper()}{tier[1:]}{version}, at {at}")
        self._unfilled.clear()
        with self._unfilled:
            for sentence in record["unfilled"]:
                tag("li", sentence[:1].upper() + sentence[1:])
        n_new = self._replace(record["items"])
        if not is_first:
            begins = f", first is {title_of(record['items'][0])}" if record["items"] else ""
            self._announcer.say(f"The list has changed: {n_new} new{begins}. {mode}.")

    def show_trending(self, rows: Sequence[Mapping[str, Any]], why: str) -> None:
        """Show what trends, unless a list of the user's own is shown; nothing is touched while it stays the same."""
        if self.rec_id is not None or self._told == (rows, why):
            return
        self._told = rows, why
        self._say_mode("Trending", "", "trending")
        self._made.set_text(why)
        self._replace(rows)

    def show_nothing(self, *lines: str, code: str | None = None) -> None:
        """Say why there is nothing to show, unless there is, and how that changes."""
        if self.rec_id is not None or self._told == (lines, code):
            return
        self._told = lines, code
        self._clear()
        self._empty.clear()
        with self._empty:
            for line in lines:
                tag("p", line)
            if code is not None:
                tag("code", code)
        self._empty.props.pop("hidden", None)

    def on_close(self, close: Callable[[], None]) -> None:
        """Let the list be put away."""
        with self._head:
            button("Put away", close)

    def age(self, *, is_stale: bool) -> None:
        """Dim the list while nobody knows whether it is still the newest."""
        self.section.classes(add="stale" if is_stale else "", remove="" if is_stale else "stale")

    def _say_mode(self, words: str, colour: str, mode: str) -> None:
        self._badge.set_text(words)
        self._badge.classes(replace=f"badge {colour}")
        describe(self._badge, data_mode=mode)

    def _clear(self) -> None:
        self._cards_at.clear()
        self._cards = {}
        describe(self._cards_at, aria_busy=None)

    def _replace(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Show these items; cards that stay are moved, so that the keyboard's place stays with them."""
        is_first = not self._cards
        if is_first:
            self._clear()
        self._empty.props["hidden"] = True
        before = {item_id: at for at, item_id in enumerate(self._cards)}
        wanted = [row["item_id"] for row in rows]
        for item_id in before.keys() - set(wanted):
            self._cards.pop(item_id).element.delete()
        cards = {}
        for place, row in enumerate(rows):
            item_id = row["item_id"]
            card = self._cards.get(item_id)
            is_new = card is None and not is_first
            if card is None:
                with self._cards_at:
                    card = ItemCard(row, self._actions)
            moved = before[item_id] - place if item_id in before else None
            card.show(row, moved, is_new=is_new)
            card.element.move(self._cards_at, place)
            cards[item_id] = card
        self._cards = cards
        if before and before.keys() - set(wanted):
            focus(self._heading)
        return len(set(wanted) - before.keys())
