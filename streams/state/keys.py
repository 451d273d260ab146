"""The names of everything in Redis, in one place; docs/reference/redis.md is the same table for readers outside.

The prefix of an installation is not in them: its clients put it before every key (``streams.redis.prefix``).

The braces are a Redis Cluster hash tag: all keys of one user, or of one partition, lie in one slot, which is what
lets one function call change them together. A user id is percent-encoded inside its tag (``%``, ``{`` and ``}``
only), so no id can end the tag early or reach another user's keys.
"""

from dataclasses import astuple, dataclass

__all__ = [
    "ALL_LISTS",
    "ALL_USERS",
    "CATALOG",
    "CATALOG_REJECTED",
    "CATALOG_RENAMED",
    "DATA_REQUESTS_REJECTED",
    "EXPERIMENT",
    "HINTS_REJECTED",
    "HINT_LIFTS",
    "HOLD",
    "MODEL",
    "MODEL_MOVES",
    "MODEL_ROUNDS",
    "NEW_ITEMS",
    "OVERRIDES",
    "QUALITY",
    "QUALITY_SERIES",
    "QUALITY_USERS",
    "SOURCES",
    "TOPIC_IDS",
    "TORN",
    "TRENDING_ALL",
    "TRENDING_GENRES",
    "TRENDING_NEWCOMERS",
    "PartitionKeys",
    "SourceKeys",
    "UserKeys",
    "genre_key",
    "handled_field",
    "list_key",
    "lists_of_users",
    "position_field",
    "sentence_key",
    "similar_key",
    "user_of",
]

TRENDING_ALL = "hot:all"
TRENDING_NEWCOMERS = "hot:newcomers"
TRENDING_GENRES = "hot:genres"
ALL_LISTS = "user:{*}:recs"  # matches the list of every user
ALL_USERS = "user:{*}"  # matches the hash of every user, and of these keys no other
CATALOG = "catalog:items"
CATALOG_REJECTED = "catalog:rejected"
CATALOG_RENAMED = "catalog:renamed"
NEW_ITEMS = "catalog:new"
HINTS_REJECTED = "hints:rejected"
DATA_REQUESTS_REJECTED = "topics:data-requests:rejected"  # bad records of data-requests
HINT_LIFTS = "hints:lifts"
MODEL = "model:current"
MODEL_MOVES = "model:history:moves"
MODEL_ROUNDS = "model:history:rounds"
EXPERIMENT = "experiment:current"
OVERRIDES = "modes:chosen"
HOLD = "state:hold"
TORN = "state:torn"
QUALITY = "quality:live"
QUALITY_SERIES = "quality:series"
TOPIC_IDS = "topics:ids"
QUALITY_USERS = "{quality:live}:users"  # in the slot of the figures, as both change in one transaction
SOURCES = ("watch", "rate", "action")  # what the events of each event topic are


@dataclass(frozen=True, slots=True)
class UserKeys:
    """The keys of one user, all in one slot.

    Parameters
    ----------
    profile : hash of counters, times, mode and positions.
    recent : list of the latest interactions.
    seen : set of the items touched.
    genres : hash of decayed affinity.
    hidden : hash, item to whether and since when it is hidden from the user.
    recs : string, the list last published.
    watch_ids, rate_ids, action_ids : strings of records of the events counted lately, one for each topic
        (``calls.read_ids``).
    again : hash, item to how many more times it was touched after the first.
    guests : set of the guests whose history counts as this user's too.
    merged : string, the account that this user was merged into.
    """

    profile: str
    recent: str
    seen: str
    genres: str
    hidden: str
    recs: str
    watch_ids: str
    rate_ids: str
    action_ids: str
    again: str
    guests: str
    merged: str

    @classmethod
    def of(cls, user_id: str) -> "UserKeys":
        """Return the keys of this user."""
        user = f"user:{{{_tag(user_id)}}}"
        return cls(
            user,
            f"{user}:recent",
            f"{user}:seen",
            f"{user}:genres",
            f"{user}:hidden",
            f"{user}:recs",
            f"{user}:ids:watch",
            f"{user}:ids:rate",
            f"{user}:ids:action",
            f"{user}:again",
            f"{user}:guests",
            f"{user}:merged",
        )

    def ids_of(self, source: str) -> str:
        """Return the key of what is remembered of one topic's events; ``source`` is one of ``SOURCES``."""
        return {"watch": self.watch_ids, "rate": self.rate_ids, "action": self.action_ids}[source]

    def all(self) -> tuple[str, ...]:
        """Return every key, the profile first."""
        return astuple(self)

    def own(self) -> tuple[str, ...]:
        """Return every key but that of the user's guests, which other users' records make; the profile first."""
        return tuple(key for key in self.all() if key != self.guests)


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """The keys of one source partition (of all event topics), all in one slot.

    Parameters
    ----------
    at : hash of the applied positions.
    watches, ratings, rating_sum, actions : hashes, item to number.
    """

    at: str
    watches: str
    ratings: str
    rating_sum: str
    actions: str

    @classmethod
    def of(cls, partition: int) -> "PartitionKeys":
        """Return the keys of this partition."""
        items = f"items:{{p{partition}}}"
        return cls(f"{items}:at", f"{items}:watches", f"{items}:ratings", f"{items}:rating_sum", f"{items}:actions")


@dataclass(frozen=True, slots=True)
class SourceKeys:
    """The keys of one event topic's part of a partition, in the slot of the partition.

    The topics of a partition come in any order, each by itself always in the same; so what depends on order is kept for
    each.

    Parameters
    ----------
    clock : hash of the topic's own time and of the landmark that the weights are relative to.
    trending, newcomers : zsets, item to forward-decayed weight, of all users and of newcomers.
    """

    clock: str
    trending: str
    newcomers: str

    @classmethod
    def of(cls, partition: int, source: str) -> "SourceKeys":
        """Return the keys of a topic's part of this partition; ``source`` is one of ``SOURCES``."""
        items = f"items:{{p{partition}}}"
        return cls(f"{items}:clock:{source}", f"{items}:hot:{source}", f"{items}:newcomers:{source}")


def list_key(user_id: str) -> str:
    """Return the key of a user's list alone, which is read far oftener than the others."""
    return f"user:{{{_tag(user_id)}}}:recs"


def genre_key(genre: str) -> str:
    """Return the key of a genre's trending items."""
    return f"hot:genre:{genre}"


def similar_key(item_id: str) -> str:
    """Return the key of the items that are similar to one."""
    return f"similar:{item_id}"


def sentence_key(digest: str) -> str:
    """Return the key of the vector of an item's sentence, of which this is the digest."""
    return f"catalog:sentence:{digest}"


def position_field(topic: str, partition: int) -> str:
    """Return the field of a user's hash that holds the last applied offset of one topic partition."""
    return f"at:{topic}:{partition}"


def handled_field(topic: str, partition: int) -> str:
    """Return the field beside a partition's positions that holds the offset behind the last record that was handled."""
    return f"handled:{topic}:{partition}"


def lists_of_users(prefix: str) -> str:
    """Return the pattern that the keys of these users' lists match: of those whose ids begin so."""
    begin = "".join(f"\\{mark}" if mark in r"*?[]\^-" else mark for mark in _tag(prefix))
    return f"user:{{{begin}*}}:recs"


def user_of(key: str) -> str:
    """Return the user whose key this is."""
    tag = key.removeprefix("user:{").partition("}")[0]
    return tag.replace("%7D", "}").replace("%7B", "{").replace("%25", "%")


def _tag(user_id: str) -> str:
    return user_id.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
