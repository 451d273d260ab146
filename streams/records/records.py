"""The records on the topics, as values.

Past-tense facts come in (``Watch``, ``Rating``, ``Action``), requests come in (``Request``), products go out
(``Recommendation``, ``ModeChange``, ``ModelVersion``). How they become bytes is in ``codec``; which topic
carries which is in ``topics``. orjson writes these dataclasses as they stand, so a field's name is the contract.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Literal

from model.because import BY_TASTE, Because
from model.feedback import RatingTallies, is_positive_watch
from model.history import Interaction, Mode
from model.kinds import DEFAULT_KINDS, RATE, WATCH, KindTable, Source
from model.wishes.query import QueryMethod
from model.wishes.wishes import NO_GENRES, GenreWishes, Wishes

__all__ = [
    "MAX_STARS",
    "Action",
    "Event",
    "EventIdentity",
    "EventRecord",
    "ListMode",
    "ListWording",
    "ListedItem",
    "ModeChange",
    "ModelVersion",
    "Origin",
    "Rating",
    "Recommendation",
    "Request",
    "Status",
    "Tier",
    "Watch",
    "Withdrawal",
    "identity_of",
    "interactions_of",
    "judged",
    "recommendation_id",
    "source_of_topic",
]

Status = Literal["promoted", "rejected", "held", "rolled_back", "withdrawn", "failed", "drifting"]
ListMode = Literal["cold_start", "personalized", "degraded", "refused"]
Tier = Literal["personalized", "hybrid", "trending", "static"]
MAX_STARS = 5.0
_SOURCES: Mapping[str, Source] = {"watch-events": "watch", "rate-events": "rate", "action-events": "action"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record stood: its identity for exactly-once effects.

    Parameters
    ----------
    topic, partition, offset : the position.
    timestamp : the record's Kafka timestamp, milliseconds; an event's time is measured by it.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """A user watched part of an item.

    Parameters
    ----------
    event_id : yours, and the same whenever the event is sent again: a copy counts once.
    user_id : who.
    item_id : which item.
    ts : when it happened, milliseconds since the epoch.
    progress : the share that was seen, 0 to 1.
    rec_id : of the list that led to the event.
    """

    event_id: str
    user_id: str
    item_id: str
    ts: int
    progress: float
    rec_id: str | None = None

    @property
    def kind(self) -> str:
        """Its row in the table of kinds."""
        return WATCH

    def interaction(self, kinds: KindTable = DEFAULT_KINDS) -> Interaction:
        """Return it as the model sees it."""
        row = kinds.of_kind(WATCH)
        is_positive = row.is_positive and is_positive_watch(self.progress)
        return Interaction(self.item_id, self.ts, WATCH, row.weight * self.progress, is_positive)


@dataclass(frozen=True, slots=True)
class Rating:
    """A user rated an item.

    Parameters
    ----------
    event_id : yours, and the same whenever the event is sent again: a copy counts once.
    user_id : who.
    item_id : which item.
    ts : when it happened, milliseconds since the epoch.
    rating : stars, 0.5 to 5.
    rec_id : of the list that led to the event.
    """

    event_id: str
    user_id: str
    item_id: str
    ts: int
    rating: float
    rec_id: str | None = None

    @property
    def kind(self) -> str:
        """Its row in the table of kinds."""
        return RATE

    def interaction(self, kinds: KindTable = DEFAULT_KINDS) -> Interaction:
        """Return it as the model sees it: five stars weigh 1."""
        row = kinds.of_kind(RATE)
        return Interaction(self.item_id, self.ts, RATE, row.weight * (self.rating / MAX_STARS), row.is_positive)


@dataclass(frozen=True, slots=True)
class Action:
    """A user did something of another kind, which the table of kinds names: a like, a purchase, a skip, a hide.

    Parameters
    ----------
    event_id : yours, and the same whenever the event is sent again: a copy counts once.
    user_id : who.
    item_id : which item.
    ts : when it happened, milliseconds since the epoch.
    kind : a name of the table of kinds of the installation.
    rec_id : of the list that led to the event.
    """

    event_id: str
    user_id: str
    item_id: str
    ts: int
    kind: str
    rec_id: str | None = None

    def interaction(self, kinds: KindTable = DEFAULT_KINDS) -> Interaction | None:
        """Return it as the model sees it; None of a kind that only hides the item from the user, or undoes that.

        Raises
        ------
        ValueError
            If the table does not hold its kind.
        """
        row = kinds.of_kind(self.kind)
        if row.effect is not None:
            return None
        return Interaction(self.item_id, self.ts, self.kind, row.weight, row.is_positive)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An event is taken back: it counts for nothing, as if it had never been.

    It is sent to the topic of that event under the same key, before or after it.

    Parameters
    ----------
    event_id : its own id, and the same whenever the withdrawal is sent again.
    user_id : whose event is taken back.
    ts : when it was taken back, milliseconds since the epoch.
    withdraws : the ``event_id`` of the event that is taken back.
    """

    event_id: str
    user_id: str
    ts: int
    withdraws: str


Event = Watch | Rating | Action
EventRecord = Event | Withdrawal  # whatever an event topic holds
EventIdentity = tuple[str, str, str]  # topic, user, and the id that the producer gave


def source_of_topic(topic: str) -> Source:
    """Return what the events of an event topic are, which may be named with the prefix."""
    return next(source for name, source in _SOURCES.items() if topic.endswith(name))


def identity_of(origin: Origin, event: EventRecord) -> EventIdentity:
    """Return what a producer's retry has in common with the event: ids are a user's own, and a topic's."""
    return origin.topic, event.user_id, event.event_id


def judged(event: Event, tallies: RatingTallies, kinds: KindTable = DEFAULT_KINDS) -> Interaction | None:
    """Return an event as the model sees it, a rating judged by its user's ratings before it, which then counts too."""
    one = event.interaction(kinds)
    if one is None or not isinstance(event, Rating):
        return one
    is_liked = tallies.judge(event.user_id, event.rating)
    return replace(one, is_positive=one.is_positive and is_liked)


def interactions_of(
    events: Iterable[Event], tallies: RatingTallies, kinds: KindTable = DEFAULT_KINDS
) -> Iterator[tuple[str, Interaction]]:
    """Give the user and the interaction of each event, as ``judged``, without events that are none."""
    for event in events:
        interaction = judged(event, tallies, kinds)
        if interaction is not None:
            yield event.user_id, interaction


@dataclass(frozen=True, slots=True)
class Request:
    """An app asks for a list now.

    Parameters
    ----------
    request_id : of the app's choice; the answer's ``trigger`` has it.
    user_id : for whom.
    k : length of the list, 10 without it.
    genre : short for one wanted genre; with ``strict`` for one that must be.
    strict : whether a shorter list is better than other genres.
    exclude : ids of items not to list this time.
    genres : wanted and not wanted, each a list of names.
    years : first and last year of release, both included; null leaves that end open.
    query : what is asked for, in words.
    like : ids of items that the list should resemble; they are not listed themselves.
    weights : how much each part of the order counts, in the place of its default.
    allow_seen : whether items that the user has touched may be listed; hidden ones stay hidden.
    """

    request_id: str
    user_id: str
    k: int = 10
    genre: str | None = None
    strict: bool = False
    exclude: tuple[str, ...] = ()
    genres: GenreWishes = NO_GENRES
    years: tuple[int | None, int | None] = (None, None)
    query: str | None = None
    like: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    allow_seen: bool = False

    @property
    def wishes(self) -> Wishes:
        """What the list should be like."""
        genres = self.genres
        if self.genre is not None and self.strict:
            genres = replace(genres, must=(*genres.must, self.genre))
        elif self.genre is not None:
            genres = replace(genres, want=(*genres.want, self.genre))
        return Wishes(
            genres=genres,
            years=self.years,
            query=self.query,
            like=self.like,
            weights=tuple(sorted(self.weights.items())),
            exclude=self.exclude,
            allow_seen=self.allow_seen,
            k=self.k,
        )


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One place in a list.

    Parameters
    ----------
    item_id : which item.
    rank : from 1.
    score : the higher the better, within one list.
    source : what put it there: a mode, or ``exploration`` where chance did.
    reason : in words, to be shown.
    propensity : how likely it was to be there: 1 for a place that is given by score alone.
    because : the signal that the reason says in words.
    """

    item_id: str
    rank: int
    score: float
    source: str
    reason: str
    propensity: float = 1.0
    because: Because = BY_TASTE


@dataclass(frozen=True, slots=True)
class ListWording:
    """What a language model did to a list.

    Parameters
    ----------
    model : its name.
    status : ``worded`` where reasons and order are the model's; else the list is as without one: the answer was
        ``late``, was ``refused`` as it said what it was not told, or ``failed``, or nobody was asked (``skipped``).
    """

    model: str
    status: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A list for one user.

    Parameters
    ----------
    rec_id : deterministic in user, trigger and model version, so a redelivered trigger repeats it.
    user_id : whose list it is.
    ts : event time of the trigger, milliseconds; for a request the user's latest event time, or that of the request's
        record for a user without events.
    mode : how the list was made; ``degraded`` when scoring failed or was late, ``refused`` for a request that could not
        be read, which has no items.
    model_version : version that scored it, None for a list made without one.
    k : how many items were asked for.
    items : the list, best first.
    sequence : how many of the user's events the list has seen; a later list has a higher one.
    trigger : ``{"topic", "partition", "offset", "event_id", "timestamp"}`` or ``{"request_id"}``.
    event_ts, published_ts : event time of the trigger and wall clock at publication, milliseconds.
    experiment, arm : the experiment that the user took part in, and the user's arm; None without one.
    tier : how much of the user is in the list; None for a refused request.
    unfilled : sentences that say what could not be fulfilled.
    error : why a request was refused, and how to mend it.
    query_method : how the words of a request were compared with items; None where nobody read any.
    wording : what a language model did to it; None where no model words lists.
    """

    rec_id: str
    user_id: str
    ts: int
    mode: ListMode
    model_version: str | None
    k: int
    items: tuple[ListedItem, ...]
    trigger: Mapping[str, Any]
    sequence: int
    event_ts: int
    published_ts: int
    experiment: str | None = None
    arm: str | None = None
    tier: Tier | None = None
    unfilled: tuple[str, ...] = ()
    error: str | None = None
    query_method: QueryMethod | None = None
    wording: ListWording | None = None


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A user crossed the threshold between two modes, or was set by hand.

    Parameters
    ----------
    user_id : who.
    ts : event time of the trigger, milliseconds.
    previous, mode : the mode before, and from now on.
    known_items : how many different recent items of the user the model knows, which is counted against the threshold.
    model_version : that served, None where none did.
    trigger : as in a recommendation.
    """

    user_id: str
    ts: int
    previous: Mode
    mode: Mode
    known_items: int
    model_version: str | None
    trigger: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A decision about a model version, with its figures.

    Parameters
    ----------
    version : the version decided about; None for a candidate that was rejected or held, which is not kept, and for a
        round that failed.
    status : what was decided; ``withdrawn`` where nothing serves in its place, ``drifting`` where its rounds diverge
        and there is nothing to roll back to.
    parent : the version it was trained from, if any.
    uri : where the registry keeps it; None if it was not kept.
    metrics : the figures it was decided by.
    ts : wall clock of the decision, milliseconds.
    cause : why, in words: what a candidate lost to, what drifted or diverged, or what a person said.
    by : who decided: ``trainer``, ``scorekeeper``, ``api``, ``page``, a key as ``NAME@api``, a person as ``user@host``.
    """

    version: str | None
    status: Status
    parent: str | None
    uri: str | None
    ts: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    cause: str | None = None
    by: str | None = None


def recommendation_id(user_id: str, trigger: str, model_version: str | None) -> str:
    """Return the identity of a list: 24 hex digits of BLAKE2b over user, trigger and model version."""
    identity = "\n".join((user_id, trigger, model_version or ""))
    return blake2b(identity.encode(), digest_size=12).hexdigest()
