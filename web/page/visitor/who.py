"""Who the visitor is: somebody known, or a new one."""

from collections.abc import Callable, Sequence

from nicegui import ui

from web.page.elements import Tag, button, describe, tag, text_input
from web.page.visitor.acting import new_visitor

__all__ = ["Who"]


class Who:
    """A panel that says who the lists are for, and takes another.

    Parameters
    ----------
    user_id : of the visitor, None where there is none yet.
    on_user : called with the id of whoever is to be shown.
    """

    def __init__(self, user_id: str | None, on_user: Callable[[str], None]) -> None:
        self._typed = ""
        self._on_user = on_user
        with tag("section", classes="panel") as section:
            heading = tag("h2", "Who is looking?")
            self._said = tag("p", classes="small")
            with tag("form", classes="stack") as form:
                self._input = text_input(
                    "User id",
                    self._type,
                    value=user_id or "",
                    name="user",
                    placeholder="such as 42",
                    spellcheck="false",
                )
                self._known = tag("datalist")
                self._options: dict[str, Tag] = {}
                describe(self._input, list=self._known.html_id)
                with tag("div", classes="row"):
                    tag("button", "Show this user", "btn main", type="submit")
                    button("Become a new visitor", lambda: on_user(new_visitor()))
            form.on("submit", lambda _: self._submit(), args=[], js_handler="(e) => { e.preventDefault(); emit() }")
        describe(section, aria_labelledby=heading.html_id)
        self.say(user_id)

    def say(self, user_id: str | None) -> None:
        """Say whose lists are shown."""
        self._said.set_text(
            f"You are {user_id}."
            if user_id
            else "Nobody yet: rate, watch or hide anything, and you become a new visitor by it."
        )

    def suggest(self, user_ids: Sequence[str]) -> None:
        """Offer users that are known; what is offered already stays as it is."""
        for user_id in self._options.keys() - set(user_ids):
            self._options.pop(user_id).delete()
        for place, user_id in enumerate(user_ids):
            if user_id not in self._options:
                with self._known:
                    self._options[user_id] = tag("option", value=user_id)
                self._options[user_id].move(self._known, place)

    def _type(self, text: str) -> None:
        self._typed = text.strip()

    def _submit(self) -> None:
        if self._typed:
            self._on_user(self._typed)
        else:
            ui.run_javascript(f"getHtmlElement({self._input.id}).focus()")
