"""What every page has around it: the header with its ways, and the lines that are read aloud."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nicegui import ui

from web.api.sign_in import SIGN_OUT
from web.page.elements import Tag, button, tag
from web.page.rights import Rights

__all__ = ["Announcer", "framed"]

PLACES = {"/": "Lists", "/side-by-side": "Side by side", "/operator": "Operations"}
TOAST_S = 8.0  # long enough to be read and undone
_BREATH = "\u00a0"  # a space that no markup takes away, and nobody hears
_CSS = (Path(__file__).parent / "page.css").read_text("utf-8")


class Announcer:
    """Says what has happened: in a corner for a while, and to screen readers."""

    def __init__(self) -> None:
        self._toast = tag("div", classes="toast", hidden=True)
        self._spoken = tag("p", classes="sr-only", role="status", aria_live="polite")
        self._alarm = tag("p", classes="sr-only", role="alert")
        self._shown = 0

    def say(self, text: str) -> None:
        """Tell screen readers alone; the eye sees it happen."""
        _speak(self._spoken, text)

    def show(self, text: str, *, undo: Callable[[], Any] | None = None, is_error: bool = False) -> None:
        """Show a line for a while, with a way back where there is one."""
        _speak(self._alarm if is_error else self._spoken, text)
        self._toast.clear()
        self._toast.classes(add="bad" if is_error else "", remove="" if is_error else "bad")
        with self._toast:
            tag("span", text)
            if undo is not None:
                button("Undo", undo)
            button("Close", self._hide, label="Close this message")
            ui.timer(TOAST_S, self._hide, once=True)
        self._toast.props.pop("hidden", None)

    def _hide(self) -> None:
        self._toast.props["hidden"] = True


def _speak(where: Tag, text: str) -> None:
    """Have a text read aloud, also where it is the same as before: a screen reader notices what has changed alone."""
    where.set_text(text + _BREATH if where.text == text else text)


@contextmanager
def framed(here: str, title: str, classes: str, rights: Rights) -> Iterator[tuple[Tag, Announcer]]:
    """Build a page inside the frame: gives the element that holds its content, and its voice."""
    ui.add_css(_CSS)
    ui.page_title(f"{title} - Reelstream")
    with ui.header(fixed=False, elevated=False).classes("top"):
        skip = tag("a", "Skip to the content", "skip")
        tag("a", "Reelstream", "brand", href="/")
        with tag("nav", aria_label="Pages"):
            for path, name in PLACES.items():
                tag("a", name, href=path, aria_current="page" if path == here else None)
        if rights.has_session:
            with tag("form", method="post", action=SIGN_OUT):
                tag("button", "Sign out", "btn quiet", type="submit")
    announcer = Announcer()
    tag("h1", title, "sr-only")
    with tag("div", classes=f"page {classes}", tabindex="-1") as content:
        skip.props["href"] = f"#{content.html_id}"
        yield content, announcer
