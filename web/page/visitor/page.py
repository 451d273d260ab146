"""The page of a visitor: whose list it is, finding items, the list itself, asking for another, and the history."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson
from nicegui import background_tasks, ui

from streams.records.ids import ID_RULE, is_id
from web.gateway.gateway import Gateway
from web.page.cards import Actions
from web.page.elements import tag
from web.page.frame import Announcer, framed
from web.page.looking import in_words, tried
from web.page.rights import Rights
from web.page.visitor.acting import Acting, new_visitor
from web.page.visitor.asking import Asking
from web.page.visitor.finding import Finding
from web.page.visitor.history import N_RECENT, History
from web.page.visitor.live_list import LiveList
from web.page.visitor.similar import SimilarDialog
from web.page.visitor.who import Who

__all__ = ["visitor_page"]

LOOK_S = 2.0  # between two looks at the stored list: pushed lists come at once, and this tells whether Redis answers
FIRST_S = 0.4  # for what the page shows when it opens; what takes longer comes afterwards
ASK_S = 10.0  # for an answer to wishes
N_TRENDING = 10
N_KNOWN = 50  # users that are offered
SEED = "reelstream replay ml-100k --limit 20000"


async def visitor_page(gateway: Gateway, rights: Rights, user_id: str | None) -> None:
    """Build the page for a user, or for somebody who is nobody yet."""
    if user_id is not None and not is_id(user_id):
        with framed("/", "Lists", "visit", rights) as (_, _):
            tag("p", f"A user id of {ID_RULE} is required, got “{user_id[:80]}”.", "notice bad whole", role="alert")
        return
    visit = _Visit(gateway, rights, user_id)
    first = background_tasks.create(visit.run(), name="visit")
    ui.context.client.on_delete(first.cancel)
    with suppress(TimeoutError):
        await asyncio.wait_for(visit.is_filled.wait(), FIRST_S)


class _Visit:
    """One open page of one visitor.

    Parameters
    ----------
    gateway : what is stored, sent and published.
    rights : of whoever looks.
    user_id : of the visitor, None where there is none yet.
    """

    def __init__(self, gateway: Gateway, rights: Rights, user_id: str | None) -> None:
        self._gateway = gateway
        self._rights = rights
        self._user_id = user_id
        self._body: bytes | None = None
        self._followed: asyncio.Task[None] | None = None
        self.is_filled = asyncio.Event()
        with framed("/", f"Lists of {user_id}" if user_id else "Lists", "visit", rights) as (self._content, announcer):
            self._announcer: Announcer = announcer
            self._away = tag("p", "", "notice whole", role="alert", hidden=True)
            self._similar = SimilarDialog(gateway, rights)
            acting = Acting(gateway, announcer, rights, self._somebody, self._led_by)
            self._actions = Actions(acting.rate, acting.watch, acting.hide, self._similar.open)
            with tag("div", classes="stack"):
                self._who = Who(user_id, self._become)
                Finding(gateway, rights, self._actions)
            with tag("div", classes="stack") as self._middle:
                self._answer_at = tag("div", hidden=True)
                self._list = LiveList(self._actions, announcer, self._heading)
            with tag("div", classes="stack aside"):
                self._asking = Asking(self._ask)
                self._history = History()

    @property
    def _heading(self) -> str:
        return f"For {self._user_id}" if self._user_id else "For everybody"

    async def run(self) -> None:
        """Fill the page, and look again and again whether something has changed, until it is closed."""
        while True:
            self._say_away(await tried(self._look))
            self.is_filled.set()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        """Show what is stored now."""
        self._rights.require("read")
        self._asking.offer([row["genre"] for row in await self._gateway.genres()])
        if self._user_id is None:
            await self._show_trending("What everybody takes to these days")
            self._who.suggest(await self._gateway.users("", N_KNOWN))
            return
        if self._followed is None:
            self._followed = background_tasks.create(self._follow(self._user_id), name="following")
            self._content.client.on_delete(self._followed.cancel)
        body = await self._gateway.list_of(self._user_id)
        if body is None:
            await self._show_trending("No list of your own yet; this is what everybody takes to")
        elif body != self._body:
            await self._show(body, is_stored=True)

    async def _follow(self, user_id: str) -> None:
        """Show each new list as it is published."""
        async for body in self._gateway.new_lists(user_id):
            await tried(partial(self._show, body))  # the next look tells

    async def _show(self, body: bytes, *, is_stored: bool = False) -> None:
        self._rights.require("read")
        record = await self._gateway.with_titles(orjson.loads(body))
        self._body = body
        self._list.show(record, is_stored=is_stored)
        self._history.show(await self._gateway.profile_of(str(self._user_id), N_RECENT))

    async def _show_trending(self, why: str) -> None:
        if self._list.rec_id is not None:
            return
        rows = await self._gateway.hot(N_TRENDING)
        if rows:
            self._list.show_trending([{**row, "source": "trending", "reason": ""} for row in rows], why)
            return
        self._list.show_nothing(
            "Nothing trends yet.",
            "Find an item and rate it, or send a log; this page follows by itself:",
            code=SEED,
        )

    def _say_away(self, what: str | None) -> None:
        """Say that something does not answer, and that it does again."""
        is_away = what is not None
        was_away = "hidden" not in self._away.props
        self._list.age(is_stale=is_away)
        if is_away and not was_away:
            at = time.strftime("%H:%M:%S")
            self._away.set_text(
                f"{what} What you see is from {at} or before; this page goes on by itself as soon as it can."
            )
            self._away.props.pop("hidden", None)
        elif not is_away and was_away:
            self._away.props["hidden"] = True
            self._announcer.say("Everything answers again.")

    def _somebody(self) -> str:
        """Return the visitor's id; somebody who was nobody becomes a new visitor."""
        if self._user_id is None:
            self._user_id = new_visitor()
            self._content.client.run_javascript(f'history.replaceState({{}}, "", "{_address(self._user_id)}")')
            self._who.say(self._user_id)
            self._list.call(self._heading)
            self._followed = background_tasks.create(self._follow(self._user_id), name="following")
            self._content.client.on_delete(self._followed.cancel)
        return self._user_id

    def _become(self, user_id: str) -> None:
        ui.navigate.to(_address(user_id))

    def _led_by(self, item_id: str) -> str | None:
        return self._list.rec_id if item_id in self._list.cards() else None

    async def _ask(self, wishes: Mapping[str, Any], called: str) -> None:
        """Show the answer to wishes above the list."""
        try:
            self._rights.require("read")
            found = await self._gateway.ask(self._somebody(), wishes, ASK_S)
            if found is None:
                self._announcer.show(f"No answer came within {ASK_S:g} s; is a worker running?", is_error=True)
                return
            if found["mode"] == "refused":
                self._announcer.show(f"Refused: {found['error']}", is_error=True)
                return
            record = await self._gateway.with_titles(found)
        except Exception as error:  # noqa: BLE001 - told
            self._announcer.show(f"Not asked: {in_words(error)}", is_error=True)
            return
        self._answer_at.clear()
        with self._answer_at:
            answer = LiveList(self._actions, self._announcer, f"Asked for: {called}")
            answer.show(record)
            answer.on_close(self._forget_answer)
        self._answer_at.props.pop("hidden", None)
        self._announcer.say(f"Answered: {len(record['items'])} items for {called}")
        answer.heading.run_method("focus")

    def _forget_answer(self) -> None:
        self._answer_at.props["hidden"] = True
        self._answer_at.clear()


def _address(user_id: str) -> str:
    return "/?" + urlencode({"user": user_id})
