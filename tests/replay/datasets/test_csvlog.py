import numpy as np
import pytest

from replay.datasets.readers import read_dataset
from streams.errors import DataError


def _read(tmp_path, text, name="log.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_dataset(tmp_path / name)


def _rows(dataset):
    return list(dataset.interactions.itertuples(index=False, name=None))


def test_columns_are_found_by_their_usual_names_in_any_order(tmp_path):
    """Extra columns, quotes and capitals do not matter, and a rating is kept."""
    log = _read(tmp_path, 'note,Timestamp,MovieID,User,rating\n"a, b",200,7,x,3.5\n,100,"8",y,1\n')
    assert _rows(log) == [("y", "8", 1.0, 100_000), ("x", "7", 3.5, 200_000)]
    assert (log.origin.format, log.name) == ("table", "log")
    assert [item.title for item in log.catalogue.items.values()] == ["7", "8"]


def test_an_event_without_a_rating_counts_in_full(tmp_path):
    """Five stars, by semicolons as some countries export."""
    assert _rows(_read(tmp_path, "user;item;ts\nu;i;5\n")) == [("u", "i", 5.0, 5_000)]


@pytest.mark.parametrize("name", ["kind", "Event_Type", "behavior"])
def test_a_column_may_tell_kinds(tmp_path, name):
    """The text of such a column stays beside its row, in the order of time."""
    log = _read(tmp_path, f"user,item,ts,{name}\nu,i,6, buy \nu,j,5,view\n")
    assert log.interactions["kind"].tolist() == ["view", "buy"]


@pytest.mark.parametrize("time", ["1700000000", "1700000000000", "2023-11-14T22:13:20Z", "2023-11-14 23:13:20+01:00"])
def test_clocks_are_told_apart(tmp_path, time):
    """Seconds, milliseconds and two ways of writing the same moment."""
    assert _rows(_read(tmp_path, f"user\titem\ttime\nu\ti\t{time}\n", "log.tsv"))[0][3] == 1_700_000_000_000


def test_a_log_of_plays_is_read(tmp_path):
    """Tracks and when they were played, with a column of kinds beside them; the share that was played is the weight."""
    log = _read(tmp_path, "user_id,track_id,played_at,event,completion\nu,t,2025-03-01T00:00:31Z,play,0.66\n")
    assert _rows(log)[0] == ("u", "t", pytest.approx(3.3), 1_740_787_231_000, "play", 0.66, True)


def test_days_may_be_written_as_numbers(tmp_path):
    """A column of 20231115 and 20231116 is two days of 2023, and no hour of 1970."""
    log = _read(tmp_path, "user,item,date,rating\nu,i,20231115,3\nu,j,20231116,4\n")
    assert log.interactions["rating"].dtype == np.float64
    rows = _rows(log)
    assert [row[3] for row in rows] == [1_700_006_400_000, 1_700_092_800_000]


def test_small_numbers_are_seconds_of_a_log_that_counts_from_zero(tmp_path):
    """20231115 beside 20231199, which is no day, and beside 5 are seconds, as nothing else is of the present."""
    rows = _rows(_read(tmp_path, "user,item,ts\nu,i,5\nu,j,20231115\nu,k,20231199\n"))
    assert [row[3] for row in rows] == [5_000, 20_231_115_000, 20_231_199_000]


def test_times_of_more_than_one_unit_are_refused(tmp_path):
    """Read as one unit some would be of January 1970: each unit is named with its first row."""
    text = "user,item,ts\na,w,1700000000\na,x,1700000001\na,y,1700000100000\nb,z,20231115\n"
    with pytest.raises(DataError, match=r"YYYYMMDD in row 4, seconds in row 1, milliseconds in row 3 after the header"):
        _read(tmp_path, text)
    with pytest.raises(DataError, match=r"got days as YYYYMMDD in row 1, seconds in row 2 after the header; write"):
        _read(tmp_path, "user,item,ts\na,x,20231115\nb,x,1700000000\n")


def test_the_header_of_a_ratings_csv_decides(tmp_path):
    """One that is not MovieLens' is a table like any other; with MovieLens' columns in another order too."""
    assert _rows(_read(tmp_path, "user_id,item_id,rating,timestamp\na,x,4,5\n", "ratings.csv")) == [
        ("a", "x", 4.0, 5_000)
    ]
    assert _rows(_read(tmp_path, "movieId,userId,timestamp\n7,1,5\n", "ratings.csv")) == [("1", "7", 5.0, 5_000)]


def test_an_empty_rating_is_none(tmp_path):
    """One event of two has stars; the other counts in full, and text may be Latin-1."""
    (tmp_path / "log.csv").write_bytes("user,item,ts,rating\nu,\xe9t\xe9,5,2\nu,j,6,\n".encode("latin-1"))
    assert _rows(read_dataset(tmp_path / "log.csv")) == [("u", "été", 2.0, 5_000), ("u", "j", 5.0, 6_000)]


def test_ids_stay_as_they_are_written(tmp_path):
    """007 is not 7, and NA is an id like any other."""
    rows = _rows(_read(tmp_path, "user_id,item_id,timestamp\n007,NA,1\n7,nan,2\n"))
    assert [row[:2] for row in rows] == [("007", "NA"), ("7", "nan")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "header"),
        ("user,item,ts\n", "no rows"),
        ("user,item\nu,i\n", "must name a column timestamp"),
        ("item,ts\ni,1\n", "must name a column user_id"),
        ("user,item,ts\nu,i,1\n,i,2\n", "row 2 .* user_id of 1 to 64"),
        ("user,item,ts\nu,i,1\nu,a\x07b,2\n", "row 2 .* item_id of 1 to 64"),
        ("user,item,ts\nu,i,1\nu,j,yesterday\n", "row 2 .* a time"),
        ("user,item,ts\nu,i,-1\n", "row 1 .* a time"),
        ("user,item,ts,rating\nu,i,1,4\nu,j,2,x\n", "row 2 .* a rating"),
        ("user,item,ts\nu,i,1,2\nu,j,2,3\n", "table with a header"),
        ("user,item,ts,rating\nu,i,1,11\n", "row 1 .* a rating"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, said):
    """The first row that breaks the format is told, with what was required."""
    with pytest.raises(DataError, match=said):
        _read(tmp_path, text)


def test_a_movielens_folder_stays_one(tmp_path):
    """A table is looked for only where no known format is: movies.csv beside ratings.csv is no second log."""
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,3.0,4\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n2,Alien (1979),Horror\n")
    assert read_dataset(tmp_path).origin.format == "movielens-csv"


def test_two_tables_are_one_too_many(tmp_path):
    """Which of them is meant must be said."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("user,item,ts\nu,i,1\n")
    with pytest.raises(DataError, match="exactly one"):
        read_dataset(tmp_path)
