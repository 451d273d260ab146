"""What answers look like, for the document; the answers themselves are made elsewhere and not looked at again."""

from typing import Any, Literal

from pydantic import BaseModel, Field

__all__ = [
    "BecauseAnswer",
    "Decision",
    "EventResultAnswer",
    "EventResults",
    "ExperimentAnswer",
    "ForgettingAnswer",
    "GenreAnswer",
    "Genres",
    "InteractionAnswer",
    "ItemAnswer",
    "Items",
    "KeptAnswer",
    "Liveness",
    "MergeWish",
    "MergingAnswer",
    "PlaceAnswer",
    "PromoteWish",
    "QualityAnswer",
    "RankedItem",
    "Readiness",
    "RollbackWish",
    "SimilarAnswer",
    "Trending",
    "TrendingItem",
    "UserList",
    "UserProfile",
    "Users",
    "VersionAnswer",
    "Versions",
    "WithdrawalAnswer",
]


class BecauseAnswer(BaseModel):
    """The signal behind a place."""

    kind: str
    item_id: str | None = None
    genres: list[str] = []


class PlaceAnswer(BaseModel):
    """One place of a list; title, year and genres only where titles are asked for."""

    item_id: str
    rank: int
    score: float
    source: str
    reason: str
    propensity: float = 1.0
    because: BecauseAnswer | None = None
    title: str | None = None
    year: int | None = None
    genres: list[str] | None = None


class KeptAnswer(BaseModel):
    """A topic whose records may still name the user: for how long, and until when."""

    topic: str
    policy: str
    retention_ms: int | None
    until_ms: int | None
    told: str


class ForgettingAnswer(BaseModel):
    """What became of a wish to be forgotten."""

    user_id: str
    request_id: str
    asked_ms: int
    done: bool
    known: bool = Field(description="Whether any store that was searched held anything of the user before.")
    forgotten: dict[str, Any] | None
    erased: dict[str, list[str]]
    left: dict[str, list[str]]
    pending: list[str]
    kafka: list[KeptAnswer]


class MergeWish(BaseModel):
    """Whose history a guest's is to be."""

    into: str = Field(
        min_length=1,
        max_length=64,
        description="The account's id.",
        json_schema_extra={"format": "reelstream-id"},
    )


class MergingAnswer(BaseModel):
    """What became of a wish to be one with an account; `account` is another one where `into` was merged itself."""

    user_id: str
    into: str
    account: str
    request_id: str
    asked_ms: int
    done: bool
    known: bool = Field(description="Whether anything was known of the guest before.")


class UserList(BaseModel):
    """A list, as on the topic `recommendations`."""

    rec_id: str | None = Field(description="Send it back with an event; null where only what trends is known.")
    user_id: str
    ts: int
    mode: Literal["cold_start", "personalized", "degraded"]
    model_version: str | None
    k: int
    items: list[PlaceAnswer]
    trigger: dict[str, Any]
    sequence: int
    event_ts: int
    published_ts: int
    experiment: str | None = None
    arm: str | None = None
    tier: Literal["personalized", "hybrid", "trending", "static"] | None = None
    unfilled: list[str] = []
    error: str | None = None
    query_method: str | None = None
    wording: dict[str, Any] | None = None
    stale: bool = Field(
        default=False,
        description="Whether a fresh list was asked for and did not come in time: this is the stored one.",
    )


class InteractionAnswer(BaseModel):
    """An event of a user, with the title of its item."""

    item_id: str
    ts: int
    kind: str
    weight: float
    is_positive: bool
    title: str | None
    year: int | None
    genres: list[str]


class UserProfile(BaseModel):
    """What is known of a user."""

    user_id: str
    unknown: Literal[False]
    mode: Literal["cold_start", "personalized"]
    watches: int
    ratings: int
    actions: int
    mean_rating: float | None
    seen: int
    hidden: int
    first_ts: int
    last_ts: int
    genres: dict[str, float]
    recent: list[InteractionAnswer]


class Users(BaseModel):
    """Users with a list, by id."""

    users: list[str]


class ItemAnswer(BaseModel):
    """What the catalogue says of an item."""

    item_id: str
    title: str
    year: int | None
    genres: list[str]


class Items(BaseModel):
    """Items, best first."""

    items: list[ItemAnswer]


class RankedItem(ItemAnswer):
    """An item with its rank and score."""

    rank: int
    score: float


class SimilarAnswer(BaseModel):
    """What is similar to an item, by each kind that was asked for."""

    item: ItemAnswer
    content: list[RankedItem] | None = None
    behaviour: list[RankedItem] | None = None
    both: list[RankedItem] | None = None


class TrendingItem(BaseModel):
    """An item that trends; its title is null where the catalogue lacks it."""

    item_id: str
    rank: int
    score: float
    reason: str
    title: str | None
    year: int | None
    genres: list[str]


class Trending(BaseModel):
    """What trends, hottest first."""

    genre: str | None
    items: list[TrendingItem]


class GenreAnswer(BaseModel):
    """A genre, how many items have it, and whether it has a list of what trends."""

    genre: str
    items: int
    trending: bool


class Genres(BaseModel):
    """All genres of the catalogue, by name."""

    genres: list[GenreAnswer]


class EventResultAnswer(BaseModel):
    """What became of one event."""

    event_id: str | None
    status: Literal["accepted", "refused"]
    cause: str | None = None
    detail: str | None = None


class EventResults(BaseModel):
    """What became of each event, in order."""

    accepted: int
    refused: int
    results: list[EventResultAnswer]


class WithdrawalAnswer(BaseModel):
    """A withdrawal that Kafka has; `event_id` is its own, and the same if it is sent again."""

    event_id: str
    user_id: str
    withdraws: str
    kind: str


class VersionAnswer(BaseModel):
    """A version of the model."""

    version: str
    current: bool
    parent: str | None
    base: str | None
    uri: str
    created_ms: int
    seed: int
    code_revision: str
    bytes: int
    metrics: dict[str, float]
    offsets: dict[str, dict[str, int]]
    files: dict[str, str]


class Versions(BaseModel):
    """All versions, newest first, the one that serves, and what it is measured by."""

    current: str | None
    anchor: str | None
    versions: list[VersionAnswer]


class Decision(BaseModel):
    """Which version serves now, and which did before."""

    previous: str | None
    current: str
    uri: str


class PromoteWish(BaseModel):
    """Why a version is to serve."""

    because: str | None = Field(default=None, min_length=1, max_length=200, description="In your words, for history.")


class RollbackWish(PromoteWish):
    """Which version is to serve again, and why; the parent of the one that serves where none is named."""

    version: str | None = Field(default=None, min_length=1, max_length=64)


class ExperimentAnswer(BaseModel):
    """The experiment that runs, null without one, with its figures and what may be said of them."""

    experiment: dict[str, Any] | None
    at_ms: int | None = None
    arms: list[dict[str, Any]] = []
    comparison: dict[str, Any] | None = None


class QualityAnswer(BaseModel):
    """How often lists were right; figures are null before the first test."""

    scorekeeper: bool
    at_ms: int | None
    figures: dict[str, Any] | None


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Readiness(BaseModel):
    """Redis and Kafka answer, in so many milliseconds."""

    status: Literal["ready"]
    redis_ms: float
    kafka_ms: float
