"""The layouts of public logs: what their headers have, and what the usual names of columns would get wrong.

A log whose columns have usual names, stars from 0.5 to 5 and times needs no row here.
"""

from dataclasses import dataclass, field

from replay.datasets.layouts.names import canonical

__all__ = ["FIVE", "LAYOUTS", "PLAIN", "RECBOLE", "STARS", "Layout", "layout_of"]

STARS = (0.5, 5.0)
FIVE = (1.0, 5.0)
TEN = (1.0, 10.0)


@dataclass(frozen=True, slots=True)
class Layout:
    """One row.

    Parameters
    ----------
    name : as ``Provenance.format`` has it.
    needs : names of columns that the header of such a log has.
    roles : column of each part (user, item, time, rating, kind, weight, title, year, genres) where the usual names
        would find another, or none; an empty name is no column.
    scale : the least and the most that a rating is; None where the ratings tell.
    unrated : ratings that say that the user did not rate.
    share : columns of what was played and of how long it is, where no column has their ratio.
    signs : columns of which at least one must be set, or the row is no event.
    is_exact : whether the names must be written so, and be all there are.
    is_personal : whether the log is one person's, so that no column names the user.
    is_timeless : whether rows without a column of times come in their order.
    whole_seconds : whether times are whole seconds and nothing else.
    is_log : whether it is a log at all.
    is_secondary : whether another log beside it comes first.
    without_id : what helps where rows have no item id, as is common in such logs.
    notes : what a reader is told.
    """

    name: str
    needs: tuple[str, ...] = ()
    roles: dict[str, str] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    unrated: tuple[float, ...] = ()
    share: tuple[str, str] | None = None
    signs: tuple[str, ...] = ()
    is_exact: bool = False
    is_personal: bool = False
    is_timeless: bool = False
    whole_seconds: bool = False
    is_log: bool = True
    is_secondary: bool = False
    without_id: str = ""
    notes: tuple[str, ...] = ()


PLAIN = Layout("table")
RECBOLE = Layout("recbole", is_timeless=True)
FILM = {"item": "Letterboxd URI", "title": "Name", "year": "Year"}
ENTRIES = "in a diary and in reviews the link is of the entry, so a film that is seen twice is two items"
PLAYED = "the share that was played is the weight; 1 and more is a whole view"

LAYOUTS = (
    Layout("tags", ("userId", "movieId", "tag"), is_log=False),
    Layout("tags", ("userID", "tagID"), is_log=False),
    Layout("movielens-csv", ("userId", "movieId", "rating", "timestamp"), scale=STARS, is_exact=True),
    Layout("kuairec", ("user_id", "video_id", "watch_ratio"), notes=(PLAYED,)),
    Layout(
        *("kuairand", ("user_id", "video_id", "time_ms", "play_time_ms", "duration_ms")),
        roles={"time": "time_ms"},
        share=("play_time_ms", "duration_ms"),
        notes=("play_time_ms of duration_ms is the weight; all of it and more is a whole view",),
    ),
    Layout("amazon", ("user_id", "parent_asin", "rating", "timestamp"), {"item": "parent_asin"}, scale=FIVE),
    Layout("amazon", ("reviewerID", "asin", "overall"), scale=FIVE),
    Layout(
        *("letterboxd", ("Date", "Name", "Year", "Letterboxd URI", "Rating")),
        roles=FILM | {"time": "Date"},
        scale=STARS,
        is_exact=True,
        is_personal=True,
    ),
    Layout(  # of the same export; a review need not say when the film was watched
        *("letterboxd", ("Date", "Name", "Year", "Letterboxd URI", "Review")),
        roles=FILM | {"time": "Date"},
        scale=STARS,
        is_personal=True,
        is_secondary=True,
        notes=(ENTRIES,),
    ),
    Layout(  # its Date is when the entry was written
        *("letterboxd", ("Date", "Name", "Year", "Letterboxd URI", "Watched Date")),
        roles=FILM | {"time": "Watched Date"},
        scale=STARS,
        is_personal=True,
        is_secondary=True,
        notes=(ENTRIES,),
    ),
    Layout(  # what was watched, liked or listed
        *("letterboxd", ("Date", "Name", "Year", "Letterboxd URI")),
        roles=FILM | {"time": "Date"},
        scale=STARS,
        is_personal=True,
        is_secondary=True,
    ),
    Layout(
        *("imdb", ("Const", "Your Rating", "Date Rated")),
        roles={"item": "Const", "time": "Date Rated", "title": "Title", "year": "Year", "genres": "Genres"},
        scale=TEN,
        is_personal=True,
    ),
    Layout(
        *("imdb", ("const", "You rated", "created")),
        roles={
            "item": "const",
            "time": "created",
            "rating": "You rated",
            "title": "Title",
            "year": "Year",
            "genres": "Genres",
        },
        scale=TEN,
        is_personal=True,
    ),
    Layout("retailrocket", ("visitorid", "event", "itemid")),
    Layout(
        *("goodreads", ("user_id", "book_id", "is_read", "rating")),
        scale=FIVE,
        unrated=(0.0,),
        signs=("is_read", "rating", "is_reviewed", "review_text_incomplete", "review_text"),
        is_timeless=True,
        notes=("rating 0 is no rating; a row that is neither read, rated nor reviewed is no event",),
    ),
    Layout(
        *("goodreads", ("user_id", "book_id", "rating", "date_added")),
        roles={"time": "date_added"},
        scale=FIVE,
        unrated=(0.0,),
        notes=("rating 0 is no rating",),
    ),
    Layout(
        *("bookcrossing", ("User-ID", "ISBN", "Book-Rating")),
        scale=TEN,
        unrated=(0.0,),
        is_timeless=True,
        notes=("rating 0 is implicit",),
    ),
    Layout(
        *("myanimelist", ("user_id", "anime_id", "rating")),
        scale=TEN,
        unrated=(-1.0, 0.0),
        is_timeless=True,
        notes=("ratings -1 and 0 are seen, not rated",),
    ),
    Layout(
        "yambda",
        ("uid", "item_id", "timestamp", "played_ratio_pct"),
        notes=("the percentage that was played is the weight; 100 and more is a whole play",),
    ),
    Layout("yambda", ("uid", "item_id", "timestamp", "is_organic")),
    Layout(
        *("yambda", ("uid", "item_ids", "timestamps")),
        roles={"item": "item_ids", "time": "timestamps", "weight": "played_ratio_pct"},
    ),
    Layout(
        *("steam", ("user_id", "app_id", "is_recommended")),
        roles={"rating": "is_recommended"},
        scale=(0.0, 1.0),
        notes=("recommended is five stars, not recommended half a star",),
    ),
    Layout("hetrec", ("userID", "artistID", "weight"), is_exact=True, is_timeless=True),
    Layout("goodbooks", ("user_id", "book_id", "rating"), scale=FIVE, is_exact=True, is_timeless=True),
)


def layout_of(header: tuple[str, ...], *, is_typed: bool = False) -> Layout:
    """Return the row of the first layout whose columns a header has; ``PLAIN`` where none fits."""
    if is_typed:
        return RECBOLE
    names = {canonical(name) for name in header}
    for layout in LAYOUTS:
        fits = sorted(header) == sorted(layout.needs) if layout.is_exact else names >= set(map(canonical, layout.needs))
        if fits:
            return layout
    return PLAIN
