"""Logs that are not quite as their layout says, as people have them; all rows are made up."""

import hashlib

import pytest

from replay.datasets.inspecting import inspect_log
from replay.datasets.options import LogOptions
from replay.datasets.readers import read_dataset
from streams.errors import DataError

BOM = "\ufeff"
SKIP = LogOptions(skip_bad=True)
DIARY = "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n2021-01-05,Foo,2019,x,4.5,,,2021-01-01\n"
REVIEWS = "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Review,Tags,Watched Date\n2021-01-05,Foo,2019,x,4.5,,Fine,,\n"


def written(tmp_path, files):
    """Write files, and return their folder."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def times(log):
    """Return the times of a log's events, in their order."""
    return log.interactions["ts"].tolist()


@pytest.mark.parametrize("exact", ["event_time", "watched_at", "rated_at"])
def test_an_exact_time_goes_before_a_day(tmp_path, exact):
    """In whatever order the columns stand."""
    text = f"user_id,item_id,date,{exact}\na,x,2023-11-14,1700000000\n"
    assert times(read_dataset(written(tmp_path, {"log.csv": text}))) == [1_700_000_000_000]


def test_parts_of_a_log_are_not_joined_in_a_line(tmp_path):
    """A part without an end of its last line; the SHA-256 is of the bytes of the files."""
    files = {
        "combined_data_1.txt": "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13",
        "combined_data_2.txt": f"{BOM}4500:\n2532865,4,2005-07-26",
    }
    log = read_dataset(written(tmp_path, files))
    assert log.interactions["item_id"].tolist() == ["1", "4500", "1"]
    assert log.origin.sha256 == hashlib.sha256("".join(files.values()).encode()).hexdigest()


def test_a_bad_row_is_told_by_the_file_that_has_it(tmp_path):
    """Its line is that of its own file."""
    files = {
        "combined_data_1.txt": "1:\n1488844,3,2005-09-06\n",
        "combined_data_2.txt": "4500:\n2532865,4,2005-07-26\n2532866,9,2005-07-26\n",
    }
    with pytest.raises(DataError, match=r"combined_data_2\.txt line 3 must hold a rating .*got '2532866,9,2005-07-26'"):
        read_dataset(written(tmp_path, files))


@pytest.mark.parametrize(
    ("rows", "layout", "stars"),
    [
        ("1::10000001::5::1381006850\n2::10000002::1::1381006851\n", "movielens-dat", [5.0, 1.0]),
        ("1::0114508::5::1381006850\n2::10000002::1::1381006851\n", "movietweetings", [2.5, 0.5]),
        ("1::10000001::8::1381006850\n2::10000002::1::1381006851\n", "movietweetings", [4.0, 0.5]),
    ],
)
def test_long_ids_alone_are_not_of_movietweetings(tmp_path, rows, layout, stars):
    """A zero in front of one says so, or a rating that five stars do not have."""
    log = read_dataset(written(tmp_path, {"log.dat": rows}))
    assert (log.origin.format, log.interactions["rating"].tolist()) == (layout, stars)


@pytest.mark.parametrize(
    ("name", "text", "layout"),
    [
        ("log.jsonl", '{"user_id": "a", "item_id": "x", "ts": 1700000000}\n', "table"),
        ("log.jsonl", "{'user_id': 'a', 'item_id': 'x', 'ts': 1700000000}\n", "table"),
        ("log.csv", "user_id,item_id,ts\na,x,1700000000\n", "table"),
        ("combined_data_1.txt", "1:\n7,3,2005-09-06\n", "netflix"),
        ("u.data", "196\t242\t3\t881250949\n", "movielens-100k"),
        ("ratings.dat", "1::122::4.5::838985046\n", "movielens-dat"),
    ],
)
def test_a_mark_of_utf8_in_front_is_no_part_of_a_log(tmp_path, name, text, layout):
    """The first line counts like the others."""
    (tmp_path / name).write_text(BOM + text)
    log = read_dataset(tmp_path / name)
    assert (log.origin.format, len(log.interactions)) == (layout, 1)
    assert BOM not in "".join(log.interactions["user_id"])


@pytest.mark.parametrize(
    "text", ['[{"user_id": "a", "item_id": "x"},\n{"user_id": "b"}]', '[\n  {\n"user_id": "a"}]\n']
)
def test_an_array_is_told_from_lines(tmp_path, text):
    """With what makes lines of it."""
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(DataError, match=r"log\.json must hold one object of JSON a line.*; jq -c '\.\[\]' writes"):
        read_dataset(tmp_path / "log.json")


def test_what_helps_where_artists_have_no_id(tmp_path):
    """Both ways that the message names read the log."""
    row = "user_000001\t2009-05-0{n}T13:54:10Z\t{id}\t{name}\tt{n}\tSong\n"
    text = row.format(n=4, id="a1", name="Deep") + row.format(n=5, id="", name="Sylvian")
    path = written(tmp_path, {"log.tsv": text})
    with pytest.raises(DataError, match=r"line 2 must .*; --skip-bad leaves .*; --item artist takes the names"):
        read_dataset(path)
    assert read_dataset(path, options=SKIP).interactions["item_id"].tolist() == ["a1"]
    named = read_dataset(path, options=LogOptions(item="artist"))
    assert named.interactions["item_id"].tolist() == ["Deep", "Sylvian"]


@pytest.mark.parametrize("time", ["2019-10-01 00:00:01 UTC", "2019-10-01 00:00:01.000 UTC"])
def test_a_time_may_name_utc(tmp_path, time):
    """As shops write it."""
    text = f"user_id,product_id,event_time\na,x,{time}\n"
    assert times(read_dataset(written(tmp_path, {"log.csv": text}))) == [1_569_888_001_000]


def test_a_format_of_times_is_named_where_one_cannot_be_read(tmp_path):
    """The message has the option that reads such a day."""
    path = written(tmp_path, {"log.csv": "user_id,item_id,date\na,x,14/11/2023\n"})
    with pytest.raises(DataError, match=r"got 'a,x,14/11/2023'; .*; --time-unit '%d/%m/%Y' says how"):
        read_dataset(path)
    assert times(read_dataset(path, options=LogOptions(time_unit="%d/%m/%Y"))) == [1_699_920_000_000]


def test_a_short_row_is_told_with_its_own_reason(tmp_path):
    """Also where the row behind it has another fault; one before it comes first."""
    text = "user_id,item_id,ts,rating\na,x,1700000000,4\nb,x\nc,x,1700000000,90\n"
    with pytest.raises(DataError, match=r"line 3 .* must hold 4 fields.*got 'b,x'"):
        read_dataset(written(tmp_path, {"log.csv": text}))
    text = "user_id,item_id,ts,rating\nc,x,1700000000,90\nb,x\na,x,1700000000,4\n"
    with pytest.raises(DataError, match=r"line 2 .* must hold a rating .*got 'c,x,1700000000,90'"):
        read_dataset(written(tmp_path, {"log.csv": text}))


def test_full_weights_of_kinds_are_no_doubtful_shares(tmp_path):
    """Only a column of shares may hold percentages by mistake."""
    kinds = "user_id,item_id,ts,kind\n" + "".join(f"a,{n},17000000{n},like\n" for n in range(10, 20))
    found = inspect_log(written(tmp_path, {"log.csv": kinds}), LogOptions())
    assert found.figures["events"] == 10
    assert not any("shares" in one for one in found.suspicious)
    shares = kinds.replace("kind", "watch_ratio").replace("like", "35")
    found = inspect_log(written(tmp_path, {"log.csv": shares}), LogOptions())
    assert any("nearly all shares are 1 or more" in one for one in found.suspicious)


@pytest.mark.parametrize(
    ("text", "first", "is_of_entries"),
    [(DIARY, "2021-01-01", True), (REVIEWS, "2021-01-05", True), (DIARY.replace("Watched Date", "x"), "2021-01-05", 0)],
)
def test_a_diary_is_timed_by_when_films_were_watched(tmp_path, text, first, is_of_entries):
    """Only lists of entries are said to be such."""
    found = inspect_log(written(tmp_path, {"films.csv": text}), LogOptions())
    assert found.figures["first"] == f"{first}T00:00:00.000Z"
    assert any("in a diary" in one for one in found.suspicious) == is_of_entries


def test_a_column_without_a_name_is_told(tmp_path):
    """As pandas writes an index."""
    path = written(tmp_path, {"log.csv": ",user_id,item_id,ts\n0,a,x,1700000000\n"})
    assert inspect_log(path, LogOptions()).passed_over == ("(without a name)",)
    assert any(note.endswith("passed over: (without a name)") for note in read_dataset(path).notes)


def test_a_product_is_named_by_its_name(tmp_path):
    """As in tables of clothes."""
    files = {
        "transactions.csv": "t_dat,customer_id,article_id,price\n2018-09-20,c,0663,0.05\n",
        "articles.csv": "article_id,product_code,prod_name\n0663,06,Strap top\n",
    }
    assert read_dataset(written(tmp_path, files)).catalogue.find("0663").title == "Strap top"
