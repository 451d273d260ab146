"""A dialog that asks before something is done that others notice."""

from collections.abc import Awaitable, Callable

from web.page.elements import button, describe, tag

__all__ = ["Confirmation"]


class Confirmation:
    """A dialog for one question at a time; Escape and Cancel do nothing."""

    def __init__(self) -> None:
        self._then: Callable[[], Awaitable[None]] | None = None
        with tag("dialog") as self._dialog, tag("div", classes="inner"):
            self._heading = tag("h2", "")
            self._text = tag("p", "")
            with tag("div", classes="row"):
                button("Cancel", self._close)
                self._yes = button("", self._do, "btn main danger")
        describe(self._dialog, aria_labelledby=self._heading.html_id, aria_describedby=self._text.html_id)

    def ask(self, question: str, text: str, yes: str, then: Callable[[], Awaitable[None]]) -> None:
        """Ask, and do it only if the answer is yes."""
        self._then = then
        self._heading.set_text(question)
        self._text.set_text(text)
        self._yes.set_text(yes)
        self._dialog.run_method("showModal")

    def _close(self) -> None:
        self._then = None
        self._dialog.run_method("close")

    async def _do(self) -> None:
        then = self._then
        self._close()
        if then is not None:
            await then()
