"""The few HTML elements that the page is made of: plain ones, which browsers and screen readers know.

Text is handed over as text, never as markup, so a title that looks like HTML is shown as it is.
"""

from collections.abc import Callable
from typing import Any

from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

__all__ = ["Tag", "button", "describe", "field", "select", "slider", "tag", "text_input"]

Tag = TextElement
Handler = Callable[[], Any]
_VALUE = "(event) => emit(event.target.value)"


def tag(name: str, /, text: str = "", classes: str = "", **attributes: Any) -> Tag:
    """Add an element; underscores in the names of attributes stand for hyphens, and None leaves one out."""
    made = TextElement(tag=name, text=text)
    made.classes(classes)
    describe(made, **attributes)
    return made


def describe(element: Tag, **attributes: Any) -> None:
    """Set attributes of an element that is there; None takes one away."""
    for name, value in attributes.items():
        element.props.set_optional(name.rstrip("_").replace("_", "-"), value)


def button(text: str, on_click: Handler, classes: str = "btn", *, label: str | None = None, **attributes: Any) -> Tag:
    """Add a button; ``label`` is what a screen reader says in the place of its text."""
    made = tag("button", text, classes, type="button", aria_label=label, **attributes)
    made.on("click", lambda _: on_click(), args=[])
    return made


def field(name: str, kind: str = "input", /, **attributes: Any) -> tuple[Tag, Tag]:
    """Add a labelled field; return its label and the field itself."""
    with tag("div", classes="field"):
        label = tag("label", name)
        made = tag(kind, **attributes)
        describe(label, for_=made.html_id)
    return label, made


def text_input(
    name: str,
    on_text: Callable[[str], Any],
    /,
    *,
    value: str = "",
    throttle_s: float = 0.0,
    **attributes: Any,
) -> Tag:
    """Add a labelled text field that tells each change, at most one every ``throttle_s``."""
    _, made = field(name, autocomplete="off", **attributes)
    _begin_with(made, value or None)

    def changed(event: GenericEventArguments) -> Any:
        return on_text(str(event.args))

    made.on("input", changed, throttle=throttle_s, leading_events=throttle_s == 0, js_handler=_VALUE)
    return made


def select(name: str, options: dict[str, str], on_value: Callable[[str], Any], value: str = "") -> Tag:
    """Add a labelled choice of one among several: what is told when chosen, and how it reads."""
    _, made = field(name, "select")
    with made:
        for option, text in options.items():
            tag("option", text, value=option, selected=True if option == value else None)
    made.on("change", lambda event: on_value(str(event.args)), js_handler=_VALUE)
    return made


def slider(name: str, most: float, value: float, on_value: Callable[[float], Any]) -> Tag:
    """Add a labelled slider from 0 that shows its value and tells each change."""
    with tag("div", classes="field"):
        with tag("div", classes="with-value"):
            label = tag("label", name)
            shown = tag("output", f"{value:g}", "small muted")
        made = tag("input", type="range", min=0, max=most, step=0.05)
        _begin_with(made, value)
        describe(label, for_=made.html_id)

    def changed(event: GenericEventArguments) -> None:
        number = float(event.args)
        shown.set_text(f"{number:g}")
        on_value(number)

    made.on("input", changed, throttle=0.05, js_handler=_VALUE)
    return made


def _begin_with(made: Tag, value: str | float | None) -> None:
    """Set the value that a field begins with.

    As an attribute (``^``), because Vue would set the property again with each change around it, and what somebody has
    typed meanwhile would be gone.
    """
    made.props.set_optional("^value", value)
