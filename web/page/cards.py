"""One item as a card: what it is, why it is listed, and what one can do with it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from web.page.elements import Tag, button, describe, tag
from web.page.words import STARS, badge_of, meta, title_of

__all__ = ["Actions", "ItemCard", "focus"]


@dataclass(frozen=True, slots=True)
class Actions:
    """What a visitor can do with an item; each is called with its id. ``rate`` tells whether the rating was taken."""

    rate: Callable[[str, int], Awaitable[bool]]
    watch: Callable[[str], Any]
    hide: Callable[[str], Any]
    similar: Callable[[str], Any]


class ItemCard:
    """A card in a list of cards; it can be told anew without losing the keyboard's place.

    Parameters
    ----------
    row : what the gateway says of the item: its title, year and genres; in a list ``rank``, ``source`` and ``reason``.
    actions : what its buttons do; None for a card without any.
    note : what else is said of it, such as how similar it is.
    """

    def __init__(self, row: Mapping[str, Any], actions: Actions | None, note: str = "") -> None:
        self.item_id = row["item_id"]
        self._note = note
        self._stars: list[Tag] = []
        self._given = 0
        title = title_of(row)
        with tag("li", classes="card" if "rank" in row else "card plain") as self.element:
            describe(self.element, data_item=self.item_id)
            self._rank = tag("span", "", "rank") if "rank" in row else None
            with tag("div", classes="text"):
                with tag("h3", classes="title"):
                    tag("span", title)
                    self._mark = tag("span", "", "badge accent")
                tag("p", meta(row), "meta")
                self._reason = tag("p", "", "reason")
                with self._reason:
                    self._badge = tag("span", "", "badge")
                    self._words = tag("span", "")
                    self._move = tag("span", "", "move")
            if actions is not None:
                self._buttons(title, actions)
        self.show(row)

    def show(self, row: Mapping[str, Any], moved: int | None = None, *, is_new: bool = False) -> None:
        """Say place and reason anew; ``moved`` is by how many places it went up."""
        if self._rank is not None:
            self._rank.set_text(str(row["rank"]))
        badge, words = badge_of(row), self._note or row.get("reason", "")
        self._badge.set_text(badge)
        self._badge.set_visibility(bool(badge))
        self._words.set_text(f" {words}")
        self._reason.set_visibility(bool(badge or words))
        self._say_move(moved, is_new=is_new)

    def mark(self, text: str) -> None:
        """Say something beside the title, or nothing."""
        self._mark.set_text(text)

    def give(self, stars: int) -> None:
        """Show a rating whose list is awaited; 0 takes it back."""
        self._given = stars
        for at, star in enumerate(self._stars, 1):
            star.set_text("★" if at <= stars else "☆")
        self.element.classes(add="sent" if stars else "", remove="" if stars else "sent")

    def _say_move(self, moved: int | None, *, is_new: bool) -> None:
        words = "new" if is_new else f"up {moved}" if (moved or 0) > 0 else f"down {-moved}" if moved else ""
        self._move.set_text(words)
        self._move.classes(add="down" if (moved or 0) < 0 else "", remove="" if (moved or 0) < 0 else "down")
        self.element.classes(add="fresh" if is_new else "", remove="" if is_new else "fresh")

    def _buttons(self, title: str, actions: Actions) -> None:
        with tag("div", classes="acts"):
            with tag("div", classes="stars", role="group", aria_label=f"Rate {title}"):
                self._stars = [self._star(n, title, actions) for n in range(1, STARS + 1)]
            named = (("Watched", actions.watch), ("Hide", actions.hide), ("Similar", actions.similar))
            with tag("div", classes="named"):
                for text, what in named:
                    button(text, partial(what, self.item_id), "btn quiet", label=f"{text}: {title}")

    def _star(self, n: int, title: str, actions: Actions) -> Tag:
        async def rate() -> None:
            before = self._given
            self.give(n)
            if not await actions.rate(self.item_id, n) and self._given == n:
                self.give(before)

        return button("☆", rate, "star", label=f"{n} of {STARS} stars for {title}")


def focus(element: Tag) -> None:
    """Move the keyboard's place to an element, if what had it has gone."""
    element.client.run_javascript(
        f"if (document.activeElement === document.body) getHtmlElement({element.id}).focus({{preventScroll: true}})"
    )
