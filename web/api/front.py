"""What every request meets first: who asks, whether they may, how much, and the one road that is most wanted.

A stored list is answered here, from the bytes that Redis holds, without FastAPI's machinery; everything else goes
behind. Keys, limits and figures are the same for both. Steps of a request: 1 is it for us; 2 who asks, and may they;
3 is it too soon, or too large; 4 answer; 5 count.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI

from streams.errors import SettingsError, StreamError
from web.api.keys import ApiKey, KeyFile, Scope
from web.api.limits import KEY_NAME, OWE, ApiConfig, RateLimits, is_local
from web.api.metrics import ApiMetrics
from web.api.problems import ProblemError, problem_of, rendered, too_soon
from web.api.sign_in import EVERYBODY, SIGN_IN, SIGN_OUT, VISIT, Sessions, SignIn, session_in
from web.gateway.gateway import Gateway

__all__ = ["Front", "PageApp"]

LIST_ROUTE = "/users/{user_id}/recommendations"
_OPEN = ("/health/live", "/health/ready", "/openapi.json")  # for orchestrators, and for who writes a client
_BEFORE, _AFTER, _ENDLESS = "/users/", "/recommendations", "/recommendations/stream"
_LONGEST_ID = 64
_KNOWN_HOSTS = 16  # this machine has few names
_CHANGING = ("POST", "PUT", "PATCH")
_EVENT = re.compile("/users/[^/]+/events/[^/]+")  # as the routes read it
_JSON = b"application/json"
_FOUND, _UNFORESEEN = 200, 500
Scoped = dict[str, Any]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageApp:
    """An application for people to look at, and which paths are its own."""

    app: FastAPI
    answers: Callable[[str], bool]


class Front:
    """The application that the server calls.

    Parameters
    ----------
    roads : the application that answers everything but stored lists.
    page : what answers the paths of a page; None without one.
    gateway : entered.
    config : what is taken.
    keys : who may ask; without any key in it everybody may, who is on this machine.
    """

    def __init__(
        self,
        roads: FastAPI,
        page: PageApp | None,
        gateway: Gateway,
        config: ApiConfig,
        keys: KeyFile,
        metrics: ApiMetrics,
    ) -> None:
        self._roads = roads
        self._page = page
        self._gateway = gateway
        self._config = config
        self._keys = keys
        self._needs_key = bool(keys.all())
        self._sessions = Sessions(keys)
        self._sign_in = SignIn(self._sessions)
        self._hosts: set[bytes] = set()  # names of this machine that came
        self._limits = RateLimits()
        self._metrics = metrics
        self._found = metrics.requests.labels("GET", LIST_ROUTE, "200")
        self._seconds = metrics.seconds.labels(LIST_ROUTE)

    async def __call__(self, scope: Scoped, receive: Any, send: Any) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await (self._page.app if self._page else self._roads)(scope, receive, send)
            return
        began = time.perf_counter()
        path: str = scope["path"]
        page = self._page_of(scope, path)
        try:
            self._admit(scope, path, is_of_page=page is not None)
        except ProblemError as problem:
            await _tell(scope, send, problem)
            self._count(scope, problem.status, began)
            return
        if page is not None:
            await self._visited(page, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no road of this API is a websocket"})
            return
        if (
            path.endswith(_AFTER)
            and path.startswith(_BEFORE)
            and scope["method"] == "GET"
            and not scope["query_string"]
        ):
            user_id = _user_of(scope, path)
            status = None if user_id is None else await self._stored(user_id, scope, send)
            if status is not None:
                self._count_stored(status, began)
                return
        await self._pass_on(scope, receive, send, began)

    def _page_of(self, scope: Scoped, path: str) -> FastAPI | None:
        """Return what answers for people: the page, where the path is its or one signs in there."""
        page = self._page
        if page is None:
            return None
        return page.app if page.answers(path) or self._is_signing(scope, path) else None

    def _admit(self, scope: Scoped, path: str, *, is_of_page: bool) -> None:
        """Raise ProblemError unless this request may be answered."""
        headers = dict(scope["headers"])
        # Step 1
        if not self._needs_key:
            self._require_this_machine(headers)
        # Step 2
        elif is_of_page:
            _require_own_page(headers)
        elif path not in _OPEN:
            key = self._key_of(headers)
            needed = _scope_of(scope, path)
            if needed not in key.scopes:
                raise ProblemError(
                    403, f"a key with the scope {needed} is required, got one with {', '.join(key.scopes)}"
                )
            # Step 3
            rate = self._config.rate if key.rate is None else key.rate
            wait_s = self._limits.wait_s(key.key_id, rate)
            if wait_s > 0.0:
                raise too_soon(wait_s)
            scope[KEY_NAME] = key.name
            scope[OWE] = partial(self._limits.owe, key.key_id, rate)
        if scope.get("method") in _CHANGING and not is_of_page:
            self._check_body(headers)

    def _is_signing(self, scope: Scoped, path: str) -> bool:
        return self._needs_key and scope["type"] == "http" and path in (SIGN_IN, SIGN_OUT)

    async def _visited(self, page: Any, scope: Scoped, receive: Any, send: Any) -> None:
        """Let the page answer whoever may see it, and send others to sign in."""
        if self._is_signing(scope, scope["path"]):
            await self._sign_in(scope, receive, send)
            return
        visit = self._sessions.visit(session_in(scope)) if self._needs_key else EVERYBODY
        if visit.may("read"):
            await page(scope | {VISIT: visit}, receive, send)
        elif scope["type"] == "http" and scope["method"] == "GET":
            headers = [(b"location", SIGN_IN.encode()), (b"content-length", b"0"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 303, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await _tell(
                scope, send, ProblemError(401, f"a session with the scope read is required; {SIGN_IN} gives one")
            )

    def _require_this_machine(self, headers: dict[bytes, bytes]) -> None:
        """Refuse who came by another name than this machine's, and pages of other sites: browsers name both."""
        host = headers.get(b"host", b"")
        if host not in self._hosts:
            name = host.decode("latin-1")
            name = name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() else name
            if not is_local(name.strip("[]")):
                raise ProblemError(421, f"a name of this machine is required where no key is, got {name!r:.80}")
            if len(self._hosts) < _KNOWN_HOSTS:
                self._hosts.add(host)
        origin = headers.get(b"origin")
        if origin is not None and origin.rpartition(b"//")[2] != host:
            shown = origin.decode("latin-1")
            raise ProblemError(403, f"a page of this process is required to ask, got one of {shown!r:.80}")

    def _key_of(self, headers: dict[bytes, bytes]) -> ApiKey:
        given = headers.get(b"authorization", b"").decode("latin-1")
        kind, _, shown = given.partition(" ")
        try:
            found = self._keys.find(shown.strip()) if kind.lower() == "bearer" else None
        except SettingsError:
            raise ProblemError(
                503, "keys that can be read are required, got none; the log of the api says why", {"retry-after": "2"}
            ) from None
        if found is None:
            got = "an unknown key" if kind.lower() == "bearer" else "none"
            raise ProblemError(
                401,
                f"a key in the header Authorization is required, as Bearer, got {got}; `reelstream keys add` makes one",
                {"www-authenticate": "Bearer"},
            )
        return found

    def _check_body(self, headers: dict[bytes, bytes]) -> None:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._config.body_bytes:
            raise ProblemError(
                413, f"a body of at most {self._config.body_bytes:,} bytes is required, got {int(length):,}"
            )
        kind = headers.get(b"content-type", b"")
        has_body = length != b"0" or b"transfer-encoding" in headers
        if has_body and not kind.lower().startswith(_JSON):  # a page of elsewhere can send any other kind unasked
            raise ProblemError(
                415, f"a body of the type application/json is required, got {kind.decode('latin-1')!r:.80}"
            )

    async def _stored(self, user_id: str, scope: Scoped, send: Any) -> int | None:
        """Answer with a stored list, or what is wrong; return the status, None where there is no list."""
        # Step 4
        try:
            body = await self._gateway.list_of(user_id)
        except Exception as error:  # noqa: BLE001 - told as a problem, and logged
            problem = _logged_problem(error, scope)
            await _tell(scope, send, problem)
            return problem.status
        if body is None:
            return None
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": _FOUND, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return _FOUND

    async def _pass_on(self, scope: Scoped, receive: Any, send: Any, began: float) -> None:
        """Let the application behind answer within the time, and count."""
        status = 0
        taken = 0

        async def sent(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def received() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._config.body_bytes:
                raise ProblemError(413, f"a body of at most {self._config.body_bytes:,} bytes is required, got more")
            return message

        # Step 4
        try:
            path = scope["path"]
            is_endless = path.startswith(_BEFORE) and path.endswith(_ENDLESS)
            async with asyncio.timeout(None if is_endless else self._config.time_s):
                await self._roads(scope, received, sent)
        except Exception as error:  # noqa: BLE001 - told as a problem, and logged
            problem = _logged_problem(error, scope)
            if status == 0:
                status = problem.status
                await _tell(scope, send, problem)
        # Step 5
        self._count(scope, status, began)

    def _count_stored(self, status: int, began: float) -> None:
        counter = self._found if status == _FOUND else self._metrics.requests.labels("GET", LIST_ROUTE, str(status))
        counter.inc()
        self._seconds.observe(time.perf_counter() - began)

    def _count(self, scope: Scoped, status: int, began: float) -> None:
        route = _route(scope)
        self._metrics.requests.labels(scope.get("method", "WEBSOCKET"), route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(time.perf_counter() - began)


def _route(scope: Scoped) -> str:
    """Return the road that a request takes, as the document has it."""
    return str(getattr(scope.get("route"), "path", "other"))


def _logged_problem(error: Exception, scope: Scoped) -> ProblemError:
    """Return what a failure is told as; what nobody foresaw is in the log as well."""
    problem = problem_of(error)
    if problem.status == _UNFORESEEN and not isinstance(error, StreamError):
        logger.error("api.failed %s %s", scope["method"], _route(scope), exc_info=error)  # a path may name a person
    return problem


def _require_own_page(headers: dict[bytes, bytes]) -> None:
    """Refuse what a page of another site makes a browser send; a browser names the page with all that changes."""
    origin = headers.get(b"origin")
    if origin is not None and origin.rpartition(b"//")[2] != headers.get(b"host"):
        raise ProblemError(
            403, f"a page of this process is required to ask, got one of {origin.decode('latin-1')!r:.80}"
        )


def _scope_of(scope: Scoped, path: str) -> Scope:
    if scope["type"] == "websocket" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return "read"
    return "write" if path == "/events" or _EVENT.fullmatch(path) else "operate"


def _user_of(scope: Scoped, path: str) -> str | None:
    """Return the user whom the path names, None where the application behind is to say what is wrong with it."""
    user_id = path[len(_BEFORE) : -len(_AFTER)]
    if "%2F" in scope["raw_path"].decode("latin-1").upper():
        user_id = unquote(user_id)
    return user_id if 0 < len(user_id) <= _LONGEST_ID and "/" not in user_id else None


async def _tell(scope: Scoped, send: Any, problem: ProblemError) -> None:
    status, headers, body = rendered(problem, scope["path"])
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:100]})
        return
    raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
