"""What a person says of a log: columns, scale, units, and a file beside the log that says the same."""

import pytest

from model.catalogue import Item
from replay.datasets.options import LogOptions
from replay.datasets.readers import read_dataset
from streams.errors import DataError, SettingsError


def read(path, text, **options):
    """Write a file and read it with options."""
    path.write_text(text, encoding="utf-8")
    return read_dataset(path, options=LogOptions(**options))


def rows(log):
    """Return the interactions as plain tuples."""
    return list(log.interactions.itertuples(index=False, name=None))


def test_columns_are_named(tmp_path):
    """Whatever they are called; those that are not named are passed over."""
    text = "who|what|when|how much|rating\na|x|1700000000|7|1\n"
    log = read(tmp_path / "log.txt", text, user="who", item="what", time="when", rating="how much", scale=(0.0, 10.0))
    assert rows(log) == [("a", "x", 3.5, 1_700_000_000_000)]
    assert log.notes == ("columns passed over: rating",)


def test_columns_without_a_header_have_numbers(tmp_path):
    """The first line is data then, and the third column the time."""
    log = read(tmp_path / "log.csv", "x,a,1700000000\n", no_header=True, user="2", item="1", time="3")
    assert rows(log) == [("a", "x", 5.0, 1_700_000_000_000)]


def test_a_column_that_is_not_there_is_told(tmp_path):
    """With the name that was given and those that there are."""
    with pytest.raises(DataError, match=r"the column 'who' that --user names, got \['user', 'item', 'ts'\]"):
        read(tmp_path / "log.csv", "user,item,ts\na,x,1\n", user="who")


def test_all_missing_columns_are_told_at_once(tmp_path):
    """With the options that name them."""
    with pytest.raises(
        DataError, match=r"column user_id.*column item_id.*column timestamp.*--user COLUMN, --item COLUMN"
    ):
        read(tmp_path / "log.csv", "a,b,c\n1,2,3\n")


@pytest.mark.parametrize(
    ("written", "unit", "ms"),
    [
        ("1700000000", "seconds", 1_700_000_000_000),
        ("1700000000123", "milliseconds", 1_700_000_000_123),
        ("1700000000123456", None, 1_700_000_000_123),
        ("1700000000123000000", None, 1_700_000_000_123),
        ("20231115", "days", 1_700_006_400_000),
        ("15/11/2023", "%d/%m/%Y", 1_700_006_400_000),
        ("Wed Nov 15 00:00:00 +0000 2023", None, 1_700_006_400_000),
    ],
)
def test_times_have_units(tmp_path, written, unit, ms):
    """Those that are told apart by their size, and those that are said."""
    assert rows(read(tmp_path / "log.csv", f"user,item,ts\na,x,{written}\n", time_unit=unit))[0][3] == ms


def test_rows_may_come_in_their_order(tmp_path):
    """Without times each is a second later than the one before, and that is told."""
    log = read(tmp_path / "log.csv", "user,item\nb,x\na,y\n", time="none")
    assert [(row[0], row[3]) for row in rows(log)] == [("b", 946_684_800_000), ("a", 946_684_801_000)]
    assert log.notes == ("no column of times: rows are taken in their order, one a second from 2000-01-01",)


def test_implicit_passes_over_ratings(tmp_path):
    """Each row counts in full, also one whose rating cannot be."""
    assert rows(read(tmp_path / "log.csv", "user,item,ts,rating\na,x,5,99\n", implicit=True))[0][2] == 5.0


def test_bad_rows_are_counted_by_cause(tmp_path):
    """A row that is broken in two ways counts once; what is left is read as if the others were not there."""
    bad = ["a,x", ",x,5,1", "a,y,never,1", "a,y,-5,99", "a,y,5,99"]
    log = read(tmp_path / "log.csv", "\n".join(["user,item,ts,rating", *bad, "a,z,6,2", ""]), skip_bad=True)
    assert rows(log) == [("a", "z", 2.0, 6000)]
    assert [item.item_id for item in log.catalogue] == ["z"]
    assert log.left_out == {
        "number of fields": 1,
        "no user id": 1,
        "rating outside the scale": 2,
        "time cannot be read": 1,
    }


def test_the_line_of_a_bad_row_counts_breaks_inside_quotes(tmp_path):
    """The second row ends on line 4, because a text before it holds a line break."""
    with pytest.raises(DataError, match=r"line 4 \(row 2 after the header\) must hold a rating"):
        read(tmp_path / "log.csv", 'user,item,ts,rating,text\na,x,5,1,"one\ntwo"\na,y,5,80,\n')


def test_a_file_beside_the_log_says_the_same(tmp_path):
    """A command's own options come first; in a folder the file may also lie inside."""
    text = "a;x;1700000000;8\n"
    (tmp_path / "log.csv.toml").write_text('no-header = true\ncolumns = "user,item,ts,rating"\nscale = "1..10"\n')
    assert rows(read(tmp_path / "log.csv", text))[0][2] == 4.0
    assert rows(read(tmp_path / "log.csv", text, scale=(0.0, 8.0)))[0][2] == 5.0
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "events.csv").write_text("who,item,ts\na,x,5\n")
    (folder / "log.toml").write_text('user = "who"\n')
    assert rows(read_dataset(folder))[0][0] == "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "options among user"),
        ("skip-bad = 1", "as its option does"),
        ("x", "TOML"),
        ('scale = "3"', "1..10"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path, text, said):
    """With its name and what it may say."""
    (tmp_path / "log.csv.toml").write_text(text)
    with pytest.raises(DataError, match=rf"log\.csv\.toml .*{said}"):
        read(tmp_path / "log.csv", "user,item,ts\na,x,5\n")


@pytest.mark.parametrize("options", [{"time_unit": "weeks"}, {"scale": (5.0, 1.0)}, {"sep": "abc"}])
def test_options_are_checked(options):
    """What cannot be is refused before anything is read."""
    with pytest.raises(SettingsError, match="data: --"):
        LogOptions(**options)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("things.csv", 'item,title,genres\nx,"Kite, The (1991)",Slice of Life|Drama\n'),
        ("things.tsv", "item_id\tname\tyear\tgenre\nx\tThe Kite\t1991\tSlice of Life, Drama\n"),
        ("things.jsonl", '{"item_id": "x", "title": "The Kite", "year": 1991, "genres": ["Slice of Life", "Drama"]}\n'),
        ("things.txt", "x::Kite, The (1991)::Slice of Life|Drama\n"),
    ],
)
def test_items_are_read_from_any_table(tmp_path, name, text):
    """The file that is named, or one in the folder of the log; genres stay whole."""
    (tmp_path / name).write_text(text)
    (tmp_path / "log.csv").write_text("user_id,item_id,ts\na,x,5\n")
    expected = Item("x", "The Kite", 1991, ("Slice of Life", "Drama"))
    assert list(read_dataset(tmp_path / "log.csv", options=LogOptions(items=tmp_path / name)).catalogue) == [expected]
    if "::" not in text:
        assert list(read_dataset(tmp_path).catalogue) == [expected]


def test_lines_of_python_are_read(tmp_path):
    """As some logs were published; a line that is no object is told with its number."""
    text = "{u'user_id': u'a', 'product_id': 7, 'date': '2018-01-05', 'early': False}\n"
    assert rows(read(tmp_path / "log.json", text))[0][:2] == ("a", "7")
    with pytest.raises(DataError, match=r"line 2 must hold one object, got '\{broken'"):
        read(tmp_path / "log.json", text + "{broken\n")


def test_latin_1_is_read_where_utf_8_is_not(tmp_path):
    """Also where the first letter beyond ASCII comes late in the file."""
    text = "user,item,ts\n" + "a,x,5\n" * 20_000 + "b,\xe9t\xe9,6\n"
    (tmp_path / "log.csv").write_bytes(text.encode("latin-1"))
    assert read_dataset(tmp_path / "log.csv").interactions["item_id"].iloc[-1] == "\xe9t\xe9"
