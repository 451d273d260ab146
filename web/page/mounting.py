"""Puts the page on an app of its own, and says which paths are its."""

from fastapi import FastAPI, Request
from nicegui import app as pages
from nicegui import ui

from web.gateway.gateway import Gateway
from web.page.operator.page import operator_page
from web.page.rights import rights_of
from web.page.visitor.page import visitor_page
from web.page.visitor.side_by_side import Choice, side_by_side_page

__all__ = ["PAGES", "is_of_page", "mount"]

PAGES = ("/", "/side-by-side", "/operator")
_PARTS = ("/_nicegui/", "/_nicegui_ws/", "/favicon.ico")  # what a page loads, and the way its changes come
BUILD_S = 30.0  # it takes milliseconds; what takes longer is a machine that is overloaded, and no reason to give up
RECONNECT_S = 30.0  # a phone in a pocket, or a restart of this process
FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#1c57b5"/>'
    '<path d="M11 8v16l14-8z" fill="#fff"/></svg>'
)


def mount(app: FastAPI, gateway: Gateway) -> None:
    """Serve the page at ``/``.

    Parameters
    ----------
    app : that answers nothing else.
    gateway : entered by the time the first page is opened.
    """

    @ui.page("/", response_timeout=BUILD_S)
    async def lists(request: Request, user: str | None = None) -> None:
        await visitor_page(gateway, rights_of(request), user or None)

    @ui.page("/side-by-side", response_timeout=BUILD_S)
    async def side_by_side(
        request: Request, left: str = "", left_version: str = "", right: str = "", right_version: str = ""
    ) -> None:
        await side_by_side_page(
            gateway, rights_of(request), [Choice(left, left_version), Choice(right or left, right_version)]
        )

    @ui.page("/operator", response_timeout=BUILD_S)
    async def operations(request: Request) -> None:
        await operator_page(gateway, rights_of(request))

    pages.config.quasar_config["loadingBar"] = {"skipHijack": True}  # the page says by itself what it waits for
    ui.run_with(
        app,
        title="Reelstream",
        favicon=FAVICON,
        dark=None,
        language="en-US",
        tailwind=False,
        reconnect_timeout=RECONNECT_S,
        binding_refresh_interval=None,  # nothing is bound
        show_welcome_message=False,
    )


def is_of_page(path: str) -> bool:
    """Tell whether a path is the page's, or one of what it loads."""
    return path in PAGES or path.startswith(_PARTS)
