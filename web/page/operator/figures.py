"""Tables and single numbers, the same in every part."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from web.page.elements import Tag, describe, tag

__all__ = ["MISSING", "Tiles", "age", "grid", "number", "panel", "table"]

MISSING = "\u2013"  # a dash
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def panel(name: str, classes: str = "panel") -> tuple[Tag, Tag]:
    """Add a part with its heading; return the part, and its body, which is filled anew."""
    with tag("section", classes=classes) as section:
        heading = tag("h2", name)
        body = tag("div", classes="stack")
        with body:
            tag("p", "Looking", "muted small")
    describe(section, aria_labelledby=heading.html_id)
    return section, body


class Tiles:
    """Numbers side by side, each under its name, changed in place."""

    def __init__(self, *names: str) -> None:
        self._values: dict[str, tuple[Tag, Tag]] = {}
        with tag("dl", classes="tiles"):
            for name in names:
                with tag("div", classes="tile"):
                    tag("dt", name)
                    with tag("dd"):
                        value = tag("span", MISSING)
                        note = tag("div", "", "note")
                self._values[name] = value, note

    def set(self, name: str, value: str, note: str = "") -> None:
        """Show another number."""
        shown, noted = self._values[name]
        shown.set_text(value)
        noted.set_text(note)


@contextmanager
def grid(caption: str, head: Sequence[str], numbers: Sequence[int] = ()) -> Iterator[None]:
    """Add a table whose rows are added inside; ``numbers`` are the columns that are set to the right."""
    with tag("div", classes="scroll", tabindex="0", role="region", aria_label=f"Table: {caption}"):
        tag("p", "More columns: scroll sideways →", "more", aria_hidden="true")
        body = _body(caption, head, numbers)
    with body:
        yield


def _body(caption: str, head: Sequence[str], numbers: Sequence[int]) -> Tag:
    with tag("table"):
        tag("caption", caption, "sr-only")
        with tag("thead"), tag("tr"):
            for at, name in enumerate(head):
                tag("th", name, "n" if at in numbers else "", scope="col")
        return tag("tbody")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> None:
    """Add a table of texts."""
    with grid(caption, head, numbers):
        for first, *others in rows:
            with tag("tr"):
                tag("th", first, scope="row")
                for at, cell in enumerate(others, 1):
                    tag("td", cell, "n" if at in numbers else "")


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """Return a number as people read it, or a dash where there is none."""
    return MISSING if value is None else f"{value:,.{digits}f}{unit}"


def age(seconds: float) -> str:
    """Return a duration in its largest whole unit."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
