"""Every setting that has a variable: its key in a configuration file, its variable, its default, whether it is secret.

The values are read and checked where they are used (``settings``, ``security``, ``tokens`` and others); this is the
list of what there is, so that a file can be read, an unknown key refused, and each value named with where it is from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from streams.kinds import KINDS_VARIABLE
from streams.settings import VARIABLES, data_folder, without_password

__all__ = ["SETTINGS", "Setting", "nearest"]

SettingType = Literal["text", "list", "number", "flag"]
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Parameters
    ----------
    table, key : where it stands in a configuration file.
    variable : its environment variable.
    default : what counts where nobody says, as its variable takes it; a function where this machine decides.
    type : what a file may say: text, a list of texts as well (joined by commas), a whole number, or true and false.
    is_secret : whether its value is shown to nobody.
    is_of_process : whether each process may have its own, so that the table of a command may say it as well.
    """

    table: str
    key: str
    variable: str
    default: str | Callable[[], str] = ""
    type: SettingType = "text"
    is_secret: bool = False
    is_of_process: bool = False

    @property
    def name(self) -> str:
        """Table and key, as they are named in the docs."""
        return f"{self.table}.{self.key}"

    def default_text(self) -> str:
        """Return what counts where nobody says."""
        return self.default if isinstance(self.default, str) else self.default()

    def shown(self, value: str) -> str:
        """Return a value fit to be shown."""
        if self.is_secret:
            return HIDDEN if value else ""
        return without_password(value) if self.variable == VARIABLES["redis"] else value


SETTINGS = (
    Setting("kafka", "addresses", VARIABLES["kafka"], "127.0.0.1:9092", "list"),
    Setting("kafka", "compression", VARIABLES["compression"], "none"),
    Setting("kafka", "security_protocol", "REELSTREAM_KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
    Setting("kafka", "sasl_mechanism", "REELSTREAM_KAFKA_SASL_MECHANISM"),
    Setting("kafka", "sasl_username", "REELSTREAM_KAFKA_SASL_USERNAME"),
    Setting("kafka", "sasl_password", "REELSTREAM_KAFKA_SASL_PASSWORD", is_secret=True),
    Setting("kafka", "sasl_token", "REELSTREAM_KAFKA_SASL_TOKEN", is_secret=True),
    Setting("kafka", "sasl_token_file", "REELSTREAM_KAFKA_SASL_TOKEN_FILE"),
    Setting("kafka", "sasl_token_url", "REELSTREAM_KAFKA_SASL_TOKEN_URL"),
    Setting("kafka", "sasl_client_id", "REELSTREAM_KAFKA_SASL_CLIENT_ID"),
    Setting("kafka", "sasl_client_secret", "REELSTREAM_KAFKA_SASL_CLIENT_SECRET", is_secret=True),
    Setting("kafka", "sasl_scope", "REELSTREAM_KAFKA_SASL_SCOPE"),
    Setting("kafka", "ssl_cafile", "REELSTREAM_KAFKA_SSL_CAFILE"),
    Setting("kafka", "ssl_certfile", "REELSTREAM_KAFKA_SSL_CERTFILE"),
    Setting("kafka", "ssl_keyfile", "REELSTREAM_KAFKA_SSL_KEYFILE"),
    Setting("redis", "url", VARIABLES["redis"], "redis://127.0.0.1:6379/0"),
    Setting("redis", "allow_eviction", VARIABLES["allow_eviction"], "0", "flag"),
    Setting("topics", "prefix", VARIABLES["prefix"]),
    Setting("topics", "partitions", VARIABLES["partitions"], "8", "number"),
    Setting("topics", "replication", VARIABLES["replication"], "1", "number"),
    Setting("events", "kinds", KINDS_VARIABLE),
    Setting("events", "idle_days", VARIABLES["idle_days"], "365", "number"),
    Setting("events", "keep_repeats", VARIABLES["keep_repeats"], "0", "flag"),
    Setting("models", "registry", VARIABLES["registry"], lambda: str(data_folder() / "models")),
    Setting("models", "retrieval", VARIABLES["retrieval"], "auto"),
    Setting("archive", "url", "REELSTREAM_ARCHIVE", lambda: str(data_folder() / "archive")),
    Setting("api", "keys", "REELSTREAM_API_KEYS", lambda: str(data_folder() / "api-keys.json")),
    Setting("metrics", "port", "REELSTREAM_METRICS_PORT", "", "number", is_of_process=True),
    Setting("metrics", "host", "REELSTREAM_METRICS_HOST", "127.0.0.1", is_of_process=True),
    Setting("log", "format", "REELSTREAM_LOG_FORMAT", "text", is_of_process=True),
    Setting("wording", "url", "REELSTREAM_WORDING_URL"),
    Setting("wording", "model", "REELSTREAM_WORDING_MODEL"),
    Setting("wording", "key", "REELSTREAM_WORDING_KEY", is_secret=True),
    Setting("wording", "budget_ms", "REELSTREAM_WORDING_BUDGET_MS", "800", "number"),
)


def nearest(name: str, known: list[str]) -> str:
    """Return the end of a message that refuses a name: the known one nearest to it, else all of them."""
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
