"""How to be let in to a secured Kafka: the protocol, who we are, and which certificates to trust.

Every client of the project gets its arguments here: kafka-python and aiokafka take nearly the same names, Faust takes
objects of its own. Passwords and tokens are in no ``repr``; nothing here connects to Kafka. Tokens come from
``streams.tokens``.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from streams.errors import SettingsError
from streams.tokens import TokenSource

__all__ = ["KafkaSecurity"]

_VARIABLES = {
    "protocol": "REELSTREAM_KAFKA_SECURITY_PROTOCOL",
    "mechanism": "REELSTREAM_KAFKA_SASL_MECHANISM",
    "username": "REELSTREAM_KAFKA_SASL_USERNAME",
    "password": "REELSTREAM_KAFKA_SASL_PASSWORD",
    "cafile": "REELSTREAM_KAFKA_SSL_CAFILE",
    "certfile": "REELSTREAM_KAFKA_SSL_CERTFILE",
    "keyfile": "REELSTREAM_KAFKA_SSL_KEYFILE",
}
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_BEARER = "OAUTHBEARER"
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", _BEARER)
_PASSWORD_FIELDS = ("username", "password")
_TLS_FIELDS = ("cafile", "certfile", "keyfile")


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """What a client needs to be let in; by default nothing.

    Parameters
    ----------
    protocol : PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL (``REELSTREAM_KAFKA_SECURITY_PROTOCOL``).
    mechanism : PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, with a SASL protocol
        (``REELSTREAM_KAFKA_SASL_MECHANISM``).
    username, password : with the first three (``REELSTREAM_KAFKA_SASL_USERNAME``, ``.._PASSWORD``).
    cafile : PEM certificates to trust, with an SSL protocol (``REELSTREAM_KAFKA_SSL_CAFILE``); the system's if None.
    certfile, keyfile : PEM certificate and unencrypted key to show, where the brokers ask for one
        (``REELSTREAM_KAFKA_SSL_CERTFILE``, ``.._KEYFILE``).
    tokens : where tokens come from, with OAUTHBEARER.

    Raises
    ------
    SettingsError
        If a field is missing, unknown, or would be ignored under the protocol; the message names its variable.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    tokens: TokenSource | None = None

    def __post_init__(self) -> None:
        _one_of("protocol", _PROTOCOLS, self.protocol)
        if self.is_sasl:
            _one_of("mechanism", _MECHANISMS, self.mechanism)
        self._agrees("mechanism", "a SASL", is_used=self.is_sasl, is_required=True)
        for name in _PASSWORD_FIELDS:
            self._agrees(name, "a SASL", is_used=self.is_sasl, is_required=self.mechanism != _BEARER)
        self._require_tokens_or_password()
        for name in _TLS_FIELDS:
            self._agrees(name, "an SSL", is_used=self.is_tls, is_required=False)
        if (self.certfile is None) != (self.keyfile is None):
            raise SettingsError(
                f"settings: {_VARIABLES['certfile']} and {_VARIABLES['keyfile']} must be given together, "
                f"got {self.certfile!r} and {self.keyfile!r}"
            )

    @property
    def is_sasl(self) -> bool:
        """Whether we say who we are."""
        return self.protocol.startswith("SASL_")

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables; an empty one counts as not given."""
        environment = os.environ if environment is None else environment
        given = {name: environment[variable] for name, variable in _VARIABLES.items() if environment.get(variable)}
        return cls(**given, tokens=TokenSource.from_environment(environment, given.get("cafile")))

    def environment(self) -> dict[str, str]:
        """Return the variables that hand this to a child process, which a command line would show to everybody."""
        own = {variable: getattr(self, name) or "" for name, variable in _VARIABLES.items()}
        return own | TokenSource.variables(self.tokens)

    def aiokafka(self) -> dict[str, Any]:
        """Return the keyword arguments for any client of aiokafka.

        Raises
        ------
        SettingsError
            If a certificate or key cannot be read.
        """
        given = self._shared()
        if self.tokens is not None:
            from streams.token_providers import AsyncTokens  # noqa: PLC0415 - loads the clients, which settings do not

            given["sasl_oauth_token_provider"] = AsyncTokens(self.tokens)
        return given

    def kafka_python(self) -> dict[str, Any]:
        """Return the keyword arguments for any client of kafka-python; errors are those of ``aiokafka``.

        With OAUTHBEARER the first token is asked for here, and ConnectionError raised where there is none: the client
        itself would try for its whole time and then say that no broker answers.
        """
        given = self._shared()
        if self.tokens is not None:
            from streams.token_providers import BlockingTokens  # noqa: PLC0415 - same

            self.tokens.get()
            given["sasl_oauth_token_provider"] = BlockingTokens(self.tokens)
        return given

    def faust(self) -> dict[str, Any]:
        """Return the keyword arguments for a Faust app; errors are those of ``aiokafka``."""
        from faust import auth  # noqa: PLC0415 - takes a second, only workers need it

        context = self._ssl_context() if self.is_tls else None
        credentials: Any
        if self.tokens is not None:
            from streams.token_providers import AsyncTokens  # noqa: PLC0415 - same

            credentials = auth.OAuthCredentials(oauth_cb=AsyncTokens(self.tokens), ssl_context=context)
        elif self.is_sasl:
            credentials = auth.SASLCredentials(
                username=self.username, password=self.password, ssl_context=context, mechanism=self.mechanism
            )
        else:
            credentials = auth.SSLCredentials(context) if context else None
        return {"broker_credentials": credentials}

    def _shared(self) -> dict[str, Any]:
        """Return the arguments that aiokafka and kafka-python name alike."""
        given: dict[str, Any] = {"security_protocol": self.protocol}
        if self.is_tls:
            given["ssl_context"] = self._ssl_context()
        if self.is_sasl:
            given["sasl_mechanism"] = self.mechanism
        if self.password is not None:
            given["sasl_plain_username"] = self.username
            given["sasl_plain_password"] = self.password
        return given

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.cafile)
            if self.certfile:
                context.load_cert_chain(
                    self.certfile, self.keyfile, password=""
                )  # without one it would ask on the terminal
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(
                f"settings: {', '.join(_VARIABLES[name] for name in _TLS_FIELDS)} must name readable PEM files, "
                f"got {self.cafile!r}, {self.certfile!r}, {self.keyfile!r}: {error}"
            ) from error
        return context

    def _require_tokens_or_password(self) -> None:
        """Require tokens with OAUTHBEARER and only there, and no password that would be ignored with it."""
        wants_tokens = self.is_sasl and self.mechanism == _BEARER
        if wants_tokens and self.tokens is None:
            raise SettingsError(
                f"settings: REELSTREAM_KAFKA_SASL_TOKEN, .._TOKEN_FILE or .._TOKEN_URL must be given with {_BEARER}, "
                "got none"
            )
        if self.tokens is not None and not wants_tokens:
            raise SettingsError(
                f"settings: {_VARIABLES['mechanism']} must be {_BEARER} where a token is given, got {self.mechanism!r}"
            )
        for name in _PASSWORD_FIELDS:
            if wants_tokens and getattr(self, name) is not None:
                raise SettingsError(
                    f"settings: {_VARIABLES['mechanism']} must be another one where {_VARIABLES[name]} is given, "
                    f"got {self.mechanism!r}"
                )

    def _agrees(self, name: str, kind: str, *, is_used: bool, is_required: bool) -> None:
        """Require a field where the protocol uses it, and its absence where it would be ignored."""
        is_given = getattr(self, name) is not None
        if is_required and is_used and not is_given:
            raise SettingsError(f"settings: {_VARIABLES[name]} must be given with {self.protocol}, got nothing")
        if is_given and not is_used:
            raise SettingsError(
                f"settings: {_VARIABLES['protocol']} must be {kind} protocol where {_VARIABLES[name]} is given, "
                f"got {self.protocol!r}"
            )


def _one_of(name: str, allowed: tuple[str, ...], got: str | None) -> None:
    if got not in allowed:
        raise SettingsError(f"settings: {_VARIABLES[name]} must be one of {', '.join(allowed)}, got {got!r}")
