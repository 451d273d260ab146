"""Two lists side by side: of two users, or of one by two versions, with what is on both."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson
from nicegui import background_tasks, ui

from streams.errors import StreamError
from streams.records.ids import ID_RULE, is_id
from web.gateway.gateway import Gateway
from web.page.elements import describe, select, tag, text_input
from web.page.frame import framed
from web.page.looking import tried
from web.page.rights import Rights
from web.page.visitor.live_list import LiveList

__all__ = ["Choice", "side_by_side_page"]

LOOK_S = 2.0  # as of a visitor's own page
SERVING = ""  # no version is called so
SIDES = ("Left", "Right")


@dataclass(slots=True)
class Choice:
    """What one side shows: a user's list, by a version or as it is served.

    Parameters
    ----------
    user_id, version : whose list, and by which version.
    stored : the user's stored list when this side was shown last; a list by a version changes when that does.
    """

    user_id: str
    version: str = SERVING
    stored: bytes | None = None


async def side_by_side_page(gateway: Gateway, rights: Rights, choices: Sequence[Choice]) -> None:
    """Build the page for what was chosen on the left and on the right; without users for a choice alone."""
    with framed("/side-by-side", "Side by side", "two", rights) as (content, announcer):
        await _choose(gateway, choices)
        if not all(is_id(choice.user_id) for choice in choices):
            with tag("div", classes="empty whole"):
                tag("p", "Choose a user on each side: two users, or one user by two versions.")
                if any(choice.user_id for choice in choices):
                    tag("p", f"A user id of {ID_RULE} is required.")
            return
        said = tag("p", "", "whole", role="status")
        away = tag("p", "", "notice whole", role="alert", hidden=True)
        lists = [LiveList(None, announcer, f"{choice.user_id}, {choice.version or 'as served'}") for choice in choices]

    async def look() -> None:
        rights.require("read")
        for choice, shown in zip(choices, lists, strict=True):
            await _show(gateway, choice, shown)
        said.set_text(_compared(*lists))

    async def run() -> None:
        while True:
            wrong = await tried(look)
            if wrong is None:
                away.props["hidden"] = True
            else:
                away.set_text(f"{wrong} This page goes on by itself.")
                away.props.pop("hidden", None)
            await asyncio.sleep(LOOK_S)

    looking = background_tasks.create(run(), name="side by side", context=content)
    ui.context.client.on_delete(looking.cancel)


async def _choose(gateway: Gateway, choices: Sequence[Choice]) -> None:
    """Add the form; what it says becomes the address, so that it can be kept."""
    versions = {SERVING: "what serves"}
    with suppress(StreamError):  # the lists below tell
        found = await gateway.models()
        versions |= {one["version"]: one["version"] for one in found["versions"]}
    with tag("form", classes="panel whole") as form:
        tag("h2", "What to compare")
        with tag("div", classes="page two").style("padding: 0"):
            for side, choice in zip(SIDES, choices, strict=True):
                with tag("fieldset", classes="stack").style("border: 0; margin: 0; padding: 0"):
                    tag("legend", side, "sr-only")
                    text_input(f"{side}: user", partial(setattr, choice, "user_id"), value=choice.user_id)
                    select(f"{side}: version", versions, partial(setattr, choice, "version"), choice.version)
        with tag("div", classes="row"):
            tag("button", "Compare", "btn main", type="submit")
    describe(form, aria_label="What to compare")
    form.on(
        "submit",
        lambda _: ui.navigate.to(_address(choices)),
        args=[],
        js_handler="(event) => { event.preventDefault(); emit() }",
    )


async def _show(gateway: Gateway, choice: Choice, shown: LiveList) -> None:
    body = await gateway.list_of(choice.user_id)
    is_shown = shown.rec_id is not None
    if is_shown and body == choice.stored:
        return
    if choice.version:
        shown.show(await gateway.preview(choice.user_id, choice.version), is_stored=True)
    elif body is not None:
        shown.show(await gateway.with_titles(orjson.loads(body)), is_stored=True)
    elif not is_shown:
        shown.show_nothing(f"No list of {choice.user_id} has been published yet.")
    choice.stored = body


def _compared(left: LiveList, right: LiveList) -> str:
    """Mark what is on both lists, and return how much that is."""
    both = left.cards().keys() & right.cards().keys()
    for shown in (left, right):
        for item_id, card in shown.cards().items():
            card.mark("on both" if item_id in both else "")
    most = max(len(left.cards()), len(right.cards()))
    return f"{len(both)} of {most} items are on both lists." if most else ""


def _address(choices: Sequence[Choice]) -> str:
    left, right = choices
    chosen: dict[str, Any] = {
        "left": left.user_id.strip(),
        "left_version": left.version,
        "right": right.user_id.strip(),
        "right_version": right.version,
    }
    return "/side-by-side?" + urlencode({name: value for name, value in chosen.items() if value})
