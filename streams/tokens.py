"""Bearer tokens for SASL OAUTHBEARER, as managed Kafka asks for them: given, in a file, or fetched from an issuer.

A file is read anew for each connection, so an agent may replace it, as Kubernetes does with projected tokens. An issuer
(OpenID Connect, client credentials) is asked by one POST, and its token serves all clients of the process until four
fifths of its life are over, as in Kafka's own client. That POST is the whole of it, so it is made with the standard
library: a package for OAuth would bring every other grant, and an HTTP client of its own.

A token that cannot be had is a connection that cannot be made: clients try again, and a line says why. No token and no
secret is in a ``repr``, a message or a log.
"""

import base64
import logging
import os
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib import request
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit

import orjson

from streams.errors import SettingsError

__all__ = ["TokenSource"]

ASK_S = 5.0  # for each step of the POST; clients give up a connection after some ten seconds
MAX_ANSWER_BYTES = 64 * 1024  # bytes of an answer or a file; a token is a few kilobytes
USED_FOR = 0.8  # of its life, as Kafka's sasl.login.refresh.window.factor
LIFE_S = 300.0  # where the issuer does not say
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_VARIABLES = {
    "token": "REELSTREAM_KAFKA_SASL_TOKEN",
    "file": "REELSTREAM_KAFKA_SASL_TOKEN_FILE",
    "url": "REELSTREAM_KAFKA_SASL_TOKEN_URL",
    "client_id": "REELSTREAM_KAFKA_SASL_CLIENT_ID",
    "client_secret": "REELSTREAM_KAFKA_SASL_CLIENT_SECRET",
    "scope": "REELSTREAM_KAFKA_SASL_SCOPE",
}
_WAYS = ("token", "file", "url")
_OF_URL = ("client_id", "client_secret", "scope")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where tokens come from; exactly one of ``token``, ``file`` and ``url`` is given.

    Parameters
    ----------
    token : one that lasts, or long enough (``REELSTREAM_KAFKA_SASL_TOKEN``).
    file : path of a file that somebody keeps fresh (``REELSTREAM_KAFKA_SASL_TOKEN_FILE``).
    url : the issuer's token endpoint, https, or http on this machine (``REELSTREAM_KAFKA_SASL_TOKEN_URL``).
    client_id, client_secret : who we are to the issuer (``REELSTREAM_KAFKA_SASL_CLIENT_ID``, ``.._CLIENT_SECRET``).
    scope : what to ask for, if the issuer wants it (``REELSTREAM_KAFKA_SASL_SCOPE``).
    cafile : PEM certificates to trust at the issuer, beside the system's.

    Raises
    ------
    SettingsError
        If a field is missing, or would be ignored; the message names its variable.
    """

    token: str | None = field(default=None, repr=False)
    file: str | None = None
    url: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    cafile: str | None = None

    def __post_init__(self) -> None:
        given = [_VARIABLES[name] for name in _WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            ways = ", ".join(_VARIABLES[name] for name in _WAYS)
            raise SettingsError(
                f"settings: exactly one of {ways} must be given for OAUTHBEARER, got {', '.join(given) or 'none'}"
            )
        if self.url is None:
            ignored = [_VARIABLES[name] for name in _OF_URL if getattr(self, name) is not None]
            if ignored:
                raise SettingsError(
                    f"settings: {_VARIABLES['url']} must be given where {ignored[0]} is, got {given[0]} instead"
                )
            return
        where = urlsplit(self.url)
        if where.scheme != "https" and not (where.scheme == "http" and where.hostname in LOOPBACK):
            raise SettingsError(
                f"settings: {_VARIABLES['url']} must be an https URL, as a secret goes there, got {self.url!r}"
            )
        for name in ("client_id", "client_secret"):
            if getattr(self, name) is None:
                raise SettingsError(f"settings: {_VARIABLES[name]} must be given with {given[0]}, got nothing")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, cafile: str | None = None) -> Self | None:
        """Read the variables; None where none of them is given."""
        environment = os.environ if environment is None else environment
        given = {name: environment[variable] for name, variable in _VARIABLES.items() if environment.get(variable)}
        return cls(**given, cafile=cafile) if given else None

    @staticmethod
    def variables(source: "TokenSource | None") -> dict[str, str]:
        """Return the variables that hand a source, or none, to a child process."""
        return {variable: getattr(source, name, None) or "" for name, variable in _VARIABLES.items()}

    def get(self) -> str:
        """Return a token to connect with now.

        Raises
        ------
        ConnectionError
            If the file cannot be read or the issuer gives none.
        """
        try:
            if self.token is not None:
                return self.token
            return _read(self.file) if self.file is not None else _cache_of(self).get()
        except (OSError, ValueError) as error:
            got = _described(error)
            if isinstance(error, HTTPError):
                error.close()
            raise ConnectionError(f"a token is required from {self.file or self.url}, got {got}") from error

    def get_or_log(self) -> str:
        """Return a token as ``get`` does; one that cannot be had is logged, as clients do not tell."""
        try:
            return self.get()
        except ConnectionError as error:
            _LOG.warning("kafka.token_missing %s", error)
            raise


class _CachedToken:
    """The latest token of an issuer, shared by all clients of this process."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def get(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                asked = time.monotonic()
                self._token, life_s = _asked(self._source)
                self._until = asked + USED_FOR * life_s
            return self._token


@cache
def _cache_of(source: TokenSource) -> _CachedToken:
    return _CachedToken(source)


class _NoRedirect(request.HTTPRedirectHandler):
    """Takes a redirection for the error that it is: the secret is for the address that was given."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def _asked(source: TokenSource) -> tuple[str, float]:
    """Ask the issuer (RFC 6749, sections 4.4 and 2.3.1) and return a token and its life in seconds."""
    context = ssl.create_default_context()
    if source.cafile is not None:
        context.load_verify_locations(source.cafile)
    who = f"{quote(source.client_id or '', safe='')}:{quote(source.client_secret or '', safe='')}"
    form = {"grant_type": "client_credentials"} | ({"scope": source.scope} if source.scope else {})
    headers = {"Authorization": f"Basic {base64.b64encode(who.encode()).decode()}", "Accept": "application/json"}
    asking = request.Request(source.url or "", urlencode(form).encode(), headers)  # noqa: S310 - https, checked
    opener = request.build_opener(request.HTTPSHandler(context=context), _NoRedirect())
    with opener.open(asking, timeout=ASK_S) as answer:
        found: Any = orjson.loads(answer.read(MAX_ANSWER_BYTES))
    token = found.get("access_token") if isinstance(found, dict) else None
    if not isinstance(token, str) or not token:
        raise ValueError("an answer without access_token")
    return token, float(found.get("expires_in") or LIFE_S)


def _read(path: str) -> str:
    with Path(path).open("rb") as file:
        token = file.read(MAX_ANSWER_BYTES).decode("ascii").strip()
    if not token:
        raise ValueError("an empty file")
    return token


def _described(error: Exception) -> str:
    """Return what went wrong without anything that was sent or received."""
    if isinstance(error, HTTPError):
        return f"HTTP status {error.code}"
    if isinstance(error, (UnicodeDecodeError, orjson.JSONDecodeError)):
        return f"something that is none ({type(error).__name__})"
    return f"{type(error).__name__}: {error}"
