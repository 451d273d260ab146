"""Small files in the layouts of public logs, with rows that were made up: what each of them gives."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from model.catalogue import Item
from replay.datasets.options import LogOptions
from replay.datasets.readers import read_dataset
from streams.errors import DataError

CASES = Path(__file__).parents[2] / "cases" / "readers"
LASTFM = LogOptions(
    no_header=True, columns=("user", "time", "artist_id", "artist", "track_id", "track"), item="artist_id"
)
TAOBAO = LogOptions(no_header=True, columns=("user", "item", "category", "kind", "time"))
SKIP = LogOptions(skip_bad=True)
AMAZON_USER = "AEQ7XK2M4TRV5PLW3JZ9CDFH6B2A"
ARTIST = "11111111-aaaa-4e99-8624-000000000002"


def read(name, options=None):
    """Read one of the files."""
    return read_dataset(CASES / name, options=options)


def first(log):
    """Return user, item, stars and time of a log's earliest event."""
    row = log.interactions.iloc[0]
    moment = datetime.fromtimestamp(int(row["ts"]) / 1000, UTC)
    return row["user_id"], row["item_id"], row["rating"], moment.isoformat(timespec="milliseconds")[:-6]


@pytest.mark.parametrize(
    ("name", "options", "events", "earliest"),
    [
        ("amazon2023.csv", SKIP, 3, (AMAZON_USER, "B00Q7LXM3K", 5.0, "2017-01-01T00:00:00.123")),
        ("amazon2023.csv.gz", SKIP, 3, (AMAZON_USER, "B00Q7LXM3K", 5.0, "2017-01-01T00:00:00.123")),
        ("amazon2023.jsonl", None, 2, ("AEQ7XK2M", "B00Q7LXM3K", 5.0, "2017-01-01T00:00:00.123")),
        ("kuairec.csv", None, 4, ("14", "148", 5 * 0.722103, "2020-07-04T21:27:48.378")),
        ("kaggle20m", None, 3, ("2", "2", 0.5, "2000-11-21T15:36:54.000")),
        ("letterboxd", None, 3, ("me", "https://boxd.it/aaaa", 4.5, "2024-01-05T00:00:00.000")),
        ("imdb", None, 2, ("me", "tt0000101", 4.5, "2023-03-01T00:00:00.000")),
        ("recbole-ml20m", None, 2, ("1", "29", 4.0, "2005-04-02T23:31:16.000")),
        ("recbole-anime", None, 3, ("1", "20", 5.0, "2000-01-01T00:00:00.000")),
        ("lastfm1k.tsv", LASTFM, 3, ("user_000002", ARTIST, 5.0, "2009-05-04T13:52:04.000")),
        ("lastfm1k.tsv", None, 3, ("user_000002", ARTIST, 5.0, "2009-05-04T13:52:04.000")),
        ("taobao.csv", TAOBAO, 3, ("1", "7000001", 5.0, "2017-11-24T17:21:10.000")),
        ("taobao.csv", None, 3, ("1", "7000001", 5.0, "2017-11-24T17:21:10.000")),
        ("movietweetings", None, 3, ("7", "0990001", 4.0, "2013-10-05T21:00:50.000")),
        ("netflix", None, 3, ("9000002", "1", 5.0, "2005-05-13T00:00:00.000")),
        ("retailrocket.csv", None, 3, ("900001", "800001", 5.0, "2015-06-02T05:02:12.117")),
        ("ratings.csv", None, 2, ("a", "x", 4.0, "2023-11-14T22:13:20.000")),
        ("goodreads.csv", None, 2, ("0", "948", 5.0, "2000-01-01T00:00:00.000")),
        ("bookcrossing.csv", None, 3, ("276725", "034545104X", 5.0, "2000-01-01T00:00:00.000")),
        ("yambda.parquet", None, 3, ("100", "3326", 5.0, "1970-01-01T10:57:00.000")),
    ],
)
def test_each_layout_is_read(name, options, events, earliest):
    """The number of events, and the first of them in the order of time."""
    log = read(name, options)
    assert len(log.interactions) == events
    assert first(log) == earliest


@pytest.mark.parametrize("name", ["amazon2023.csv", "amazon2023.csv.gz"])
def test_bad_rows_are_refused_or_counted(name):
    """A rating of nothing and a time before 1970: the first is named with its line, or both are counted by cause."""
    with pytest.raises(
        DataError, match=r"line 4 \(row 3 after the header\) must hold a rating from 1 to 5.*--skip-bad"
    ):
        read(name)
    assert read(name, SKIP).left_out == {"rating outside the scale": 1, "time before 1970": 1}


@pytest.mark.parametrize(
    ("unit", "user", "item", "left_out"),
    [("seconds", "a", "x", 2), ("milliseconds", "a", "y", 2), ("days", "b", "x", 2)],
)
def test_mixed_units_are_refused_until_one_is_said(unit, user, item, left_out):
    """Each unit is shown with its row; with one of them the rows of the others are bad, and never of 1970."""
    with pytest.raises(
        DataError, match=r"YYYYMMDD in row 3, seconds in row 1, milliseconds in row 2.*'a,y,1700000100000,5'"
    ):
        read("mixed_units.csv", SKIP)
    with pytest.raises(DataError, match="--skip-bad"):
        read("mixed_units.csv", LogOptions(time_unit=unit))
    log = read("mixed_units.csv", LogOptions(time_unit=unit, skip_bad=True))
    assert first(log)[:2] == (user, item)
    assert first(log)[3].startswith("2023-11-1")
    assert sum(log.left_out.values()) == left_out


def test_shares_are_weights():
    """A whole view counts in full, one of 5 % hardly and is not liked; above the whole there is nothing."""
    for name, shares in (("kuairec.csv", [0.722103, 1.0, 1.0, 0.049448]), ("yambda.parquet", [1.0, 0.05, 1.0])):
        log = read(name)
        assert log.interactions["weight"].tolist() == shares
        assert set(log.interactions["kind"]) == {"watch"}
        assert log.positive().tolist() == [share >= 0.1 for share in shares]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("taobao.csv", ["pv", "buy", "cart"]),
        ("retailrocket.csv", ["view", "transaction", "addtocart"]),
        ("bookcrossing.csv", ["watch", "rate", "rate"]),
        ("goodreads.csv", ["rate", "watch"]),
        ("recbole-anime", ["watch", "rate", "rate"]),
    ],
)
def test_kinds_keep_their_names(name, kinds):
    """What a log says of its events stays; where it mixes ratings with rows that have none, these are watches."""
    assert read(name).interactions["kind"].tolist() == kinds


@pytest.mark.parametrize(
    ("name", "stars"),
    [("bookcrossing.csv", [5.0, 2.5, 5.0]), ("recbole-anime", [5.0, 4.0, 5.0]), ("movietweetings", [4.0, 5.0, 2.5])],
)
def test_a_scale_of_ten_becomes_stars(name, stars):
    """Ten are five stars and eight are four; what is not rated counts in full."""
    assert read(name).interactions["rating"].tolist() == stars


@pytest.mark.parametrize(
    ("name", "items"),
    [
        (
            "kaggle20m",
            [
                Item("2", "Lantern Game", 1995, ("Adventure", "Children", "Fantasy")),
                Item("29", "The City of Lost Paper (Cit\xe9, La)", 1995, ("Adventure", "Drama")),
            ],
        ),
        ("letterboxd", [("Harbour, at Night", 2019), ("Paper Moons", 1973), ("Paper Moons", 2021)]),
        (
            "imdb",
            [
                Item("tt0000101", "Harbour at Night", 2019, ("Drama", "Mystery")),
                Item("tt0000102", "Paper Moons", 1973, ("Comedy",)),
            ],
        ),
        (
            "recbole-ml20m",
            [
                Item("2", "Lantern Game", 1995, ("Adventure", "Children", "Fantasy")),
                Item("29", "The City of Lost Paper", 1995, ("Adventure", "Sci-Fi")),
            ],
        ),
        (
            "recbole-anime",
            [
                Item("20", "Leaf Story", None, ("Action", "Comedy", "Martial Arts")),
                Item("24", "School Days On", None, ("Drama", "Slice of Life")),
            ],
        ),
        (
            "movietweetings",
            [
                Item("0990001", "Lantern Species", 1995, ("Action", "Horror", "Sci-Fi")),
                Item("0990002", "Catch", 2000, ("Comedy", "Crime")),
                Item("0990003", "Walk the Wire", 2005, ()),
            ],
        ),
        ("netflix", [Item("1", "Harbour Planet", 2003), Item("2", "The Isle, of Fog", 2004)]),
        ("lastfm1k.tsv", [("The Lanterns", None), ("Paper Boats", None)]),
    ],
)
def test_items_have_titles_and_genres(name, items):
    """Articles are moved, genres stay whole, commas belong to titles, and an empty genre is none."""
    found = list(read(name).catalogue)
    assert found == items or [(item.title, item.year) for item in found] == items


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("recbole-anime", "no column of times"),
        ("goodreads.csv", "no column of times"),
        ("bookcrossing.csv", "no column of times"),
        ("letterboxd", "no column of users: all is of 'me'"),
        ("imdb", "--user-id"),
        ("yambda.parquet", "times begin at 1970-01-01 10:57:00: seconds from an unknown start"),
        ("netflix", "times are days"),
        ("taobao.csv", "kinds pv, buy, cart are in no table of kinds: each event counts in full"),
    ],
)
def test_what_was_assumed_is_told(name, note):
    """Nothing is put into a log in silence."""
    assert any(note in one for one in read(name).notes)


def test_a_person_may_be_named():
    """Of a log that one person exported."""
    assert set(read("imdb", LogOptions(user_id="ann")).interactions["user_id"]) == {"ann"}


@pytest.mark.parametrize(
    ("column", "measured"), [("completion", "by its share"), ("rating", "by its rating"), ("source", "in full")]
)
def test_what_an_unknown_kind_counts_is_told(tmp_path, column, measured):
    """One kind that no table has: each event counts by the share or the rating beside it, and without one in full."""
    log = tmp_path / "plays.csv"
    log.write_text(f"user_id,item_id,timestamp,event,{column}\na,x,1700000000,play,1\nb,y,1700000001,play,1\n")
    notes = read_dataset(log).notes
    assert f"kind play is in no table of kinds: each event counts {measured}" in notes
