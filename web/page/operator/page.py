"""The operator's page: every part, looked at again and again; what cannot be had is said, and the rest goes on."""

import asyncio
from contextlib import suppress

from nicegui import background_tasks, ui

from web.gateway.gateway import Gateway
from web.page.confirming import Confirmation
from web.page.elements import tag
from web.page.frame import framed
from web.page.looking import tried
from web.page.operator.decisions import N_DECISIONS, Decisions
from web.page.operator.experiment import ExperimentPart
from web.page.operator.letters import Letters
from web.page.operator.processes import Processes
from web.page.operator.quality import Quality
from web.page.operator.traffic import Traffic
from web.page.operator.versions import VersionsPart
from web.page.rights import Rights

__all__ = ["operator_page"]

LOOK_S = 2.0
SELDOM = 5  # looks between two at what takes longer: the registry, and Kafka's dead letters
FIRST_S = 0.4
N_POINTS = 360  # of the series: an hour of one every 10 s
N_MOVES = 50  # that the line of an hour may show


async def operator_page(gateway: Gateway, rights: Rights) -> None:
    """Build the page."""
    desk = _Desk(gateway, rights)
    looking = background_tasks.create(desk.run(), name="desk")
    ui.context.client.on_delete(looking.cancel)
    with suppress(TimeoutError):
        await asyncio.wait_for(desk.is_filled.wait(), FIRST_S)


class _Desk:
    """One open page of somebody who runs the installation."""

    def __init__(self, gateway: Gateway, rights: Rights) -> None:
        self._gateway = gateway
        self._rights = rights
        self.is_filled = asyncio.Event()
        with framed("/operator", "Operations", "desk", rights) as (_, announcer):
            self._away = tag("p", "", "notice bad whole", role="alert", hidden=True)
            confirmation = Confirmation()
            self._processes = Processes()
            self._traffic = Traffic()
            self._quality = Quality()
            self._versions = VersionsPart(gateway, rights, announcer, confirmation)
            self._decisions = Decisions()
            self._experiment = ExperimentPart()
            self._letters = Letters(gateway, rights, announcer, confirmation)

    async def run(self) -> None:
        """Look until the page is closed."""
        looks = 0
        while True:
            errors = [await tried(look) for look in (self._alive, self._figures)]
            if looks % SELDOM == 0:
                errors.append(await tried(self._versions.look))
                self.is_filled.set()
                errors.append(await tried(self._letters.look))
            self._say(list(dict.fromkeys(filter(None, errors))))
            self.is_filled.set()
            looks += 1
            await asyncio.sleep(LOOK_S)

    async def _alive(self) -> None:
        self._rights.require("read")
        alive = await self._gateway.alive()
        self._processes.show(alive)
        self._traffic.show(alive["worker"])

    async def _figures(self) -> None:
        self._rights.require("read")
        moves = await self._gateway.history(N_MOVES, moves_only=True)
        self._quality.show(await self._gateway.quality(), await self._gateway.quality_series(N_POINTS), moves)
        self._decisions.show(await self._gateway.history(N_DECISIONS))
        self._experiment.show(await self._gateway.experiment())

    def _say(self, errors: list[str]) -> None:
        if errors:
            self._away.set_text(f"{' '.join(errors)} What is below may be old; this page goes on by itself.")
            self._away.props.pop("hidden", None)
        else:
            self._away.props["hidden"] = True
