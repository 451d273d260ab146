"""Asking for a list as one would like it: in words, by genre, and by how much each part of the order counts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from web.page.elements import Tag, button, describe, slider, tag, text_input

__all__ = ["Asking"]

# Parts of the order, as docs/reference/records.md has them, with their defaults; the first three are what others call
# embed alpha, genre alpha and pop alpha.
WEIGHTS = {
    "query": ("What the words say", 1.0),
    "query_genres": ("Genres in the words", 1.5),
    "popularity": ("What is popular", 0.05),
    "genres": ("Genres chosen above", 1.1),
    "model": ("Your own taste", 1.0),
}
MOST = 3.0  # of a slider; a request may go to 10, where the other parts no longer count
MAX_QUERY = 200  # characters, as a request allows


class Asking:
    """A form for wishes.

    Parameters
    ----------
    on_ask : called with the wishes and what they are called.
    """

    def __init__(self, on_ask: Callable[[Mapping[str, Any], str], Awaitable[None]]) -> None:
        self._on_ask = on_ask
        self._query = ""
        self._genres: dict[str, Tag] = {}
        self._chosen: list[str] = []
        self._strict = False
        self._weights: dict[str, float] = {}
        self._is_asking = False
        with tag("section", classes="panel") as section:
            heading = tag("h2", "Ask for a list")
            with tag("form", classes="stack") as form:
                text_input(
                    "In words",
                    self._say,
                    name="query",
                    maxlength=MAX_QUERY,
                    placeholder="something funny for the family",
                )
                with tag("div", classes="field"):
                    legend = tag("span", "Genres", "legend")
                    self._chips = tag("div", classes="chips", role="group", aria_labelledby=legend.html_id)
                    with self._chips:
                        tag("span", "None yet; they come with the catalogue.", "small muted")
                    only = "Only items of all these"
                    self._only = button(only, self._toggle_strict, "chip alone", aria_pressed="false")
                with tag("details"):
                    tag("summary", "How much each part counts", "small")
                    with tag("div", classes="stack"):
                        for name, (text, default) in WEIGHTS.items():
                            slider(text, MOST, default, partial(self._weigh, name))
                with tag("div", classes="row"):
                    self._submit = tag("button", "Ask", "btn main", type="submit")
            form.on("submit", lambda _: self._ask(), args=[], js_handler="(e) => { e.preventDefault(); emit() }")
            self._said = tag("p", "", "small muted", role="status")
        describe(section, aria_labelledby=heading.html_id)

    def offer(self, genres: Sequence[str]) -> None:
        """Offer the genres that there are; those that were offered before stay as they are, chosen or not."""
        if not self._genres and genres:
            self._chips.clear()
        for genre in self._genres.keys() - set(genres):
            self._genres.pop(genre).delete()
            self._chosen = [one for one in self._chosen if one != genre]
        for place, genre in enumerate(genres):
            if genre not in self._genres:
                with self._chips:
                    self._genres[genre] = button(genre, partial(self._toggle, genre), "chip", aria_pressed="false")
                self._genres[genre].move(self._chips, place)

    def _say(self, text: str) -> None:
        self._query = text.strip()

    def _weigh(self, name: str, value: float) -> None:
        self._weights[name] = value

    def _toggle(self, genre: str) -> None:
        if genre in self._chosen:
            self._chosen.remove(genre)
        else:
            self._chosen.append(genre)
        describe(self._genres[genre], aria_pressed="true" if genre in self._chosen else "false")

    def _toggle_strict(self) -> None:
        self._strict = not self._strict
        describe(self._only, aria_pressed="true" if self._strict else "false")

    async def _ask(self) -> None:
        if self._is_asking:
            return
        wishes: dict[str, Any] = {}
        if self._query:
            wishes["query"] = self._query
        if self._chosen:
            wishes["genres"] = {"must" if self._strict else "want": list(self._chosen)}
        if not wishes:
            self._said.set_text("Say what you would like, or choose a genre.")
            return
        if self._weights:
            wishes["weights"] = dict(self._weights)
        self._said.set_text("Asking")
        self._is_asking = True
        describe(self._submit, aria_disabled="true")  # one that is disabled loses the keyboard's place
        try:
            await self._on_ask(wishes, " · ".join(filter(None, [self._query, ", ".join(self._chosen)])))
        finally:
            self._is_asking = False
            describe(self._submit, aria_disabled=None)
            self._said.set_text("")
