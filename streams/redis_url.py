"""The forms of an address of Redis: redis-py's own, and one for Sentinels, for which redis-py has none.

``redis+sentinel://[user:password@]host:port[,host:port]/SERVICE[/DATABASE][?options]`` names some Sentinels and the
service that they watch; ``rediss+sentinel://`` is the same by TLS. User and password are the servers' own; those of the
Sentinels are the options ``sentinel_username`` and ``sentinel_password``. Nothing here connects.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

__all__ = ["SENTINEL_SCHEMES", "SentinelService", "database_of", "in_database", "names_sentinels"]

SENTINEL_SCHEMES = ("redis+sentinel://", "rediss+sentinel://")
_PORT = 26379
_FORM = "redis+sentinel://[user:password@]host:port[,host:port]/SERVICE[/DATABASE]"
_OWN = {"sentinel_username": "username", "sentinel_password": "password"}


def names_sentinels(url: str) -> bool:
    """Return whether an address names Sentinels."""
    return url.startswith(SENTINEL_SCHEMES)


@dataclass(frozen=True, slots=True)
class SentinelService:
    """A service that Sentinels watch.

    Parameters
    ----------
    sentinels : host and port of each.
    service : its name.
    server, sentinel : redis-py's keyword arguments for connections to its servers and to the Sentinels.
    """

    sentinels: tuple[tuple[str, int], ...]
    service: str
    server: dict[str, Any] = field(repr=False)
    sentinel: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "SentinelService":
        """Read an address; raise ValueError where it has another form."""
        parts = urlsplit(url)
        who, at, where = parts.netloc.rpartition("@")
        service, _, database = parts.path.strip("/").partition("/")
        hosts = [urlsplit(f"//{host}") for host in where.split(",")]
        if not service or not all(host.hostname for host in hosts) or not (database or "0").isdigit():
            raise ValueError(f"the form {_FORM} is required")
        options = parse_qsl(parts.query, keep_blank_values=True)
        own = {_OWN[name]: value for name, value in options if name in _OWN}
        query = urlencode([(name, value) for name, value in options if name not in _OWN])
        scheme = parts.scheme.partition("+")[0]
        server = _parsed(f"{scheme}://{who}{at}host/{database or 0}?{query}")
        for name in ("host", "connection_class"):
            server.pop(name, None)
        tls = {name: value for name, value in server.items() if name.startswith("ssl_")}
        if scheme == "rediss":
            server["ssl"] = tls["ssl"] = True
        sentinels = tuple((str(host.hostname), host.port or _PORT) for host in hosts)
        return cls(sentinels, unquote(service), server, own | tls)


def database_of(url: str) -> int:
    """Return the number of the logical database that a URL names; 0 where it names none."""
    return int((SentinelService.of(url).server if names_sentinels(url) else _parsed(url)).get("db") or 0)


def in_database(url: str, index: int) -> str:
    """Return the URL of another logical database of the same server."""
    parts = urlsplit(url)
    query = {name: value for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "db"}
    if parts.scheme == "unix":
        return parts._replace(query=urlencode(query | {"db": str(index)})).geturl()
    service = f"/{parts.path.strip('/').partition('/')[0]}" if names_sentinels(url) else ""
    return parts._replace(path=f"{service}/{index}", query=urlencode(query)).geturl()


def _parsed(url: str) -> dict[str, Any]:
    from redis.asyncio.connection import parse_url  # noqa: PLC0415 - whoever only reads settings need not wait for it

    return dict(parse_url(url))
