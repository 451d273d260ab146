"""The addresses and sizes that every process must agree on, read once from the environment.

Configuration of one part (cold start, network, trainer) stands beside that part; here is only what joins them.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from platformdirs import user_data_path

from model.kinds import DEFAULT_KINDS, KindTable
from streams.errors import SettingsError
from streams.kinds import KINDS_VARIABLE, read_kinds
from streams.redis_url import SENTINEL_SCHEMES
from streams.security import KafkaSecurity

__all__ = ["VARIABLES", "Compression", "RetrievalMode", "Settings", "data_folder", "without_password"]

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
RetrievalMode = Literal["auto", "exact", "faiss", "faiss-tower"]
_COMPRESSION: tuple[Compression, ...] = ("none", "gzip", "snappy", "lz4", "zstd")
_RETRIEVAL: tuple[RetrievalMode, ...] = ("auto", "exact", "faiss", "faiss-tower")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,64}")
VARIABLES = {  # of each setting, its environment variable
    "kafka": "REELSTREAM_KAFKA",
    "redis": "REELSTREAM_REDIS",
    "registry": "REELSTREAM_REGISTRY",
    "prefix": "REELSTREAM_PREFIX",
    "partitions": "REELSTREAM_PARTITIONS",
    "replication": "REELSTREAM_REPLICATION",
    "idle_days": "REELSTREAM_IDLE_DAYS",
    "retrieval": "REELSTREAM_RETRIEVAL",
    "compression": "REELSTREAM_KAFKA_COMPRESSION",
    "allow_eviction": "REELSTREAM_ALLOW_EVICTION",
    "keep_repeats": "REELSTREAM_KEEP_REPEATS",
}
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def data_folder() -> Path:
    """Return the folder that holds what the local stack, the registry and the data cache keep."""
    return user_data_path("reelstream")


def without_password(url: str) -> str:
    """Return a URL of Redis fit to be shown: with ``***`` for its password, wherever it stands."""
    scheme, slashes, address = url.partition("://") if "://" in url else ("", "", url)
    who, at, where = address.rpartition("@")
    user, colon, _ = who.partition(":")
    shown = f"{scheme}{slashes}{user}{colon and ':***'}{at}{where}"
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1***", shown)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are and how many pieces they come in.

    Parameters
    ----------
    kafka : bootstrap addresses, ``host:port`` separated by commas (``REELSTREAM_KAFKA``).
    redis : a redis-py URL of a server or of a cluster's member, or ``redis+sentinel://`` (``REELSTREAM_REDIS``); not in
        the ``repr``, as it may hold a password.
    registry : fsspec URL or folder of the model registry (``REELSTREAM_REGISTRY``).
    prefix : put before every topic, consumer group and key in Redis (``REELSTREAM_PREFIX``).
    partitions : partitions of each event topic (``REELSTREAM_PARTITIONS``); 8 lets up to 4 workers share
        evenly with room for one more doubling.
    replication : copies of each partition (``REELSTREAM_REPLICATION``); 1 on one broker, 3 in production.
    idle_days : days without an event after which a user is forgotten, 0 for never (``REELSTREAM_IDLE_DAYS``); a year,
        because somebody who comes back after that is a new user to trending and to the model.
    retrieval : who is scored for a list (``REELSTREAM_RETRIEVAL``): ``exact`` all items, ``faiss`` candidates from an
        index, ``faiss-tower`` the same from one without long-term taste, ``auto`` one of the first two by the size of
        the catalogue (``model/ranking/retrieval.py``).
    compression : how our producers compress what they send (``REELSTREAM_KAFKA_COMPRESSION``): ``none``, ``gzip``,
        ``snappy``, ``lz4`` or ``zstd``; none by default, as it is quickest on a near network.
    allow_eviction : whether a Redis that may evict keys is put up with (``REELSTREAM_ALLOW_EVICTION``, 1 or 0); the
        state is then no longer promised to be exact.
    keep_repeats : whether users come back to items (``REELSTREAM_KEEP_REPEATS``, 1 or 0): what they touched before is
        then learnt from again, tested, and may be listed; a version of the other kind is not served.
    security : how Kafka lets us in (``REELSTREAM_KAFKA_SECURITY_PROTOCOL`` and others).
    kinds : which kinds of events there are, and what each tells; the variable names a file (``REELSTREAM_KINDS``).

    Raises
    ------
    SettingsError
        If a field cannot be used; the message names its variable.
    """

    kafka: str
    redis: str = field(repr=False)
    registry: str
    prefix: str = ""
    partitions: int = 8
    replication: int = 1
    idle_days: int = 365
    retrieval: RetrievalMode = "auto"
    compression: Compression = "none"
    allow_eviction: bool = False
    keep_repeats: bool = False
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    kinds: KindTable = DEFAULT_KINDS

    def __post_init__(self) -> None:
        _require(bool(self.kafka.strip()), "kafka", "addresses as host:port", self.kafka)
        _require(
            self.redis.startswith(("redis://", "rediss://", "unix://", *SENTINEL_SCHEMES)),
            "redis",
            "a redis:// or redis+sentinel:// URL",
            without_password(self.redis),
        )
        _require(bool(self.registry), "registry", "a folder or an fsspec URL", self.registry)
        _require(
            _PREFIX.fullmatch(self.prefix) is not None,
            "prefix",
            "at most 64 letters, digits, dots, dashes",
            self.prefix,
        )
        _require(1 <= self.partitions <= 4096, "partitions", "1 to 4096", self.partitions)  # noqa: PLR2004 - stated in the message
        _require(1 <= self.replication <= 15, "replication", "1 to 15", self.replication)  # noqa: PLR2004 - same
        _require(self.retrieval in _RETRIEVAL, "retrieval", " or ".join(_RETRIEVAL), self.retrieval)
        _require(self.compression in _COMPRESSION, "compression", " or ".join(_COMPRESSION), self.compression)
        _require(0 <= self.idle_days <= 36500, "idle_days", "0 (never) to 36500", self.idle_days)  # noqa: PLR2004 - same

    @property
    def kafka_addresses(self) -> list[str]:
        """The bootstrap addresses one by one, as every client takes them."""
        return [address.strip() for address in self.kafka.split(",") if address.strip()]

    @property
    def compression_type(self) -> str | None:
        """The compression as aiokafka and kafka-python name it: None for none."""
        return None if self.compression == "none" else self.compression

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: str | int | None) -> Self:
        """Read the settings; a value given here wins over its variable, which wins over the default."""
        environment = os.environ if environment is None else environment
        values: dict[str, str | int | KafkaSecurity | KindTable] = {
            "kafka": "127.0.0.1:9092",
            "redis": "redis://127.0.0.1:6379/0",
            "registry": str(data_folder() / "models"),
            "security": KafkaSecurity.from_environment(environment),
        }
        for name, variable in VARIABLES.items():
            if environment.get(variable):
                values[name] = environment[variable]
        if environment.get(KINDS_VARIABLE):
            values["kinds"] = read_kinds(environment[KINDS_VARIABLE])
        values.update({name: value for name, value in given.items() if value is not None})
        for name in ("partitions", "replication", "idle_days"):
            if name in values:
                values[name] = _whole_number(name, values[name])
        for name in ("allow_eviction", "keep_repeats"):
            if name in values:
                values[name] = _flag(name, values[name])
        return cls(**values)  # type: ignore[arg-type]  # checked in __post_init__

    def at(self, kafka: str, redis: str) -> "Settings":
        """Return the same settings with other addresses."""
        return replace(self, kafka=kafka, redis=redis)

    def environment(self) -> dict[str, str]:
        """Return the variables that hand these settings to a child process."""
        own = {variable: _text(getattr(self, name)) for name, variable in VARIABLES.items()}
        return own | self.security.environment() | {KINDS_VARIABLE: self.kinds.file}


def _text(value: object) -> str:
    """Return a value as its variable takes it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _require(condition: bool, name: str, required: str, got: object) -> None:  # noqa: FBT001 - a condition
    if not condition:
        raise SettingsError(f"settings: {VARIABLES[name]} must be {required}, got {got!r}")


def _flag(name: str, value: object) -> bool:
    found = _FLAGS.get(str(value).lower())
    if found is None:
        raise SettingsError(f"settings: {VARIABLES[name]} must be 1 or 0, got {value!r}")
    return found


def _whole_number(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise SettingsError(f"settings: {VARIABLES[name]} must be a whole number, got {value!r}") from None
