"""The usual names of columns, compared without case, spaces, dashes and underscores.

The order is a preference: a table may have several columns of one part, and the first that is listed is taken.
"""

__all__ = ["TYPE_MARK", "USUAL_NAMES", "bare", "canonical", "find_column", "title_names"]

TYPE_MARK = ":"  # behind it RecBole writes the type of a column
USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        *("user_id", "user", "uid", "visitor_id", "customer_id", "reviewer_id", "member_id", "account_id"),
        *("subscriber_id", "viewer_id", "profile_id", "steam_id", "username", "user_name", "session_id"),
    ),
    "item": (
        *("item_id", "item", "iid", "movie_id", "film_id", "show_id", "video_id", "product_id", "parent_asin", "asin"),
        *("track_id", "song_id", "artist_id", "book_id", "isbn", "article_id", "news_id", "anime_id", "business_id"),
        *("game_id", "app_id", "content_id", "venue_id", "recipe_id", "beer_id", "sku"),
    ),
    "time": (
        *(
            "timestamp",
            "ts",
            "time",
            "datetime",
            "unix_timestamp",
            "unix_review_time",
            "time_ms",
            "timestamp_ms",
        ),
        *("event_time", "event_timestamp", "created_at", "played_at", "watched_at", "viewed_at", "listened_at"),
        "rated_at",
        *(
            "date",
            "date_rated",
            "date_added",
            "review_time",
            "review_date",
            "t_dat",
        ),  # days, mostly: an exact time goes before
    ),
    "rating": ("rating", "stars", "score", "overall", "user_rating", "your_rating", "book_rating", "review_overall"),
    "kind": ("kind", "event", "event_type", "behavior", "behavior_type", "behaviour", "action", "action_type"),
    "weight": (
        *("weight", "watch_ratio", "play_ratio", "played_ratio", "listen_ratio", "completion", "completion_rate"),
        *("progress", "share_watched", "watched_share", "share_played", "played_ratio_pct", "watched_pct"),
        *("watch_pct", "percent_watched", "watch_percent", "percent_complete", "watch_percentage"),
    ),
}


def bare(name: str) -> str:
    """Return a column's name without the type that RecBole writes behind it."""
    return name.partition(TYPE_MARK)[0].strip()


def canonical(name: str) -> str:
    """Return a name as it is compared: letters and digits, in lower case."""
    return "".join(letter for letter in bare(name).casefold() if letter.isalnum())


def find_column(header: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    """Return the column of the first of these names that the header has."""
    found = {canonical(column): column for column in reversed(header)}
    return next((found[canonical(name)] for name in names if canonical(name) in found), None)


def title_names(item: str) -> tuple[str, ...]:
    """Return what a column of titles is called beside this column of item ids: ``track`` beside ``track_id``."""
    stem = canonical(item)
    if not stem.endswith("id") or stem == "id":
        return ()
    stem = stem.removesuffix("id")
    return (stem, f"{stem}_title", f"{stem}_name")
