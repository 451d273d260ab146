"""What people said of films: the tags of a MovieLens ``tags.csv``, the commonest of each film.

They are of the whole log, so a replay knows from its first event what was said later.
"""

import io

import pandas as pd

from model.catalogue import Item
from replay.datasets.titles import clean
from streams.errors import DataError

__all__ = ["with_tags"]

COLUMNS = ("userId", "movieId", "tag")
MAX_TAGS = 20  # of a film: rarer ones are one person's notes
MAX_LENGTH = 64  # characters, as in a record of the catalogue


def with_tags(items: list[Item], data: bytes, place: str) -> list[Item]:
    """Return items with their tags, the one that most users gave first, ties by name.

    Upper and lower case are the same. What is longer than 64 characters, or empty, is left out.

    Raises
    ------
    DataError
        If the file is no CSV of those columns.
    """
    try:
        table = pd.read_csv(io.BytesIO(data), usecols=list(COLUMNS), dtype=str, keep_default_na=False)
    except (
        ValueError
    ) as error:  # pandas' errors of parsing and of missing columns are of this kind, and broken UTF-8 is
        raise DataError(f"data: {place} must be CSV with the columns {', '.join(COLUMNS)}, got {error}") from error
    table["tag"] = [clean(tag).casefold() for tag in table["tag"]]
    table = table[(table["tag"] != "") & (table["tag"].str.len() <= MAX_LENGTH)].drop_duplicates(list(COLUMNS))
    counts = table.groupby(["movieId", "tag"]).size().rename("n").reset_index()
    ranked = counts.sort_values(["movieId", "n", "tag"], ascending=[True, False, True])
    tags = {str(movie): tuple(own["tag"].head(MAX_TAGS)) for movie, own in ranked.groupby("movieId")}
    return [Item(one.item_id, one.title, one.year, one.genres, tags.get(one.item_id, ())) for one in items]
