"""Signing in: who shows a key in a form gets a cookie that names a session, so that a browser can open the page.

The cookie holds chance and no key, no script can read it, and no other site makes a browser send it. A session counts
as long as its key does, and 12 hours at most; a restart ends all. The API itself takes keys alone, never a cookie.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from streams.errors import SettingsError
from web.api.keys import ApiKey, KeyFile, Scope

__all__ = ["EVERYBODY", "SIGN_IN", "SIGN_OUT", "VISIT", "Sessions", "SignIn", "Visit", "session_in"]

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
VISIT = "reelstream.visit"  # of a scope of ASGI: who asks, and what they may do
COOKIE = "reelstream_session"
LASTS_S = 12 * 3600
_MOST = 1000  # sessions; then the oldest ends
_BODY_BYTES = 4096  # a key has 57 characters


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody at the page.

    Parameters
    ----------
    may : tells by a scope, anew each time, as a key may be taken away meanwhile.
    name : of the key that they signed in with, None where no key is needed.
    """

    may: Callable[[Scope], bool]
    name: str | None = None


EVERYBODY = Visit(lambda _: True)  # of a process that only this machine reaches


class Sessions:
    """Who has signed in to this process.

    Parameters
    ----------
    keys : those that count.
    """

    def __init__(self, keys: KeyFile) -> None:
        self._keys = keys
        self._begun: dict[str, tuple[str, float]] = {}  # digest of the token -> digest of the key, and its end

    def begin(self, key: str) -> str | None:
        """Return the token of a new session, or None for an unknown key."""
        if self._keys.find(key) is None:
            return None
        now = time.monotonic()
        self._begun = {token: one for token, one in self._begun.items() if one[1] > now}
        while len(self._begun) >= _MOST:
            self._begun.pop(next(iter(self._begun)))
        token = secrets.token_urlsafe(32)
        self._begun[_digest(token)] = (_digest(key), now + LASTS_S)
        return token

    def key_of(self, token: str) -> ApiKey | None:
        """Return the key that a session began with, None where either counts no more."""
        key, ends = self._begun.get(_digest(token), ("", 0.0))
        return self._keys.of_digest(key) if ends > time.monotonic() else None

    def end(self, token: str) -> None:
        """Let a session count no more."""
        self._begun.pop(_digest(token), None)

    def visit(self, token: str) -> Visit:
        """Return who asks in a session, also one that counts no more: they may do nothing."""
        begun_with = self.key_of(token)

        def may(scope: Scope) -> bool:
            key = self.key_of(token)
            return key is not None and scope in key.scopes

        return Visit(may, begun_with.name if begun_with else "")


class SignIn:
    """Answers the two paths of signing in and out, as ASGI has it.

    Parameters
    ----------
    sessions : that begin and end here.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Show the form, take a key, or end a session."""
        if scope["method"] != "POST":
            await _show(send, 200, "")
        elif scope["path"] == SIGN_OUT:
            self._sessions.end(session_in(scope))
            await _go(send, SIGN_IN, _cookie(scope, "", 0))
        else:
            try:
                token = self._sessions.begin(await _key_in(receive))
            except SettingsError:
                await _show(send, 503, "Keys cannot be read here for now; the log of the api says why.")
                return
            if token is None:
                await _show(send, 401, "That key is unknown here. `reelstream keys list` shows those that there are.")
            else:
                await _go(send, "/", _cookie(scope, token, LASTS_S))


def session_in(scope: dict[str, Any]) -> str:
    """Return the token that a browser sent, empty without any."""
    given = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
    try:
        found = SimpleCookie(given).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


async def _key_in(receive: Any) -> str:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _BODY_BYTES or message["type"] == "http.disconnect":
            return ""
        if not message.get("more_body"):
            return str(parse_qs(body.decode("latin-1")).get("key", [""])[0]).strip()


def _cookie(scope: dict[str, Any], token: str, lasts_s: int) -> bytes:
    by_proxy = dict(scope["headers"]).get(b"x-forwarded-proto", b"")  # who lies about it harms nobody else
    secure = "; Secure" if b"https" in (scope["scheme"].encode(), by_proxy) else ""
    return f"{COOKIE}={token}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}".encode()


async def _go(send: Any, where: str, cookie: bytes) -> None:
    headers = [(b"location", where.encode()), (b"set-cookie", cookie), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _show(send: Any, status: int, wrong: str) -> None:
    told = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    body = _FORM.replace("TOLD", told).encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (b"referrer-policy", b"same-origin"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


_FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in - Reelstream</title><style>
:root { color-scheme: light dark }
a { color: inherit }
body { font: 16px/1.45 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto 0; padding: 0 1rem }
input, button { font: inherit; padding: .55rem .7rem; width: 100%; box-sizing: border-box; margin: .3rem 0 .9rem }
</style></head><body><main><h1>Reelstream</h1>TOLD
<form method="post" action="/sign-in">
<label for="key">Key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Sign in</button></form>
<p>With the scope read you see, with write you rate, with operate you choose versions and replay.</p>
<p><a href="/">Signed in already: to the lists</a></p></main></body></html>
"""
