"""A part of the page where something is decided: it asks before, and tells what became of it."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from web.gateway.gateway import Gateway
from web.page.confirming import Confirmation
from web.page.frame import Announcer
from web.page.looking import in_words
from web.page.operator.figures import panel
from web.page.rights import Rights

__all__ = ["DecidingPart"]


class DecidingPart(ABC):
    """A panel with a title, which shows what there is and lets an operator change it.

    Parameters
    ----------
    gateway : knows, and does it.
    rights : of whoever looks.
    announcer : says what became of it.
    confirmation : asks before.
    """

    title: ClassVar[str]
    classes: ClassVar[str] = "panel"

    def __init__(self, gateway: Gateway, rights: Rights, announcer: Announcer, confirmation: Confirmation) -> None:
        self._gateway = gateway
        self._rights = rights
        self._announcer = announcer
        self._confirmation = confirmation
        self._told: Any = None  # what is shown
        _, self._body = panel(self.title, self.classes)

    @abstractmethod
    async def look(self) -> None:
        """Look what there is, and show it; raises StreamError where a server does not answer."""

    def _decide(self, question: str, text: str, yes: str, failed: str, act: Callable[[], Awaitable[str]]) -> None:
        """Ask, and do it only if the answer is yes.

        Parameters
        ----------
        question, text, yes : what is asked, what it leads to, and the answer that does it.
        failed : what is said before the reason where it was not done.
        act : does it, and returns what is said then.
        """

        async def done() -> None:
            try:
                self._rights.require("operate")
                told = await act()
            except Exception as error:  # noqa: BLE001 - told
                self._announcer.show(f"{failed}: {in_words(error)}", is_error=True)
                return
            self._announcer.show(told)
            await self.look()

        self._confirmation.ask(question, text, yes, done)
